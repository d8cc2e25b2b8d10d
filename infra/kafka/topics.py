"""Making the topics of the catalogue; nothing is ever created by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from events.errors import StreamHubError, Unavailable
from schemas.catalogue import Topic, topics

#: A topic takes longer to be made than the list of them to be read.
_TIMEOUT_S = 30.0
_LOOK_TIMEOUT_S = 10.0


class TopicMismatch(StreamHubError):
    """A topic exists with another number of partitions than the catalogue wants."""

    code = "TOPIC_MISMATCH"


@dataclass(frozen=True, slots=True)
class Installation:
    """What an installation chooses for all of its topics."""

    bootstrap: str
    partitions: int
    replication: int
    min_insync_replicas: int


async def apply_topics(installation: Installation) -> list[str]:
    """Make the topics that are missing and return their names.

    Raises:
        TopicMismatch: an existing topic has another number of partitions; keys would move.
        Unavailable: Kafka cannot be reached.
    """
    return await asyncio.to_thread(_apply, installation)


def _apply(installation: Installation) -> list[str]:
    admin = AdminClient({"bootstrap.servers": installation.bootstrap, "log_level": 0})
    try:
        existing = admin.list_topics(timeout=_LOOK_TIMEOUT_S).topics
    except KafkaException as error:
        raise Unavailable(f"Kafka cannot be reached: {error}") from error
    missing = []
    for topic in topics():
        partitions = topic.partitions or installation.partitions
        found = existing.get(topic.name)
        if found is None:
            missing.append(_new_topic(topic, partitions, installation))
        elif len(found.partitions) != partitions:
            raise TopicMismatch(
                f"{topic.name} has {len(found.partitions)} partitions, not {partitions}"
            )
    for name, future in admin.create_topics(missing).items() if missing else ():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Unavailable(f"{name} cannot be made: {error}") from error
    return [topic.topic for topic in missing]


def _new_topic(topic: Topic, partitions: int, installation: Installation) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=partitions,
        replication_factor=installation.replication,
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(topic.retention_ms),
            "min.insync.replicas": str(installation.min_insync_replicas),
            **topic.settings,
        },
    )
