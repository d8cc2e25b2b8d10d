"""What a store takes at most of the rows that a build holds: its own way of loading in bulk.

The rows are taken out of the build first, in the form in which the store takes them in, and go into
an empty table, index or key space of the same shape. Nothing is decoded, folded or checked on the
way, and no position is kept: it is a limit and no rival. Each function returns rows and seconds.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import asyncpg
import clickhouse_connect
import orjson
from clickhouse_connect.driver.client import Client
from redis import Redis

from infra.clickhouse.client import database_name
from infra.clickhouse.schema import POSITIONS
from infra.clickhouse.schema import physical as clickhouse_table
from infra.opensearch.client import connect
from infra.opensearch.library import AsyncOpenSearch
from infra.opensearch.sink import physical as opensearch_index
from infra.postgres.sink import physical as postgres_table
from infra.postgres.sink import table_statements
from infra.redis.sink import version_prefix
from projections.declaration import Projection
from projections.followers import SUBSCRIPTIONS
from projections.sessions import SESSION
from projections.video_index import VIDEOS as FILMS

_COPY = "benchmark_bulk"
#: As the manual of OpenSearch advises: a request of some megabytes.
_BULK_DOCUMENTS = 5_000
_PAGE_DOCUMENTS = 2_000
_REDIS_PIECE_BYTES = 1 << 20


async def postgres(url: str, build: Projection) -> tuple[int, float]:
    """Load follows by COPY in its binary form, one transaction."""
    connection = await asyncpg.connect(url)
    try:
        rows = io.BytesIO()
        query = f"SELECT * FROM {postgres_table(SUBSCRIPTIONS, build)}"
        await connection.copy_from_query(query, output=rows, format="binary")
        for statement in table_statements(SUBSCRIPTIONS, _COPY).values():
            await connection.execute(statement)
        rows.seek(0)
        started = time.perf_counter()
        await connection.copy_to_table(_COPY, source=rows, format="binary")
        took = time.perf_counter() - started
        count = await connection.fetchval(f"SELECT count(*) FROM {_COPY}")
        await connection.execute(f"DROP TABLE {_COPY}")
    finally:
        await connection.close()
    return int(count), took


async def clickhouse(url: str, build: Projection) -> tuple[int, float]:
    """Load facts as blocks in ClickHouse's native form, one insert."""
    return await asyncio.to_thread(_clickhouse, url, clickhouse_table(build))


def _clickhouse(url: str, table: str) -> tuple[int, float]:
    client: Client = clickhouse_connect.get_client(dsn=f"{url}/{database_name('')}")
    try:
        where = f"FROM {table} WHERE relation != '{POSITIONS}'"
        rows = client.raw_query(f"SELECT * {where}", fmt="Native")
        client.command(f"CREATE TABLE {_COPY} AS {table}")
        started = time.perf_counter()
        client.raw_insert(_COPY, insert_block=rows, fmt="Native")
        took = time.perf_counter() - started
        count = client.command(f"SELECT count() FROM {_COPY}")
        client.command(f"DROP TABLE {_COPY}")
    finally:
        client.close()
    return int(str(count)), took


async def redis(url: str, build: Projection) -> tuple[int, float]:
    """Load sessions as its manual loads in bulk: commands in the protocol's form, unanswered."""
    client = Redis.from_url(url, decode_responses=True)
    try:
        prefix = version_prefix("", build)
        pieces, count = _commands(client, prefix)
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        started = time.perf_counter()
        answered = asyncio.create_task(_answers(reader))
        for piece in [*pieces, _command("ECHO", _COPY)]:
            writer.write(piece)
            await writer.drain()
        await answered
        took = time.perf_counter() - started
        writer.close()
        found = list(client.scan_iter(f"{_COPY}:*", 1_000))
        for key in found:
            client.unlink(key)
    finally:
        client.close()
    if len(found) != count:
        raise RuntimeError(f"{len(found)} of {count} keys were loaded")
    return count, took


async def _answers(reader: asyncio.StreamReader) -> None:
    """Read until the echo comes, which is the last answer."""
    end, seen = f"{_COPY}\r\n".encode(), b""
    while not seen.endswith(end):
        came = await reader.read(1 << 20)
        if not came:
            raise ConnectionResetError("Redis broke off")
        seen = (seen + came)[-len(end) :]


def _commands(client: Redis, prefix: str) -> tuple[list[bytes], int]:
    """Return the commands that make the sessions of a build under another name, and how many."""
    pieces, piece, count = [], bytearray(), 0
    for key in client.scan_iter(f"{prefix}{SESSION.name}:*", 1_000):
        copy = f"{_COPY}:{key}"
        fields = [str(word) for pair in client.hgetall(key).items() for word in pair]
        ends = int(time.time() * 1000) + client.pttl(key)
        piece += _command("HSET", copy, *fields) + _command("PEXPIREAT", copy, str(ends))
        count += 1
        if len(piece) >= _REDIS_PIECE_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
    return [*pieces, bytes(piece)], count


def _command(*words: str) -> bytes:
    """Return a command as it goes over the wire (RESP2)."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


async def opensearch(url: str, build: Projection) -> tuple[int, float]:
    """Load films as ``_bulk`` requests of new documents, made visible by one refresh."""
    client = connect(url)
    try:
        source = opensearch_index("", FILMS, build)
        bodies, count = await _bodies(client, source)
        found = await client.indices.get(index=source)
        settings = found[source]["settings"]["index"]
        kept = {name: settings[name] for name in ("number_of_shards", "refresh_interval")}
        shape = {"settings": kept, "mappings": found[source]["mappings"]}
        await client.indices.create(index=_COPY, body=shape)
        started = time.perf_counter()
        for body in bodies:
            answer = await client.bulk(body=body)
            if answer["errors"]:
                raise RuntimeError("a document was refused")
        await client.indices.refresh(index=_COPY)
        took = time.perf_counter() - started
        await client.indices.delete(index=_COPY)
    finally:
        await client.close()
    return count, took


async def _bodies(client: AsyncOpenSearch, index: str) -> tuple[list[str], int]:
    """Return requests that make the documents of an index in another one, and how many."""
    documents = await _documents(client, index)
    pieces = (
        documents[start : start + _BULK_DOCUMENTS]
        for start in range(0, len(documents), _BULK_DOCUMENTS)
    )
    return ["".join(_lines(piece)) for piece in pieces], len(documents)


def _lines(documents: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    for name, source in documents:
        yield f'{{"create":{{"_index":"{_COPY}","_id":"{name}"}}}}\n{source.decode()}\n'


async def _documents(client: AsyncOpenSearch, index: str) -> list[tuple[str, bytes]]:
    await client.indices.refresh(index=index)
    body = {"size": _PAGE_DOCUMENTS, "sort": ["_doc"]}
    found: list[tuple[str, bytes]] = []
    page = await client.search(index=index, body=body, params={"scroll": "2m"})
    while hits := page["hits"]["hits"]:
        found += [(hit["_id"], orjson.dumps(hit["_source"])) for hit in hits]
        page = await client.scroll(body={"scroll_id": page["_scroll_id"], "scroll": "2m"})
    return found
