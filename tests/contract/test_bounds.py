"""Where partitions begin and end, on a real broker."""

from __future__ import annotations

import secrets

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.kafka.consumption import Bounds
from infra.kafka.transactions import Place
from tests.conftest import Servers

_TIMEOUT_S = 30.0


def _filled(bootstrap: str) -> Place:
    """Return a partition whose first two of five records were deleted."""
    topic = f"bounds-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (made,) = admin.create_topics([NewTopic(topic, 1)]).values()
    made.result(_TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(5):
        producer.produce(topic, str(number).encode(), partition=0)
    assert producer.flush(_TIMEOUT_S) == 0
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, 2)]).values()
    deleted.result(_TIMEOUT_S)
    return topic, 0


def test_a_partition_begins_at_its_first_record_and_ends_behind_its_last(servers: Servers) -> None:
    place = _filled(servers["kafka"])
    bounds = Bounds(servers["kafka"])
    assert bounds.beginnings([place], _TIMEOUT_S) == {place: 2}
    assert bounds.ends([place], _TIMEOUT_S) == {place: 5}


def test_of_no_partition_nothing_is_asked(servers: Servers) -> None:
    bounds = Bounds(servers["kafka"])
    assert (bounds.beginnings([], _TIMEOUT_S), bounds.ends([], _TIMEOUT_S)) == ({}, {})


def test_a_partition_that_there_is_not_is_an_error(servers: Servers) -> None:
    bounds = Bounds(servers["kafka"])
    with pytest.raises(KafkaException):
        bounds.ends([("bounds-nobody-made-this", 0)], _TIMEOUT_S)
