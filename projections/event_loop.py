"""The event loop of every process and of the threads of its consumers: uvloop.

Where a connection has just broken, uvloop raises ``RuntimeError`` at whoever writes to it. The loop
of asyncio takes the bytes and drops them, and clients are made for that or for an ``OSError``: in
aiokafka anything else ends the task that keeps the client's knowledge of the brokers, without a
word, and all that waits for news of them waits for ever. So streams tell it here as what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import uvloop

_CLOSED = "the handler is closed"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that nobody runs yet."""
    return uvloop.new_event_loop()


def is_of_broken_connection(error: RuntimeError) -> bool:
    """Say whether the loop refused to write because the connection is gone."""
    return _CLOSED in str(error)


def _telling(write: Callable[[asyncio.StreamWriter, Any], None]) -> Any:
    @wraps(write)
    def write_or_tell(writer: asyncio.StreamWriter, data: Any) -> None:
        try:
            write(writer, data)
        except RuntimeError as error:
            if not is_of_broken_connection(error):
                raise
            raise ConnectionResetError("the connection is broken") from error

    return write_or_tell


asyncio.StreamWriter.write = _telling(asyncio.StreamWriter.write)  # type: ignore[method-assign]
asyncio.StreamWriter.writelines = _telling(asyncio.StreamWriter.writelines)  # type: ignore[method-assign]
