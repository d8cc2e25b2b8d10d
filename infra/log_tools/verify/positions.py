"""Whether what readers claim to have applied can be true: positions beside the log's ends.

A position behind the end of its partition is lag, and listed. A position beyond the end is a
finding: what it claims was never in the log. So is an offset that a store's readers committed to
Kafka while no projection of the store has come so far (R2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from events.base import TopicPartition
from events.errors import Unavailable
from infra.bootstrap.core import Core, open_core
from infra.kafka.ends import LogEnds
from infra.lag import Lag, LagMonitor
from infra.live_builds import LiveBuilds
from infra.log_tools.verify.findings import Findings
from infra.settings import Settings
from projections.declaration import Store
from projections.registry import PROJECTIONS, of_store

_TIMEOUT_S = 15.0
_REACTIONS = "SELECT reaction, topic, partition, position FROM reaction_positions"
_STATES = "SELECT domain, partition, events_next, outcomes_next FROM state_positions"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A reader's own position in a partition: the next offset that it has not dealt with."""

    reader: str
    source: TopicPartition
    position: int


async def verify_positions(settings: Settings, findings: Findings) -> list[Lag]:
    """Compare every reader's position with the log; return the lag of the projections.

    Raises:
        Unavailable: Kafka or a store does not answer.
    """
    async with open_core(settings) as core:
        ends = LogEnds(core.places.kafka)
        try:
            # Committed offsets first: positions that are read later can only be further on.
            committed = await asyncio.to_thread(_committed, core.places.kafka)
            claims = await _claims(core)
            lags = await LagMonitor(
                core.sinks, PROJECTIONS, LiveBuilds(core.builds, PROJECTIONS), ends
            ).measure()
            sources = sorted({claim.source for claim in claims})
            known = await ends.ends(sources) if sources else {}
        finally:
            await ends.close()
    claims += [Claimed(lag.projection, lag.source, lag.position) for lag in lags]
    known |= {lag.source: lag.end for lag in lags}
    check_ends(claims, known, findings)
    for store in Store:
        mine = {projection.name for projection in of_store(store)}
        check_committed(
            str(store), committed[store], [lag for lag in lags if lag.projection in mine], findings
        )
    return lags


async def _claims(core: Core) -> list[Claimed]:
    reactions = [
        Claimed(row["reaction"], TopicPartition(row["topic"], row["partition"]), row["position"])
        for row in await core.pool.fetch(_REACTIONS)
    ]
    states = [
        Claimed(
            "the state cache",
            TopicPartition(f"{kind}.{row['domain']}", row["partition"]),
            row[f"{kind}_next"],
        )
        for row in await core.pool.fetch(_STATES)
        for kind in ("events", "outcomes")
    ]
    return reactions + states


def check_ends(
    claims: Sequence[Claimed], ends: Mapping[TopicPartition, int], findings: Findings
) -> None:
    """Note every position that lies beyond the end of its partition."""
    for claim in claims:
        end = ends.get(claim.source, 0)
        if claim.position > end:
            findings.add(
                "position",
                claim.source,
                claim.position,
                f"{claim.reader} claims to be at {claim.position}, the log ends at {end}",
            )


def check_committed(
    store: str,
    committed: Mapping[TopicPartition, int],
    lags: Sequence[Lag],
    findings: Findings,
) -> None:
    """Note every offset that a store's readers committed and none of its projections reached."""
    furthest: dict[TopicPartition, int] = {}
    for lag in lags:
        furthest[lag.source] = max(lag.position, furthest.get(lag.source, 0))
    for source, offset in committed.items():
        if offset > furthest.get(source, 0):
            findings.add(
                "R2",
                source,
                offset,
                f"the readers of {store} committed {offset}, the store itself is at "
                f"{furthest.get(source, 0)}",
            )


def _committed(bootstrap: str) -> dict[Store, dict[TopicPartition, int]]:
    """Return what the readers of each store committed to Kafka."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    return {store: _committed_by(admin, f"streamhub-projections-{store}") for store in Store}


def _committed_by(admin: AdminClient, group: str) -> dict[TopicPartition, int]:
    try:
        [future] = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=_TIMEOUT_S
        ).values()
        found = future.result().topic_partitions
    except KafkaException as error:
        raise Unavailable(f"Kafka does not tell what {group} committed: {error}") from error
    return {TopicPartition(p.topic, p.partition): p.offset for p in found if p.offset > 0}
