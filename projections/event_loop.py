"""The event loop of every process and of the threads of its consumers: uvloop.

Where a connection has just broken, uvloop raises ``RuntimeError`` at whoever writes to it. The loop
of asyncio takes the bytes and drops them, and aiokafka is made for that: the error ends the task
that keeps the client's knowledge of the brokers, without a word, and all that waits for news of
them waits for ever. So a write to a broken connection is told here as what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import uvloop
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that nobody runs yet."""
    return uvloop.new_event_loop()


def _telling(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def send_or_tell(connection: Any, *args: Any, **options: Any) -> Any:
        try:
            return send(connection, *args, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"The connection is broken: {error}") from error

    return send_or_tell


AIOKafkaConnection.send = _telling(AIOKafkaConnection.send)
AIOKafkaConnection._send_sasl_token = _telling(AIOKafkaConnection._send_sasl_token)  # noqa: SLF001
