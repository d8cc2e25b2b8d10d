"""``/health``, ``/health/detail`` and ``/metrics``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from events import clock
from infra import metrics
from schemas.http.envelope import ApiModel

log = structlog.get_logger(__name__)

router = APIRouter(tags=["operation"])

_CHECK_TIMEOUT_S = 2.0
_STARTED = time.monotonic()
#: What the flat answer calls the servers (SH-176).
_FLAT = {"postgres": "database", "redis": "redis", "s3": "storage"}

Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a server answered."""

    up: bool
    latency_ms: float
    error: str | None


class ServerHealth(ApiModel):
    up: bool
    latency_ms: float
    error: str | None = None


class Health(ApiModel):
    uptime: float
    timestamp: datetime
    database: bool
    redis: bool
    storage: bool


class HealthDetail(ApiModel):
    uptime: float
    timestamp: datetime
    servers: dict[str, ServerHealth]


async def _check(name: str, check: Check) -> Checked:
    started = time.perf_counter()
    error = None
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await check()
    except Exception as failure:  # noqa: BLE001 - whatever is wrong, the answer is "down"
        error = f"{type(failure).__name__}: {failure}"[:200]
        log.warning("health_check_failed", server=name, reason=error)
    latency_ms = (time.perf_counter() - started) * 1000
    metrics.DEPENDENCY_UP.labels(name).set(error is None)
    return Checked(error is None, round(latency_ms, 2), error)


async def _check_all(checks: Mapping[str, Check]) -> dict[str, Checked]:
    answers = await asyncio.gather(*(_check(name, check) for name, check in checks.items()))
    return dict(zip(checks, answers, strict=True))


def _checks(request: Request) -> Mapping[str, Check]:
    checks: Mapping[str, Check] = request.app.state.checks
    return checks


def _answer(body: BaseModel, *, healthy: bool) -> JSONResponse:
    return JSONResponse(body.model_dump(mode="json", by_alias=True), 200 if healthy else 503)


@router.get("/health", response_model=Health)
async def health(request: Request) -> JSONResponse:
    """Say whether database, cache and storage answer; 503 unless all do."""
    wanted = {name: check for name, check in _checks(request).items() if name in _FLAT}
    found = await _check_all(wanted)
    body = Health(
        uptime=round(time.monotonic() - _STARTED, 1),
        timestamp=clock.now(),
        **{_FLAT[name]: checked.up for name, checked in found.items()},
    )
    return _answer(body, healthy=all(checked.up for checked in found.values()))


@router.get("/health/detail", response_model=HealthDetail)
async def health_detail(request: Request) -> JSONResponse:
    """Say how each server is, and how long it took to answer."""
    found = await _check_all(_checks(request))
    body = HealthDetail(
        uptime=round(time.monotonic() - _STARTED, 1),
        timestamp=clock.now(),
        servers={
            name: ServerHealth(up=c.up, latency_ms=c.latency_ms, error=c.error)
            for name, c in found.items()
        },
    )
    return _answer(body, healthy=all(checked.up for checked in found.values()))


@router.get("/metrics")
async def prometheus() -> Response:
    """Return every metric in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
