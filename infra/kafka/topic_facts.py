"""Topics as Kafka has them beside what the catalogue wants: partitions, offsets, retention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from events.base import TopicPartition
from events.errors import Unavailable
from infra.log_tools.reader import LogReader
from schemas.catalogue import Topic, topics

_TIMEOUT_S = 10.0
_RETENTION = "retention.ms"


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """A partition; ``start`` to before ``end`` is what it holds, transaction markers included."""

    number: int
    start: int
    end: int

    @property
    def held(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic of the catalogue; one that Kafka does not have has no partitions."""

    topic: Topic
    partitions: Sequence[PartitionFacts]
    replication: int
    retention_ms: int | None

    @property
    def held(self) -> int:
        return sum(partition.held for partition in self.partitions)


def topic_facts(bootstrap: str) -> list[TopicFacts]:
    """Return every topic of the catalogue; blocks for a moment.

    Raises:
        Unavailable: Kafka does not answer.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        known = admin.list_topics(timeout=_TIMEOUT_S).topics
        there = [topic.name for topic in topics() if topic.name in known]
        retentions = _retentions(admin, there)
    except KafkaException as error:
        raise Unavailable(f"Kafka does not answer: {error.args[0].str()}") from error
    spans = _spans(bootstrap, there)
    return [
        TopicFacts(
            topic,
            spans.get(topic.name, ()),
            _replication(known.get(topic.name)),
            retentions.get(topic.name),
        )
        for topic in topics()
    ]


def _replication(found: Any) -> int:
    return min((len(p.replicas) for p in found.partitions.values()), default=0) if found else 0


def _retentions(admin: AdminClient, names: Sequence[str]) -> dict[str, int]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers: Mapping[ConfigResource, Future[Any]] = admin.describe_configs(
        resources, request_timeout=_TIMEOUT_S
    )
    return {
        resource.name: int(answer.result(_TIMEOUT_S)[_RETENTION].value)
        for resource, answer in answers.items()
    }


def _spans(bootstrap: str, names: Sequence[str]) -> dict[str, list[PartitionFacts]]:
    with LogReader(bootstrap) as reader:
        sources: list[TopicPartition] = reader.partitions(names)
        starts, ends = reader.starts(sources), reader.ends(sources)
    found: dict[str, list[PartitionFacts]] = {}
    for source in sources:
        facts = PartitionFacts(source.partition, starts[source], ends[source])
        found.setdefault(source.topic, []).append(facts)
    return found
