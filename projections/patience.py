"""Waiting for stores that are away."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from projections.ports import StoreUnavailable

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 5.0


async def patiently(reader: str, call: Any, *arguments: Any) -> Any:
    """Call until the store answers, waiting longer each time."""
    wait_s = _FIRST_RETRY_S
    while True:
        try:
            return await call(*arguments)
        except StoreUnavailable as error:
            log.warning("store_unavailable", reader=reader, reason=str(error))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LAST_RETRY_S)
