"""uvloop under aiokafka: what a broken connection says."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from projections.event_loop import new_event_loop


class Request:
    """Something to send: what is in it does not matter."""

    def prepare(self, _versions: object) -> Request:
        return self

    def build_request_header(self, **_fields: object) -> SimpleNamespace:
        return SimpleNamespace(encode=lambda: b"header")

    def encode(self) -> bytes:
        return b"body"


async def _accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


async def _send_where_the_connection_just_broke() -> list[object]:
    reasons: list[object] = []
    server = await asyncio.start_server(_accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = AIOKafkaConnection(
        "127.0.0.1", port, on_close=lambda _connection, reason: reasons.append(reason)
    )
    connection._do_version_lookup = lambda: asyncio.sleep(0)
    await connection.connect()
    # As where the connection breaks and the reader of answers has not had its turn yet.
    connection._read_task.cancel()
    connection._writer.transport.abort()
    await connection._closed_fut
    try:
        with pytest.raises(KafkaConnectionError, match="broken"):
            await connection.send(Request())
    finally:
        connection.close()
        server.close()
        await server.wait_closed()
    return reasons


def test_a_broken_connection_is_told_as_the_client_knows_it() -> None:
    """R2: any other error ends the task that finds the brokers again."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        reasons = runner.run(_send_where_the_connection_just_broke())
    assert len(reasons) == 1, "the client does not hear that the connection is gone"
