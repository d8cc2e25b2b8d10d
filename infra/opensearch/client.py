"""The connection to OpenSearch: its errors, and bulk requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from events.errors import StreamHubError
from infra.opensearch.library import (
    AsyncOpenSearch,
    ConnectionError,  # noqa: A004
    NotFoundError,
    TransportError,
)
from projections.ports import StoreUnavailable

#: Answers after which the same request can be tried again: too busy, or not there for a moment.
RETRIABLE_STATUSES = frozenset({408, 409, 429, 502, 503, 504})
BAD_REQUEST = 400
_BLOCKED = frozenset({"cluster_block_exception", "index_create_block_exception"})
#: Says that there is too little memory, or that too many scripts were compiled lately. A document
#: whose script is not compiled for that is a bad request, of which this is a cause.
_BREAKER = "circuit_breaking_exception"
_TIMEOUT_S = 30


class DocumentRefused(ValueError):
    """A document does not fit its index: the event that it follows from cannot be digested."""


class IndexRefused(StreamHubError):
    """OpenSearch will not write to an index, whatever the document."""

    code = "INDEX_REFUSED"


def connect(url: str) -> AsyncOpenSearch:
    """Return a client of ``http://user:password@host:port``; the first request connects."""
    return AsyncOpenSearch(hosts=[url], timeout=_TIMEOUT_S, max_retries=0)


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn errors of a server that is away or too busy into ``StoreUnavailable``."""
    try:
        yield
    except ConnectionError as error:
        raise StoreUnavailable(f"OpenSearch: {type(error).__name__}: {error}") from error
    except TransportError as error:
        # On a full disk indexes are blocked (429), and so is making new ones (403).
        if error.status_code not in RETRIABLE_STATUSES and error.error not in _BLOCKED:
            raise
        raise StoreUnavailable(f"OpenSearch: {error.status_code}: {error.error}") from error


@asynccontextmanager
async def unprepared_errors() -> AsyncIterator[None]:
    """Turn the error about a missing index into ``StoreUnavailable``: workers make them."""
    try:
        yield
    except NotFoundError as error:
        raise StoreUnavailable("OpenSearch: the indexes have not been made yet") from error


async def bulk(
    client: AsyncOpenSearch, lines: Sequence[Mapping[str, Any]], *, refresh: bool
) -> list[str]:
    """Send actions with their bodies; return what became of each (``created``, ``noop`` …).

    Raises:
        StoreUnavailable: some were not done; all can be sent again.
        DocumentRefused: a document cannot be written, others may have been.
        IndexRefused: nothing can be written there.
    """
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    async with store_errors():
        answer = await client.bulk(body=body, params={"refresh": "true" if refresh else "false"})
    items = [next(iter(item.values())) for item in answer["items"]]
    failed = [item for item in items if item["status"] >= 300]
    for item in failed:
        if item["status"] not in RETRIABLE_STATUSES and not _passes(item["error"]):
            refusal = DocumentRefused if item["status"] == BAD_REQUEST else IndexRefused
            raise refusal(f"{item['_index']}/{item['_id']}: {item['error']}")
    if failed:
        raise StoreUnavailable(f"OpenSearch: {failed[0]['status']}: {failed[0]['error']}")
    return [item["result"] for item in items]


def _passes(error: Mapping[str, Any]) -> bool:
    """Say whether an error, or what caused it, has nothing to do with what was sent."""
    cause: Mapping[str, Any] | None = error
    while cause is not None:
        if cause["type"] in _BLOCKED or cause["type"] == _BREAKER:
            return True
        cause = cause.get("caused_by")
    return False
