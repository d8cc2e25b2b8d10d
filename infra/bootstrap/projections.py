"""The composition of a projection worker."""

from __future__ import annotations

from infra.ahead import BuildsInLog
from infra.bootstrap.core import Core
from infra.kafka.dead_letters import KafkaDeadLetters
from infra.kafka.ends import LogEnds
from projections.ports import Sink
from projections.registry import PROJECTIONS
from projections.runner import Runner


def runner(core: Core, sink: Sink, dead_letters: KafkaDeadLetters, ends: LogEnds) -> Runner:
    """Return the live runner of one store's projections."""
    return Runner(
        f"projections-{sink.store}",
        [projection for projection in PROJECTIONS if projection.store is sink.store],
        sink,
        builds=BuildsInLog(core.builds, sink, ends),
        keys=core.keys,
        dead_letters=dead_letters,
        parking=core.parking,
        dead_letter_cap=core.settings.dead_letter_cap,
    )
