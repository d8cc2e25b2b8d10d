from __future__ import annotations

import pytest

from infra.native.clickhouse.statements import data_insert, first_word, output_format


@pytest.mark.parametrize(
    ("sql", "header", "input_format", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\x02", b"INSERT INTO t ", "Native", b"\x01\x02"),
        (b"insert into t (a, b) format CSV 1,2", b"insert into t (a, b) ", "CSV", b"1,2"),
        (b"INSERT INTO t VALUES (1, 'x')", b"INSERT INTO t ", "Values", b" (1, 'x')"),
        (b"INSERT INTO t FORMAT TSV\r\nFORMAT", b"INSERT INTO t ", "TSV", b"FORMAT"),
        (b"INSERT INTO db.values FORMAT CSV\n1", b"INSERT INTO db.values ", "CSV", b"1"),
        (b"INSERT INTO format FORMAT CSV\n1", b"INSERT INTO format ", "CSV", b"1"),
        (
            b"INSERT INTO `a format b` (`values`) FORMAT CSV\n1",
            b"INSERT INTO `a format b` (`values`) ",
            "CSV",
            b"1",
        ),
        (
            b"-- FORMAT JSON\n/* VALUES */ INSERT INTO t SETTINGS a = 'FORMAT x' FORMAT CSV\n\n1",
            b"-- FORMAT JSON\n/* VALUES */ INSERT INTO t SETTINGS a = 'FORMAT x' ",
            "CSV",
            b"\n1",
        ),
        (b"INSERT INTO t FORMAT JSONEachRow", b"INSERT INTO t ", "JSONEachRow", b""),
    ],
)
def test_the_rows_of_an_insert_begin_after_its_format(
    sql: bytes, header: bytes, input_format: str, data: bytes
) -> None:
    found = data_insert(sql)
    assert found is not None
    assert (found.header, found.input_format) == (header, input_format)
    assert sql[found.data_offset :] == data


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t WITH 1 AS a SELECT a",
        b"CREATE TABLE values (a UInt8) ENGINE = Memory",
        b"",
        b"INSERT INTO t 'unterminated FORMAT CSV",
    ],
)
def test_other_statements_carry_no_rows(sql: bytes) -> None:
    assert data_insert(sql) is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", None),
        (b"SELECT 1 format JSON", "JSON"),
        (b"SELECT 1 FORMAT Native ;\n", "Native"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 'FORMAT CSV'", None),
    ],
)
def test_the_format_of_a_result_is_the_trailing_one(sql: bytes, expected: str | None) -> None:
    assert output_format(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"  -- why\n select 1", "SELECT"),
        (b"/* a */ (select 1)", "SELECT"),
        (b"use x", "USE"),
        (b"", ""),
        (b"1", ""),
    ],
)
def test_the_first_word_stands_behind_comments_and_brackets(sql: bytes, expected: str) -> None:
    assert first_word(sql) == expected
