"""Requests of Kafka's transaction protocol, version 2 (KIP-890), for aiokafka's connections.

No Python client speaks it. The fields are those of Kafka's message definitions
(``clients/src/main/resources/common/message``) at the versions below, which Kafka has since 4.0;
all have compact types and tagged fields (KIP-482).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_ALL_REPLICAS = -1
#: A leader's epoch that nobody knows.
_UNKNOWN_EPOCH = -1
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_NO_TAGS: Mapping[int, bytes] = {}


@dataclass(frozen=True, slots=True)
class Producer:
    """Who writes: each transaction has an epoch of its own, and the last one given out counts."""

    transactional_id: str
    producer_id: int = -1
    epoch: int = -1


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer as its group knows it; an older generation may not commit (KIP-447)."""

    group: str
    generation: int
    member_id: str
    instance: str | None


class Call:
    """A request with its values; ``prepare`` is what a connection asks of a request."""

    def __init__(self, struct: Any, *values: Any) -> None:
        self._struct = struct
        self._values = values

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire.

        Raises:
            NotImplementedError: the broker does not know this version of the request.
        """
        key, version = self._struct.API_KEY, self._struct.API_VERSION
        least, most = versions.get(key, (0, -1))
        if not least <= version <= most:
            raise NotImplementedError(f"request {key} has versions up to {most}, not {version}")
        return self._struct(*self._values, _NO_TAGS)


def _each(*fields: tuple[str, Any]) -> Any:
    return CompactArray(*fields, _TAGS)


def _of_partitions(*fields: tuple[str, Any]) -> tuple[str, Any]:
    """Return the field that holds something for each partition, by topic."""
    partitions = _each(("partition", Int32), *fields)
    return "topics", _each(("topic", _TEXT), ("partitions", partitions))


def _struct(key: int, version: int, *, asks: Sequence[Any], answers: Sequence[Any]) -> Any:
    """Return the class of a request that knows the class of its answer."""
    common = {"API_KEY": key, "API_VERSION": version}
    answer = type("Answer", (Response,), {**common, "SCHEMA": Schema(*answers, _TAGS)})
    return type(
        "Ask",
        (RequestStruct,),
        {
            **common,
            "SCHEMA": Schema(*asks, _TAGS),
            "RESPONSE_TYPE": answer,
            "FLEXIBLE_VERSION": True,
        },
    )


_PRODUCER = (("producer_id", Int64), ("producer_epoch", Int16))
_OUTCOME = (("throttle_time_ms", Int32), ("error_code", Int16))

_INIT_PRODUCER_ID = _struct(
    22,
    4,
    asks=(("transactional_id", _TEXT), ("transaction_timeout_ms", Int32), *_PRODUCER),
    answers=(*_OUTCOME, *_PRODUCER),
)
_PRODUCE = _struct(
    0,
    12,
    asks=(
        ("transactional_id", _TEXT),
        ("acks", Int16),
        ("timeout_ms", Int32),
        _of_partitions(("records", CompactBytes)),
    ),
    answers=(
        _of_partitions(
            ("error_code", Int16),
            ("base_offset", Int64),
            ("log_append_time_ms", Int64),
            ("log_start_offset", Int64),
            ("record_errors", _each(("batch_index", Int32), ("message", _TEXT))),
            ("error_message", _TEXT),
        ),
        ("throttle_time_ms", Int32),
    ),
)
_TXN_OFFSET_COMMIT = _struct(
    28,
    5,
    asks=(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        *_PRODUCER,
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        _of_partitions(("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT)),
    ),
    answers=(("throttle_time_ms", Int32), _of_partitions(("error_code", Int16))),
)
_END_TXN = _struct(
    26,
    5,
    asks=(("transactional_id", _TEXT), *_PRODUCER, ("committed", Boolean)),
    answers=(*_OUTCOME, *_PRODUCER),
)


def init_producer_id(transactional_id: str, timeout_ms: int) -> Call:
    """Ask for a producer id; whoever had the transactional id before is refused from now on."""
    nobody = Producer(transactional_id)
    return Call(_INIT_PRODUCER_ID, transactional_id, timeout_ms, nobody.producer_id, nobody.epoch)


def produce(
    transactional_id: str, timeout_ms: int, batches: Mapping[tuple[str, int], bytes]
) -> Call:
    """Append a batch to each partition, which is part of the transaction from then on."""
    topics = [
        (topic, [(number, data, _NO_TAGS)], _NO_TAGS) for (topic, number), data in batches.items()
    ]
    return Call(_PRODUCE, transactional_id, _ALL_REPLICAS, timeout_ms, topics)


def txn_offset_commit(
    producer: Producer, member: Member, offsets: Sequence[tuple[str, int, int]]
) -> Call:
    """Commit a group's offsets (topic, partition, offset) in the transaction."""
    topics = [
        (topic, [(number, offset, _UNKNOWN_EPOCH, "", _NO_TAGS)], _NO_TAGS)
        for topic, number, offset in offsets
    ]
    return Call(
        _TXN_OFFSET_COMMIT,
        producer.transactional_id,
        member.group,
        producer.producer_id,
        producer.epoch,
        member.generation,
        member.member_id,
        member.instance,
        topics,
    )


def end_txn(producer: Producer) -> Call:
    """Commit the transaction; the answer holds the epoch of the next one."""
    return Call(_END_TXN, producer.transactional_id, producer.producer_id, producer.epoch, True)
