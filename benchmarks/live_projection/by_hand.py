"""What both other contestants share: counts and offsets written by hand, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from infra.postgres.database import Connection

_MAKE = """
CREATE TABLE view_counts (video_id uuid PRIMARY KEY, view_count bigint NOT NULL);
CREATE TABLE offsets (partition integer PRIMARY KEY, next_offset bigint NOT NULL)
"""
_ADD = """
INSERT INTO view_counts AS v (video_id, view_count)
SELECT * FROM unnest($1::uuid[], $2::bigint[])
ON CONFLICT (video_id) DO UPDATE SET view_count = v.view_count + excluded.view_count
"""
_MOVE = """
INSERT INTO offsets (partition, next_offset) SELECT * FROM unnest($1::integer[], $2::bigint[])
ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset
"""


async def connect(url: str) -> Connection:
    """Return a connection to a database with empty tables."""
    connection: Connection = await asyncpg.connect(url)
    await connection.execute(_MAKE)
    return connection


async def write(
    connection: Connection, counts: Mapping[str, int], offsets: Mapping[int, int]
) -> None:
    """Add to the counts and move the offsets (partition -> the next one to read)."""
    async with connection.transaction():
        await connection.execute(_ADD, list(counts), list(counts.values()))
        await connection.execute(_MOVE, list(offsets), list(offsets.values()))
