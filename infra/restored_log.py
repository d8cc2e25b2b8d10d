"""What stands beside a log that was restored from an older copy: what only that knows never was.

Command workers and reactions refuse to go on from positions beyond the log's end, a claim of an
email or name whose command is lost would hold it for ever, and a reader that outlived the restoring
has committed where it had been. Read models are not dealt with here: they are built anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient

from events.base import TopicPartition
from events.errors import Conflict, Unavailable
from infra.bootstrap.core import open_core
from infra.log_tools.reader import LogReader, Span
from infra.postgres.database import Connection
from infra.settings import Settings
from schemas.catalogue import DOMAINS

_TIMEOUT_S = 10.0
_GROUPS = "streamhub-"
_AWAY = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})
_EMPTY_CACHE = "TRUNCATE state_positions, aggregate_states, command_outcomes"
_DECIDED = "CREATE TEMPORARY TABLE decided (command_id text) ON COMMIT DROP"
_RELEASE = (
    "WITH gone AS (DELETE FROM claims c WHERE NOT EXISTS "
    "(SELECT FROM decided d WHERE d.command_id = c.command_id::text) RETURNING 1) "
    "SELECT count(*) FROM gone"
)
_READ = "SELECT DISTINCT topic, partition FROM reaction_positions"
_MOVE = (
    "WITH moved AS (UPDATE reaction_positions SET position = $3, updated_at = now() "
    "WHERE topic = $1 AND partition = $2 AND position > $3 RETURNING 1) "
    "SELECT count(*) FROM moved"
)


class WorkersAtWork(Conflict):
    """A worker would note positions again, and what it has just claimed is not in the log yet."""

    code = "WORKERS_AT_WORK"


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many claims were released, and how many positions moved back to the log's ends."""

    claims: int
    positions: int


async def adopt_log(settings: Settings) -> Adopted:
    """Bring all of it back to the log; again it finds nothing to do.

    Raises:
        WorkersAtWork: workers have not been stopped.
        Unavailable, TopicMissing: a server does not answer, or the log has no topics.
    """
    async with open_core(settings) as core:
        with LogReader(core.places.kafka) as log:
            positions = await asyncio.to_thread(_move_commits, core.places.kafka, log)
            async with core.pool.acquire() as connection, connection.transaction():
                claims = await _release_claims(connection, log)
                positions += await _move_reactions(connection, log)
                await connection.execute(_EMPTY_CACHE)
    return Adopted(claims, positions)


def _move_commits(bootstrap: str, log: LogReader) -> int:
    """Move back what groups of readers have committed beyond the log's ends."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        groups = _groups_at_rest(admin)
        return sum(_move_commits_of(admin, group, log) for group in groups)
    except KafkaException as error:
        raise Unavailable(f"Kafka does not tell of its readers: {error}") from error


def _groups_at_rest(admin: AdminClient) -> list[str]:
    listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid
    groups = [group for group in listed if group.group_id.startswith(_GROUPS)]
    busy = sorted(group.group_id for group in groups if group.state not in _AWAY)
    if busy:
        raise WorkersAtWork(
            f"Workers are at work ({', '.join(busy)}): stop them first; one that was killed counts "
            "for 10 s more"
        )
    return [group.group_id for group in groups]


def _move_commits_of(admin: AdminClient, group: str, log: LogReader) -> int:
    asked = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=_TIMEOUT_S
    )
    found = [place for future in asked.values() for place in future.result().topic_partitions or ()]
    ends = log.ends((TopicPartition(p.topic, p.partition) for p in found), committed=False)
    wrong = [
        KafkaTopicPartition(p.topic, p.partition, end)
        for p in found
        if p.offset > (end := ends[TopicPartition(p.topic, p.partition)])
    ]
    if wrong:
        changed = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wrong)])
        for future in changed.values():
            future.result()
    return len(wrong)


async def _release_claims(connection: Connection, log: LogReader) -> int:
    """Release what was claimed for commands that the log does not know."""
    await connection.execute(_DECIDED)
    sources = log.partitions(domain.outcomes for domain in DOMAINS)
    starts, ends = log.starts(sources), log.ends(sources)
    batches = log.batches({source: Span(starts[source], ends[source]) for source in sources})
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        ids = (record.headers.get("command_id", b"") for record in batch.records)
        rows = [(command_id.decode("utf-8", "replace"),) for command_id in ids]
        await connection.copy_records_to_table("decided", records=rows)
    released: int = await connection.fetchval(_RELEASE)
    return released


async def _move_reactions(connection: Connection, log: LogReader) -> int:
    """Have reactions go on at the log's end where they have read further: R4."""
    rows = await connection.fetch(_READ)
    ends = log.ends((TopicPartition(*row) for row in rows), committed=False)
    moved = [
        await connection.fetchval(_MOVE, source.topic, source.partition, end)
        for source, end in ends.items()
    ]
    return sum(moved)
