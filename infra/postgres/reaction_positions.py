"""Positions of reactions in Postgres."""

from __future__ import annotations

from collections.abc import Mapping

from events.base import TopicPartition
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors


class PostgresReactionPositions:
    """Implements ``processors.ports.ReactionPositions``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, reaction: str) -> Mapping[TopicPartition, int]:
        async with store_errors():
            rows = await self._pool.fetch(
                "SELECT topic, partition, position FROM reaction_positions WHERE reaction = $1",
                reaction,
            )
        return {TopicPartition(r["topic"], r["partition"]): r["position"] for r in rows}

    async def save(self, reaction: str, source: TopicPartition, position: int) -> None:
        async with store_errors():
            await self._pool.execute(
                "INSERT INTO reaction_positions AS p (reaction, topic, partition, position) "
                "VALUES ($1, $2, $3, $4) ON CONFLICT (reaction, topic, partition) "
                "DO UPDATE SET position = greatest(p.position, $4), updated_at = now()",
                reaction,
                source.topic,
                source.partition,
                position,
            )
