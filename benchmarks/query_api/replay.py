"""What the handlers of StreamHub ask the stores, written down once, and asked again without them.

So the opponents run the very statements that the product runs today, whatever those become.
"""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson

from infra.clickhouse.reader import ClickHouseAnalytics
from infra.logs import configure_logs
from infra.opensearch.reader import OpenSearchIndex
from infra.places import find_places
from infra.postgres.database import open_pool
from infra.redis.reader import RedisCounters
from infra.settings import Settings

STORES = ("rows", "counters", "analytics", "search")


@dataclass(frozen=True, slots=True)
class Call:
    """A statement: which store, which method of its client, and with what."""

    store: str
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """What answering one path took, and the answer as objects."""

    calls: Sequence[Call]
    answer: Any


class _Recorder:
    """Stands before a store and writes down what it is asked."""

    def __init__(self, name: str, store: Any, calls: list[Call]) -> None:
        self._name, self._store, self._calls = name, store, calls

    def __getattr__(self, method: str) -> Any:
        async def asked(*arguments: Any) -> Any:
            self._calls.append(Call(self._name, method, arguments))
            return await getattr(self._store, method)(*arguments)

        return asked


async def record(settings: Settings, paths: Sequence[str]) -> dict[str, Tape]:
    """Have StreamHub's own application answer each path once, in this process.

    Raises:
        ValueError: a path has no answer, or nothing was seen of how it came about.
    """
    # The opponents import this module too, and should not carry what they do without.
    from infra.gathering import Gathering
    from infra.http.app import create_app
    from query_api.videos import read_pages

    configure_logs("benchmark", "warning")
    app = create_app(settings)
    tapes = {}
    async with app.router.lifespan_context(app):
        calls: list[Call] = []
        stores: dict[str, Any] = {
            name: _Recorder(name, getattr(app.state.queries, name), calls) for name in STORES
        }
        pages = Gathering(partial(read_pages, stores["rows"], app.state.queries.media))
        app.state.queries = replace(app.state.queries, **stores, pages=pages)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://benchmark") as client:
            for path in paths:
                calls.clear()
                answer = await client.get(path)
                if answer.status_code != 200 or not calls:
                    raise ValueError(f"{path}: {answer.status_code}, {len(calls)} statements")
                tapes[path] = Tape(tuple(calls), orjson.loads(answer.content))
    return tapes


def write(tapes: Mapping[str, Tape], path: Path) -> None:
    """Keep tapes for other processes of this run."""
    path.write_bytes(pickle.dumps(dict(tapes)))


class Player:
    """Answers recorded paths with bare clients of the stores."""

    def __init__(self, tapes: Mapping[str, Tape], stores: Mapping[str, Any]) -> None:
        self._tapes = tapes
        self._stores = stores

    async def ask(self, path: str) -> None:
        """Run what a path takes, one statement after another, and read all that comes."""
        for call in self._tapes[path].calls:
            await getattr(self._stores[call.store], call.method)(*call.arguments)

    async def answer(self, path: str) -> bytes:
        """Return the body that StreamHub answers with, encoded anew."""
        await self.ask(path)
        return orjson.dumps(self._tapes[path].answer)


@asynccontextmanager
async def player(tapes_path: Path) -> AsyncIterator[Player]:
    """Yield a player of recorded tapes, connected as the settings say.

    Postgres is asyncpg's pool itself, with the options that StreamHub's has; the clients of the
    other stores have nothing but StreamHub's translation of their errors around them.
    """
    tapes = pickle.loads(tapes_path.read_bytes())
    places = find_places(Settings())
    pool = await open_pool(places.postgres)
    others: dict[str, RedisCounters | ClickHouseAnalytics | OpenSearchIndex] = {
        "counters": RedisCounters(places.redis),
        "analytics": ClickHouseAnalytics(places.clickhouse),
        "search": OpenSearchIndex(places.opensearch),
    }
    try:
        yield Player(tapes, {"rows": pool, **others})
    finally:
        for client in others.values():
            await client.close()
        await pool.close()
