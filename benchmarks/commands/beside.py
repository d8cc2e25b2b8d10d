"""Clients without pause on StreamHub, and on pyeventsourcing behind the same kind of endpoint."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.commands.backlog import nobody_reads
from benchmarks.commands.load import Latencies, closed_loop
from benchmarks.commands.people import Sender, likes
from benchmarks.commands.system import System
from benchmarks.environments import absent, python_of
from benchmarks.http_client import connections
from benchmarks.live_projection.topic import WrongCounts, database
from benchmarks.peers.beside import ENVIRONMENT, TITLE
from benchmarks.query_api.serving import free_port, serving
from benchmarks.report import RATIO, Figure, Spread
from events import clock
from events.users import Role
from infra.supervisor.client import SupervisorClient
from schemas.http.caller import Claims, TokenSigner, TokenUse

CLIENTS = 64
NAMED = f"{CLIENTS} clients"
_MODULE = "benchmarks.peers.eventsourcing_http"
#: Where the peer's server reads the secret of the tokens.
_SECRET = "BENCHMARK_JWT_SECRET"
_WARM_UP_S = 2.0
_REST_S = 3.0

#: What a contestant's clients saw, by contestant; without the peer where it is not installed.
Found = dict[str, dict[str, Any]]


async def measure(
    system: System, people: Sender, postgres: str, folder: Path, number: int, seconds: float
) -> Found:
    """Let the clients like on StreamHub, then on the peer's server.

    Raises:
        WrongCounts: the peer did not store what it said.
    """
    with nobody_reads(SupervisorClient(system.settings.data_dir)):
        await asyncio.sleep(_REST_S)
        found = {"streamhub": _described(await closed_loop(people.send, CLIENTS, seconds))}
        python = python_of(ENVIRONMENT)
        if python is None:
            if number == 0:
                print(absent(ENVIRONMENT, f"{TITLE} over HTTP"))
            return found
        await asyncio.sleep(_REST_S)
        async with database(postgres, f"benchmark_eventsourcing_http_{number}") as url:
            peer = await _peer(system, url, folder, python, seconds)
    return {**found, "eventsourcing": _described(peer)}


async def _peer(
    system: System, postgres: str, folder: Path, python: Path, seconds: float
) -> Latencies:
    port, secret = free_port(), secrets.token_hex(32)
    signer = TokenSigner(secret)
    async with (
        serving(
            _MODULE,
            [postgres, str(port)],
            {**os.environ, _SECRET: secret},
            port=port,
            path="/health",
            log_file=folder / "eventsourcing.log",
            python=python,
        ) as served,
        connections(served.url, CLIENTS) as api,
    ):
        people = Sender(likes([_token(signer) for _ in system.tokens], system.videos), api)
        first = await closed_loop(people.send, CLIENTS, _WARM_UP_S)
        found = await closed_loop(people.send, CLIENTS, seconds)
    await _verify(postgres, first, found)
    return found


def _token(signer: TokenSigner) -> str:
    """Return a token as StreamHub gives them."""
    now = clock.now()
    claims = Claims(
        user_id=clock.new_id(),
        role=Role.VIEWER,
        session_id=clock.new_id(),
        generation=0,
        use=TokenUse.ACCESS,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )
    return signer.sign(claims)


async def _verify(postgres: str, *loads: Latencies) -> None:
    """Require an event for each right answer; a request without one may have been stored."""
    connection = await asyncpg.connect(postgres)
    try:
        stored = await connection.fetchval("SELECT count(*) FROM engagement_events")
    finally:
        await connection.close()
    sent = sum(load.sent for load in loads)
    right = sent - sum(load.failed for load in loads)
    if not right <= stored <= sent:
        raise WrongCounts(f"{TITLE}: {stored} events of {right} right answers, {sent} requests")


def _described(found: Latencies) -> dict[str, Any]:
    return {**asdict(found), "rate": found.rate}


def figures(rounds: list[Found]) -> list[Figure]:
    """Return the lines of both contestants, and of failed requests where there are any."""
    ours = [each["streamhub"] for each in rounds]
    peers = [each["eventsourcing"] for each in rounds if "eventsourcing" in each]
    lines = _lines("StreamHub", "commands/s", ours)
    if peers:
        pairs = zip(ours, peers, strict=True)
        ratio = Spread.of(our["rate"] / peer["rate"] for our, peer in pairs)
        lines += _lines(TITLE, "1/s", peers)
        lines.append(Figure(f"{NAMED}: StreamHub / {TITLE}", RATIO, ratio, ">= 2"))
    return lines


def _lines(name: str, unit: str, loads: list[dict[str, Any]]) -> list[Figure]:
    lines = [
        Figure(f"{NAMED}: {name}", unit, Spread.of(load["rate"] for load in loads)),
        Figure(f"{NAMED}: {name}, p95", "ms", Spread.of(load["p95_ms"] for load in loads)),
    ]
    if any(load["failed"] for load in loads):
        failed = Spread.of(float(load["failed"]) for load in loads)
        lines.append(Figure(f"{NAMED}: {name}, failed requests", "", failed, "0"))
    return lines
