from __future__ import annotations

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.causation import Node, grow

SOURCE = TopicPartition("t", 0)


def command(name: str, cause: str = "") -> LogRecord:
    headers = {"command_id": name, "causation_id": cause or name, "command_type": "video.like.v1"}
    return record(headers)


def event(name: str, of: str) -> LogRecord:
    return record({"ce_id": name, "ce_type": "video.liked.v1", "command_id": of})


def record(headers: dict[str, str]) -> LogRecord:
    encoded = {name: value.encode() for name, value in headers.items()}
    return LogRecord(SOURCE, 0, "", b"", encoded, 0)


def shape(nodes: list[Node]) -> dict[str, object]:
    return {node.id: shape(node.children) for node in nodes}


def test_what_followed_stands_below_its_cause() -> None:
    records = [command("a"), event("b", "a"), command("c", "b"), event("d", "c"), event("e", "a")]
    tree: object = {"a": {"b": {"c": {"d": {}}}, "e": {}}}
    assert shape(grow(records)) == tree
    assert shape(grow(reversed(records))) == {"a": {"e": {}, "b": {"c": {"d": {}}}}}


def test_a_command_that_came_twice_is_one() -> None:
    assert shape(grow([command("a"), command("a"), event("b", "a")])) == {"a": {"b": {}}}


def test_a_command_whose_record_is_gone_is_known_from_its_events() -> None:
    [root] = grow([event("b", "a"), event("c", "a")])
    assert (root.id, root.kind, root.record) == ("a", "command", None)
    assert shape(root.children) == {"b": {}, "c": {}}


def test_a_command_of_an_event_that_is_not_there_is_a_root() -> None:
    assert shape(grow([command("c", "b")])) == {"c": {}}
