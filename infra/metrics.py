"""Every metric that StreamHub exports, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

#: Milliseconds; the targets of 25, 50, 100, 200, 500 and 1000 ms are bounds of buckets.
_MILLISECONDS = (1, 2.5, 5, 10, 25, 50, 100, 200, 500, 1000, 2500, 5000, 10_000)

HTTP_DURATION = Histogram(
    "http_request_duration_ms",
    "Time from request to answer",
    ("method", "route", "status_code"),
    buckets=_MILLISECONDS,
)
HTTP_REQUESTS = Counter("http_requests", "Requests answered", ("method", "route", "status_code"))
VIDEO_UPLOADS = Counter("video_uploads", "Uploads confirmed")
COMMANDS = Counter("commands", "Commands sent by this process", ("type", "result"))
PROJECTION_LAG_EVENTS = Gauge(
    "projection_lag_events",
    "Records behind the end of the log",
    ("projection", "topic", "partition"),
)
PROJECTION_LAG_SECONDS = Gauge(
    "projection_lag_seconds",
    "Age of the oldest record that was not applied",
    ("projection", "topic", "partition"),
)
DEPENDENCY_UP = Gauge("dependency_up", "Whether a server answered", ("server",))
