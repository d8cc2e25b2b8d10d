"""An answer's head and body reach the socket together, and nothing waits for what never comes."""

from __future__ import annotations

import asyncio

from infra.http.one_write import GatheringTransport


class Socket(asyncio.Transport):
    """Remembers what reached it."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.seen: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.seen.append(bytes(data))

    def close(self) -> None:
        self.seen.append(b"closed")
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def gathering(socket: Socket) -> GatheringTransport:
    return GatheringTransport(socket, asyncio.get_running_loop())


async def test_what_is_written_in_one_turn_goes_out_in_one_piece() -> None:
    socket = Socket()
    transport = gathering(socket)
    transport.write(b"head ")
    transport.write(b"body")
    assert socket.seen == []
    await asyncio.sleep(0)
    assert socket.seen == [b"head body"]


async def test_a_head_does_not_wait_for_its_body() -> None:
    socket = Socket()
    transport = gathering(socket)
    for part in (b"head", b"body"):
        transport.write(part)
        await asyncio.sleep(0)
    assert socket.seen == [b"head", b"body"]


async def test_what_was_written_goes_out_before_the_end() -> None:
    socket = Socket()
    transport = gathering(socket)
    transport.write(b"answer")
    transport.close()
    await asyncio.sleep(0)
    assert socket.seen == [b"answer", b"closed"]


async def test_nobody_is_written_to_who_has_gone() -> None:
    socket = Socket()
    transport = gathering(socket)
    transport.write(b"answer")
    socket.close()
    await asyncio.sleep(0)
    assert socket.seen == [b"closed"]


async def test_much_goes_out_at_once() -> None:
    socket = Socket()
    transport = gathering(socket)
    for _ in range(5):
        transport.write(b"x" * 40_000)
    assert [len(part) for part in socket.seen] == [80_000, 80_000]
    await asyncio.sleep(0)
    assert sum(map(len, socket.seen)) == 200_000


async def test_nothing_is_written_for_nothing() -> None:
    socket = Socket()
    transport = gathering(socket)
    transport.write(b"")
    await asyncio.sleep(0)
    assert socket.seen == []


async def test_the_rest_is_the_transport_s() -> None:
    assert gathering(Socket()).get_extra_info("peername") == "somebody"
