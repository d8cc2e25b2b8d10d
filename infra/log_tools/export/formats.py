"""The formats of exports."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """What the files of an export are; also the ending of their names."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    ARROW = "arrow"
