"""Every event has a row, and a table whose columns take it."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import pyarrow as pa
import pytest

from events.base import Event
from events.registry import EVENT_TYPES
from infra.log_tools.errors import ExtraMissing
from infra.log_tools.export.files import ExportFolder
from infra.log_tools.export.formats import ExportFormat
from infra.log_tools.export.rows import UNDECODABLE, rows_of
from infra.log_tools.export.tables import arrow_type, schema_of
from infra.log_tools.keys import NoKeys
from infra.log_tools.selection import Filters
from infra.log_tools.showing import facts, pretty, shown
from infra.log_tools.stats import UNTYPED, collect, size_of
from schemas.publish import Contract
from tests.unit.events.known import ADA, NOW
from tests.unit.log_tools.records import record_of

KEYS = NoKeys()
CONTRACT = Contract()


def example(event_type: type[Event]) -> Event:
    body = CONTRACT.example_path(event_type, event_type.version).read_bytes()
    return event_type.model_validate_json(body)


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda each: each.stored_name())
def test_a_table_takes_the_row_of_every_event(event_type: type[Event]) -> None:
    [row] = rows_of(record_of(example(event_type), timestamp_ms=1_000), KEYS, Filters())
    assert (row.type, row.day) == (event_type.name, "2026-03-01")
    table = pa.Table.from_pylist([row.values], schema=schema_of(row.type))
    [read] = table.to_pylist()
    assert set(read) == set(row.values)
    assert set(event_type.model_fields) <= set(read)
    assert not {"type", "day"} & set(read)
    for name, value in row.values.items():
        assert orjson.loads(orjson.dumps(read[name])) == orjson.loads(orjson.dumps(value)), name


def test_columns_have_the_types_of_their_fields() -> None:
    ready = schema_of("video.ready")
    assert ready.field("duration_seconds").type == pa.float64()
    assert ready.field("width").type == pa.int64()
    assert pa.types.is_struct(ready.field("renditions").type.value_type)
    assert schema_of("video.created").field("tags").type == pa.list_(pa.string())
    assert schema_of("session.started").field("expires_at").type == pa.timestamp("us", tz="UTC")
    assert schema_of("content.scored").field("flagged").type == pa.bool_()
    assert schema_of("command.decided").field("answer").type == pa.string()
    assert schema_of("video.viewed").field("meta_time").type == pa.timestamp("us", tz="UTC")


def test_a_field_that_no_column_holds_is_an_error() -> None:
    with pytest.raises(TypeError, match="no column"):
        arrow_type(complex)


def test_what_cannot_be_decoded_keeps_its_bytes() -> None:
    record = record_of(example(EVENT_TYPES[0]), timestamp_ms=1_000)
    record.value = b"nonsense"
    [row] = rows_of(record, KEYS, Filters())
    assert (row.type, row.day) == (UNDECODABLE, "1970-01-01")
    assert row.values["body"] == "nonsense"
    assert orjson.loads(row.values["headers"])["ce_type"] == EVENT_TYPES[0].stored_name()
    pa.Table.from_pylist([row.values], schema=schema_of(row.type))


def test_the_extra_is_named_when_it_is_missing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExtraMissing, match=r"streamhub\[data\]"):
        ExportFolder(tmp_path, "export", ExportFormat.PARQUET)
    ExportFolder(tmp_path, "export", ExportFormat.JSONL)


def test_a_record_is_shown_as_json_and_in_lines() -> None:
    record = record_of(example(EVENT_TYPES[0]), 4, timestamp_ms=1_000)
    [view] = shown([record], KEYS)
    assert view["type"] == EVENT_TYPES[0].stored_name()
    assert (view["topic"], view["offset"], view["streamVersion"]) == ("events.users", 4, 5)
    assert view["appendedAt"] == "1970-01-01T00:00:01.000000Z"
    assert view["time"] == NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert "error" not in view
    assert "events.users-0@4" in "\n".join(pretty(view))
    record.value = b"nonsense"
    [view] = shown([record], KEYS)
    assert view["data"] is None
    assert view["error"].startswith("UNDECODABLE_RECORD")
    assert facts(record)["actorId"] == "somebody"


def test_stats_are_kept_for_each_type_and_partition() -> None:
    event = example(EVENT_TYPES[0])
    records = [
        record_of(event, 0, timestamp_ms=9_000),
        record_of(event, 1, timestamp_ms=3_000),
        record_of(event, 0, timestamp_ms=5_000, partition=1),
    ]
    records[2].headers = {}
    first, second = collect(records)
    assert (first.type, first.records) == (event.stored_name(), 2)
    assert (first.first_ms, first.last_ms) == (3_000, 9_000)
    assert first.bytes == size_of(records[0]) + size_of(records[1])
    assert (second.type, second.source.partition, second.records) == (UNTYPED, 1, 1)
    assert second.bytes == len("a key") + len(records[2].value)
    assert ADA not in second.type
