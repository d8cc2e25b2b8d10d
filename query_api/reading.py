"""What queries need of the world: read-only stores, and waiting for what a caller has seen."""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar, cast
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import TypeAdapter

from projections.declaration import Projection
from schemas.http import consistency

Row = Mapping[str, Any]
T = TypeVar("T")


class Rows(Protocol):
    """Postgres, read only; parameters are always bound, never pasted."""

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Row]:
        """Return all rows; ValueError for a value that is none of its type, or Unavailable."""

    async def fetchrow(self, query: str, *arguments: Any) -> Row | None:
        """Return the first row."""


class Counters(Protocol):
    """Redis, read only but for caches."""

    async def script(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run one of the scripts beside the queries; raises Unavailable."""

    async def hashes(self, keys: Sequence[str]) -> Sequence[Mapping[str, str]]:
        """Return the hashes at these keys, empty ones for those that are missing."""


class Analytics(Protocol):
    """ClickHouse, read only; ``parameters`` bind ``{name:Type}``."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Return all rows; raises Unavailable."""


class SearchIndex(Protocol):
    """OpenSearch, read only."""

    async def search(self, index: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of ``_search``; raises Unavailable."""

    async def ping(self) -> None:
        """Raise Unavailable unless the index answers."""


class MediaStorage(Protocol):
    """Object storage, read only."""

    def download_url(self, key: str, life: timedelta) -> str:
        """Return a presigned GET."""

    async def read(self, key: str) -> bytes | None:
        """Return a small object whole, or None when it is missing; raises Unavailable."""


class Freshness(Protocol):
    """Knows how far projections are."""

    async def wait(
        self,
        projections: Iterable[Projection],
        seen: Mapping[tuple[str, int], int],
        timeout_s: float | None = None,
    ) -> None:
        """Return when the projections have applied what was seen.

        ``timeout_s`` takes the place of the usual bound.

        Raises:
            Unavailable: they did not within the bound; try again.
        """


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A token that opens a video's playlists until it expires."""

    token: str
    expires_at: datetime


class MediaLinks(Protocol):
    """Signed paths under which a video's playlists are served."""

    def sign(self, video_id: str, life: timedelta) -> MediaLink:
        """Return the token that opens a video's playlists for a while."""

    def check(self, token: str, video_id: str) -> timedelta:
        """Return how long the token is still good; raises NotPermitted when it is not."""


class Look(NamedTuple):
    """A video's page as somebody sees it; ``viewer_id`` is None for whoever is not known."""

    video_id: UUID
    viewer_id: str | None
    is_admin: bool


class VideoPages(Protocol):
    """Pages of videos as JSON, made once for all who ask for the same at the same time."""

    async def ask(self, question: Look, /) -> bytes | None:
        """Return the page, None where there is none to see; raises Unavailable."""


class Together(Protocol):
    """Answers that are the same for everybody, made once for all who ask at the same time."""

    async def once(self, question: Hashable, make: Callable[[], Awaitable[bytes]], /) -> bytes:
        """Return what ``make`` makes, here or for another; never older than the question."""


@dataclass(frozen=True, slots=True)
class QueryServices:
    """Everything that queries use."""

    rows: Rows
    pages: VideoPages
    together: Together
    counters: Counters
    analytics: Analytics
    search: SearchIndex
    media: MediaStorage
    links: MediaLinks
    freshness: Freshness
    stream_url_life: timedelta
    public_url: str


async def queries_of(request: Request) -> QueryServices:
    """Return the services that the application keeps in its state."""
    return cast("QueryServices", request.app.state.queries)


Queries = Annotated[QueryServices, Depends(queries_of)]


async def made_once(
    services: QueryServices,
    question: Hashable,
    shape: TypeAdapter[T],
    find: Callable[[], Awaitable[T]],
) -> bytes:
    """Return what is found as JSON, made once for all who ask the question at the same time.

    The question says everything that the answer depends on, the caller included where it does.
    """

    async def make() -> bytes:
        return shape.dump_json(await find(), by_alias=True)

    return await services.together.once(question, make)


def fresh(*projections: Projection) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a dependency: wait until these projections have applied what the caller has seen."""

    async def wait(request: Request, response: Response) -> None:
        token = request.headers.get(consistency.HEADER)
        seen = consistency.decode(token)
        if seen:
            wait_s = consistency.wanted_wait(request.headers.getlist(consistency.PREFERENCE))
            services = await queries_of(request)
            await services.freshness.wait(projections, seen, wait_s)
            if wait_s is not None:
                response.headers[consistency.APPLIED] = f"wait={wait_s:.0f}"
            response.headers[consistency.HEADER] = consistency.encode(seen)

    return wait


def has_token(request: Request) -> bool:
    """Say whether the caller insists on having seen something: no cache may answer."""
    return consistency.HEADER in request.headers
