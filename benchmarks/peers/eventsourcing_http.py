"""Peer: likes over HTTP, decided and saved by the library ``eventsourcing`` on the same Postgres.

A FastAPI application under one uvicorn process, with an endpoint of the kind that StreamHub has: a
bearer token that is verified, an answer in an envelope. Its handlers are plain functions, which
FastAPI runs in its threads, as the library blocks. Each request is an event of the like of one
viewer of one video.

``python -m benchmarks.peers.eventsourcing_http POSTGRES PORT``, the tokens' secret in
``BENCHMARK_JWT_SECRET``
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import jwt
import uvicorn
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import RecordConflictError
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from benchmarks.peers.eventsourcing_likes import environment

SECRET = "BENCHMARK_JWT_SECRET"
#: As many as there are threads for handlers, so that none waits for a connection.
_CONNECTIONS = 40
_CACHED = 10_000


class Like(Aggregate):
    """The like of one viewer of one video, which comes and goes."""

    @event("Liked")
    def __init__(self, video_id: str, user_id: str) -> None:
        self.video_id, self.user_id = video_id, user_id
        self.liked = True

    @staticmethod
    def create_id(video_id: str, user_id: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/likes/{video_id}/{user_id}")

    @event("LikedAgain")
    def give(self) -> None:
        self.liked = True

    @event("Unliked")
    def withdraw(self) -> None:
        self.liked = False


class Engagement(Application):
    """Decides likes; each method returns the version of the like afterwards."""

    def like(self, video_id: str, user_id: str) -> int:
        like = self._known(video_id, user_id)
        if like is None:
            like = Like(video_id, user_id)
        elif not like.liked:
            like.give()
        self.save(like)
        return int(like.version)

    def unlike(self, video_id: str, user_id: str) -> int:
        like = self._known(video_id, user_id)
        if like is None:
            return 0
        if like.liked:
            like.withdraw()
        self.save(like)
        return int(like.version)

    def _known(self, video_id: str, user_id: str) -> Like | None:
        try:
            found: Like = self.repository.get(Like.create_id(video_id, user_id))
        except AggregateNotFoundError:
            return None
        return found


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Liked(Shape):
    video_id: str
    liked: bool


class CommandMeta(Shape):
    id: str
    stream_version: int


class Meta(Shape):
    command: CommandMeta


class Envelope(Shape):
    success: bool = True
    data: Liked
    error: None = None
    meta: Meta


def settings(url: str) -> dict[str, str]:
    """Return what suits the library best where one process writes, and events stay in order.

    Its insert as a function of the database would be faster. That takes no lock, so a reader may
    see a later event before an earlier one, and miss that one for good.
    """
    return {
        **environment(url),
        "POSTGRES_POOL_SIZE": str(_CONNECTIONS),
        "POSTGRES_MAX_OVERFLOW": "0",
        "AGGREGATE_CACHE_MAXSIZE": str(_CACHED),
        # Nobody else writes, so what is in the cache is the latest.
        "AGGREGATE_CACHE_FASTFORWARD": "n",
    }


# StreamHub too checks the signature of a token once.
@lru_cache(maxsize=_CACHED)
def verified(token: str, secret: str) -> dict[str, Any]:
    """Return the claims of a token whose signature is right."""
    claims: dict[str, Any] = jwt.decode(
        token, secret, algorithms=["HS256"], options={"require": ["sub", "exp"]}
    )
    return claims


async def viewer(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> str:
    """Return who asks."""
    try:
        claims = verified(credentials.credentials, request.app.state.secret)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Authentication required") from error
    if claims["exp"] <= time.time():
        raise HTTPException(401, "Authentication required")
    return str(claims["sub"])


Viewer = Annotated[str, Depends(viewer)]
router = APIRouter()


@router.get("/health")
async def health() -> dict[str, bool]:
    return {"healthy": True}


@router.post("/api/v1/videos/{video_id}/like")
def like(video_id: UUID, user_id: Viewer, request: Request) -> Envelope:
    return _answer(request.app.state.engagement.like, str(video_id), user_id, liked=True)


@router.delete("/api/v1/videos/{video_id}/like")
def unlike(video_id: UUID, user_id: Viewer, request: Request) -> Envelope:
    return _answer(request.app.state.engagement.unlike, str(video_id), user_id, liked=False)


def _answer(
    decide: Callable[[str, str], int], video_id: str, user_id: str, *, liked: bool
) -> Envelope:
    try:
        version = decide(video_id, user_id)
    except RecordConflictError as error:
        raise HTTPException(409, "Somebody else was first") from error
    command = CommandMeta(id=str(uuid4()), stream_version=version)
    return Envelope(data=Liked(video_id=video_id, liked=liked), meta=Meta(command=command))


def main() -> None:
    app = FastAPI()
    app.include_router(router)
    app.state.engagement, app.state.secret = Engagement(settings(sys.argv[1])), os.environ[SECRET]
    uvicorn.run(
        app,
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
        server_header=False,
    )


if __name__ == "__main__":
    main()
