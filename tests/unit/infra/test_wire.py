"""Requests of the transaction protocol, byte by byte where it matters."""

from __future__ import annotations

import pytest

from infra.kafka.wire import (
    Member,
    Producer,
    end_txn,
    init_producer_id,
    produce,
    txn_offset_commit,
)

_ANY = dict.fromkeys((0, 22, 26, 28), (0, 99))
_PRODUCER = Producer("t", 5, 2)


def test_a_broker_that_is_too_old_is_named() -> None:
    with pytest.raises(NotImplementedError, match="request 0 has versions up to 11, not 12"):
        produce("t", 1000, {}).prepare({0: (3, 11)})


def test_a_broker_that_does_not_know_the_request_is_named() -> None:
    with pytest.raises(NotImplementedError, match="request 26 has versions up to -1, not 5"):
        end_txn(_PRODUCER).prepare({})


def test_the_end_of_a_transaction() -> None:
    request = end_txn(_PRODUCER).prepare(_ANY)
    assert (request.API_KEY, request.API_VERSION, request.FLEXIBLE_VERSION) == (26, 5, True)
    # A compact text, producer id, epoch, committed, no tags.
    assert request.encode() == b"\x02t" + bytes([*[0] * 7, 5]) + b"\x00\x02" + b"\x01" + b"\x00"


def test_the_answer_to_it_holds_the_next_epoch() -> None:
    request = end_txn(_PRODUCER).prepare(_ANY)
    answer = request.RESPONSE_TYPE.decode(bytes([*[0] * 6, *[0] * 7, 5, 0, 3, 0]))
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (0, 5, 3)


def test_nobody_asks_for_an_id() -> None:
    encoded = init_producer_id("t", 1).prepare(_ANY).encode()
    assert encoded == b"\x02t" + b"\x00\x00\x00\x01" + b"\xff" * 8 + b"\xff\xff" + b"\x00"


def test_batches_go_to_their_partitions() -> None:
    request = produce("t", 1, {("a", 3): b"xy"}).prepare(_ANY)
    assert request.encode() == (
        b"\x02t\xff\xff\x00\x00\x00\x01"
        + b"\x02"  # one topic
        + b"\x02a\x02"  # its name, one partition
        + b"\x00\x00\x00\x03\x03xy\x00"
        + b"\x00\x00"
    )


def test_a_member_without_an_instance_says_so() -> None:
    member = Member("g", 4, "m", None)
    encoded = txn_offset_commit(_PRODUCER, member, []).prepare(_ANY).encode()
    assert encoded.endswith(b"\x00\x00\x00\x04" + b"\x02m" + b"\x00" + b"\x01" + b"\x00")
