"""Structured logs: one JSON object a line, with service, correlation and trace ids."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import structlog

#: Libraries repeat themselves many times a second while a server is away.
REPEAT_AFTER_S = 5.0
_QUIET = ("aiokafka", "faust", "mode", "opensearch", "urllib3", "asyncio", "httpx", "uvicorn.error")


def configure_logs(service: str, level: str, libraries: int = logging.WARNING) -> None:
    """Send everything, other libraries' logs included, to standard error as JSON.

    ``libraries`` is from which level on libraries are heard that talk to servers.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _with_service(service),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared
        )
    )
    handler.addFilter(Seldom())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(libraries)


class Seldom(logging.Filter):
    """Lets a logger say the same sentence only every few seconds, whatever it fills in."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        sentence = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._said.get(sentence, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return False
        self._said[sentence] = now
        return True


def _with_service(service: str) -> Any:
    def add(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event.setdefault("service", service)
        return event

    return add
