"""The write path's view of other aggregates, from the read models in Postgres.

A miss is believed only after the read model has caught up with the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from commands.services import Account, CommentPlace
from events.users import Role
from infra.gathering import Gathering
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors
from projections.accounts import ACCOUNTS
from projections.comments import COMMENT_THREADS
from projections.declaration import Projection
from projections.watch_page import WATCH_PAGE

CatchUp = Callable[[Sequence[Projection]], Awaitable[None]]

#: A video, who asks for it, and whether they are an admin.
Look = tuple[str, str | None, bool]
# Behind a SELECT an array has no length that a plan could be made for: one plan does for all.
_VISIBLE = (
    "SELECT l.number, v.creator_id "
    "FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::boolean[])) "
    "WITH ORDINALITY AS l(video_id, caller_id, admin, number) "
    "JOIN videos v ON v.id = l.video_id AND v.status IN ('processing', 'ready') "
    "AND (v.creator_id = l.caller_id OR l.admin "
    "OR (v.visibility <> 'private' AND v.blocked_reason IS NULL))"
)


class PostgresDirectory:
    """Implements ``commands.services.Directory``; ``catch_up`` waits for the log's present end."""

    def __init__(self, pool: Pool, catch_up: CatchUp) -> None:
        self._pool = pool
        self._catch_up = catch_up
        self._creators = Gathering(self._read_creators)

    async def _find(self, projection: Projection, query: str, *arguments: Any) -> Any:
        async with store_errors():
            row = await self._pool.fetchrow(query, *arguments)
        if row is None:
            await self._catch_up([projection])
            async with store_errors():
                row = await self._pool.fetchrow(query, *arguments)
        return row

    async def account(self, email: str) -> Account | None:
        row = await self._find(
            ACCOUNTS,
            "SELECT id, password_hash, role FROM users WHERE lower(email) = lower($1)",
            email,
        )
        return row and Account(str(row["id"]), row["password_hash"], Role(row["role"]))

    async def user_exists(self, user_id: str) -> bool:
        return await self.role(user_id) is not None

    async def role(self, user_id: str) -> Role | None:
        row = await self._find(
            ACCOUNTS, "SELECT role FROM users WHERE id = $1 AND created_at IS NOT NULL", user_id
        )
        return row and Role(row["role"])

    async def video_creator(
        self, video_id: str, caller_id: str | None, *, admin: bool
    ) -> str | None:
        look = (video_id, caller_id, admin)
        creator_id = await self._creators.ask(look)
        if creator_id is None:
            await self._catch_up([WATCH_PAGE])
            creator_id = await self._creators.ask(look)
        return creator_id

    async def _read_creators(self, looks: Sequence[Look]) -> dict[Look, str]:
        """Return the creators of those videos that whoever asks may see."""
        async with store_errors():
            rows = await self._pool.fetch(_VISIBLE, *map(list, zip(*looks, strict=True)))
        return {looks[row["number"] - 1]: str(row["creator_id"]) for row in rows}

    async def comment(self, comment_id: str) -> CommentPlace | None:
        row = await self._find(
            COMMENT_THREADS,
            "SELECT id, video_id, is_deleted FROM comments "
            "WHERE id = $1 AND created_at IS NOT NULL",
            comment_id,
        )
        return row and CommentPlace(str(row["id"]), str(row["video_id"]), row["is_deleted"])
