"""The HTTP application: command endpoints and queries on one port, wired for one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI
from starlette.responses import Response

from commands.endpoints import routes as command_routes
from events.errors import StreamHubError
from infra.bootstrap.api import ApiParts, open_api
from infra.collector import relieve_collector
from infra.console.app import create_console, install_console
from infra.console.parts import open_console
from infra.console.rendering import ROOT as CONSOLE
from infra.console.rendering import error_page
from infra.http import catalogue, health, watch
from infra.http.errors import failure_response, install_error_handlers
from infra.http.middleware import OriginMiddleware, RequestMiddleware
from infra.http.rate_limits import RateLimitMiddleware
from infra.http.route_index import RouteIndex
from infra.settings import Settings
from query_api import media
from query_api import routes as query_routes

VERSION = "0.1.0"
_OTHERS = (media.router, health.router, watch.router, catalogue.router)


def create_app(settings: Settings, stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """Return the application; it connects when it is started.

    ``stopping`` says whether the server wants to end: streams that never end by themselves do then.
    """
    console = create_console()
    app = FastAPI(
        title="StreamHub",
        version=VERSION,
        summary="Event-sourced video streaming: commands in, projections out.",
        lifespan=_lifespan(settings, console, stopping),
        redoc_url=None,
        # Metrics and log lines are ours; FastAPI would look for others' at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    # Not by ``include_router``: of routers in routers, FastAPI matches every path several times.
    routers = (*query_routes.ROUTERS, *command_routes.ROUTERS, *_OTHERS)
    routes = [route for router in routers for route in router.routes]
    app.router.routes.extend([RouteIndex(routes), *routes])
    app.mount(CONSOLE, console)
    install_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(
        RateLimitMiddleware, exempt=settings.rate_limit_exempt, refused=_over_its_limit
    )
    app.add_middleware(
        OriginMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=[
            "Content-Type",
            "Authorization",
            "Idempotency-Key",
            "Consistency-Token",
            "Prefer",
            "traceparent",
        ],
        expose_headers=[
            "Consistency-Token",
            "Preference-Applied",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
        ],
    )
    app.add_middleware(RequestMiddleware, max_body_bytes=settings.max_body_bytes)
    return app


def _over_its_limit(path: str, error: StreamHubError) -> Response:
    return error_page(error) if path.startswith(CONSOLE) else failure_response(error)


def _lifespan(
    settings: Settings, console: FastAPI, stopping: Callable[[], bool]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_api(settings) as parts, open_console(parts, stopping) as console_parts:
            _install(app, parts, settings)
            install_console(console, console_parts)
            relieve_collector()
            yield

    return lifespan


def _install(app: FastAPI, parts: ApiParts, settings: Settings) -> None:
    app.state.commands = parts.commands
    app.state.queries = parts.queries
    app.state.authenticator = parts.authenticator
    app.state.checks = parts.checks
    app.state.limiter = parts.limiter
    storage_url = parts.core.storage.download_url("any", timedelta(minutes=1))
    watch.install_watch_page(app, settings.cache_dir, storage_url)
