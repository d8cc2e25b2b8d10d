"""Peer: the library ``eventsourcing`` on the same Postgres: saves, then a projection of them.

A save is a like on a video of its own: one aggregate, one event, one transaction, one after another
in one thread, as its application has it. The projection counts them by its runner, each event and
its tracking record in a transaction. Prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

from benchmarks.peers.work import place

_TIMEOUT_S = 300.0


class Likes(Aggregate):
    @event("Liked")
    def __init__(self, video_id: str, user_id: str) -> None:
        self.video_id, self.user_id = video_id, user_id


class Engagement(Application):
    def like(self, video_id: str, user_id: str) -> int:
        """Decide a like and save it; return its place in the log."""
        saved = self.save(Likes(video_id, user_id))
        return int(saved[-1].notification.id)


class LikeCounts(PostgresTrackingRecorder):
    """The read model: likes by video."""

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS like_counts "
                "(video_id uuid PRIMARY KEY, n bigint NOT NULL)"
            )
        )

    def add(self, video_id: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO like_counts AS c (video_id, n) VALUES (%s, 1) "
                "ON CONFLICT (video_id) DO UPDATE SET n = c.n + 1",
                (video_id,),
                prepare=True,
            )


class LikeProjection(Projection[LikeCounts]):
    """Notes when the first event came and when the last one was applied."""

    first_at: float | None = None
    last_at = 0.0

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if self.first_at is None:
            self.first_at = time.perf_counter()
        self.view.add(domain_event.video_id, tracking)
        self.last_at = time.perf_counter()


def environment(url: str) -> dict[str, str]:
    """Return the library's settings for a database."""
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.strip("/"),
        "POSTGRES_HOST": parts.hostname or "127.0.0.1",
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "postgres",
        "POSTGRES_PASSWORD": parts.password or "",
    }


def main() -> None:
    where = place()
    settings = environment(where.postgres)
    application = Engagement(settings)
    people = [str(uuid4()) for _ in range(where.events)]
    last = application.like(str(uuid4()), people[0])
    started = time.perf_counter()
    for person in people[1:]:
        last = application.like(str(uuid4()), person)
    saved = time.perf_counter()
    with ProjectionRunner(
        application_class=Engagement,
        projection_class=LikeProjection,
        view_class=LikeCounts,
        env=settings,
    ) as runner:
        runner.wait(last, timeout=_TIMEOUT_S)
        projection = runner.projection
        took = projection.last_at - (projection.first_at or 0.0)
        with runner.view.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT sum(n) AS n FROM like_counts")
            counted = int(cursor.fetchone()["n"])
    found = {
        "saves_per_second": (where.events - 1) / (saved - started),
        "projected_per_second": where.events / took,
        "counted": counted,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
