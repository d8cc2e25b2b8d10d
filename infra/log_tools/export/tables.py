"""Rows as typed Arrow tables: columns from the class of an event, and what the log knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from infra.log_tools.errors import ExtraMissing
from infra.log_tools.export.rows import UNDECODABLE, event_types


def arrow() -> ModuleType:
    """Return pyarrow with the parts that are used.

    Raises:
        ExtraMissing: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError as error:
        raise ExtraMissing(
            "Parquet and Arrow files need pyarrow: install the extra 'data' (streamhub[data]), "
            "or export jsonl"
        ) from error
    module: ModuleType = pa
    return module


def arrow_type(annotation: Any) -> Any:
    """Return the Arrow type of a field's annotation; an open object is JSON text.

    Raises:
        TypeError: there is no column for such a field yet.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return arrow_type(parts[0])
    if origin in {Union, UnionType}:
        [only] = [part for part in parts if part is not NoneType]
        return arrow_type(only)
    if origin in {tuple, list}:
        return arrow().list_(arrow_type(parts[0]))
    found = _plain(dict if origin is dict else annotation)
    if found is None:
        raise TypeError(f"no column holds {annotation}")
    return found


def _plain(kind: Any) -> Any:
    """Return the type of what is not made of other annotations, or None."""
    pa = arrow()
    known = {
        str: pa.string(),
        dict: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    if kind in known:
        return known[kind]
    if issubclass(kind, Enum):
        return pa.string()
    if is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return pa.struct([pa.field(name, arrow_type(hint)) for name, hint in hints.items()])
    return pa.struct(_fields(kind)) if issubclass(kind, BaseModel) else None


def _fields(model: type[BaseModel]) -> list[Any]:
    pa = arrow()
    return [
        pa.field(name, arrow_type(field.annotation)) for name, field in model.model_fields.items()
    ]


@cache
def schema_of(type_name: str) -> Any:
    """Return the Arrow schema of an event (name without version), or of what is undecodable."""
    pa = arrow()
    moment = pa.timestamp("us", tz="UTC")
    place = [
        pa.field("meta_topic", pa.string(), nullable=False),
        pa.field("meta_partition", pa.int32(), nullable=False),
        pa.field("meta_offset", pa.int64(), nullable=False),
        pa.field("meta_key", pa.string(), nullable=False),
        pa.field("meta_appended_at", moment, nullable=False),
    ]
    if type_name == UNDECODABLE:
        texts = [pa.field(name, pa.string()) for name in ("reason", "headers", "body")]
        return pa.schema([*place, *texts])
    facts = [
        pa.field("meta_event_id", pa.string(), nullable=False),
        pa.field("meta_stored_name", pa.string(), nullable=False),
        pa.field("meta_stream", pa.string(), nullable=False),
        pa.field("meta_stream_version", pa.int64(), nullable=False),
        pa.field("meta_time", moment, nullable=False),
        pa.field("meta_command_id", pa.string(), nullable=False),
        pa.field("meta_correlation_id", pa.string(), nullable=False),
        pa.field("meta_causation_id", pa.string(), nullable=False),
        pa.field("meta_actor_id", pa.string()),
        pa.field("meta_traceparent", pa.string()),
    ]
    return pa.schema([*place, *facts, *_fields(event_types()[type_name])])


def write_parquet(type_name: str, rows: Sequence[Any], path: Path) -> None:
    """Write rows as a Parquet file (zstd)."""
    pa = arrow()
    table = pa.Table.from_pylist(rows, schema=schema_of(type_name))
    pa.parquet.write_table(table, path, compression="zstd")


def write_arrow(type_name: str, rows: Sequence[Any], path: Path) -> None:
    """Write rows as an Arrow IPC file without compression, which readers can map into memory."""
    pa = arrow()
    table = pa.Table.from_pylist(rows, schema=schema_of(type_name))
    pa.feather.write_feather(table, str(path), compression="uncompressed")
