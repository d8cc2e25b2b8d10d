"""Load on one path from a process of its own; prints what it measured as JSON.

``python -m benchmarks.query_api.client URL PATH --seconds 5 --clients 16`` asks as fast as answers
come, with ``--rate 200`` instead at that rate, whether or not they do. With ``--tapes FILE`` in
place of a URL's server the recorded statements are run in a loop, without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks.commands.load import Latencies, closed_loop, open_loop
from benchmarks.http_client import connections, request

#: No more requests are under way at a time; further ones wait, and their waiting counts.
_CONNECTIONS = 64
_WARM_UP_S = 0.5


async def over_http(chosen: argparse.Namespace) -> Latencies:
    """Load a server."""
    message = request("GET", chosen.path)
    async with connections(chosen.url, _CONNECTIONS) as server:

        async def ask(_number: int) -> bool:
            return (await server.send(message)).status == 200

        return await _load(ask, chosen)


async def in_a_loop(chosen: argparse.Namespace) -> Latencies:
    """Run the statements alone."""
    from benchmarks.query_api.replay import player

    async with player(chosen.tapes) as tapes:

        async def ask(_number: int) -> bool:
            await tapes.ask(chosen.path)
            return True

        await closed_loop(ask, chosen.clients, _WARM_UP_S)
        return await _load(ask, chosen)


async def _load(ask: Callable[[int], Awaitable[bool]], chosen: argparse.Namespace) -> Latencies:
    if chosen.rate:
        return await open_loop(ask, chosen.rate, chosen.seconds)
    return await closed_loop(ask, chosen.clients, chosen.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query_api.client")
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--tapes", type=Path)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(in_a_loop(chosen) if chosen.tapes else over_http(chosen))
    print(json.dumps({**asdict(found), "rate": found.rate, "client_cpu_s": time.process_time()}))


if __name__ == "__main__":
    main()
