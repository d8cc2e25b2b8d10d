"""Just enough of ClickHouse's grammar to route a request.

Where the rows of an INSERT begin, and which format a result is in; everything else is for the
engine's own parser.

SQL is bytes throughout, because a request body may hold a statement followed by a binary block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# One token. The quantifiers are possessive, so that an unterminated string fails in linear time.
_TOKEN = re.compile(
    rb"""
    (?P<space>  \s++ | --[^\n]*+ | \#[ !][^\n]*+ | /\*.*?\*/ )
  | (?P<text>   '(?:[^'\\]++|\\.|'')*+' | "(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+` )
  | (?P<word>   [A-Za-z_][A-Za-z0-9_]*+ )
  | (?P<open>   [(\[{] )
  | (?P<close>  [)\]}] )
  | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
# A quote that is a token of its own has no end.
_QUOTES = frozenset({b"'", b'"', b"`"})
_NAME_FOLLOWS = frozenset({b"INTO", b"TABLE", b"FUNCTION", b"."})
_QUERY_BEGINS = frozenset({b"SELECT", b"WITH", b"FROM", b"WATCH", b"EXPLAIN"})
_DATA_GAP = re.compile(rb"[ \t\f]*+;?[ \t\f]*+(?:\r?\n)?")
_TRAILING_FORMAT = re.compile(
    rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;*\s*\Z", re.IGNORECASE | re.DOTALL
)
_TRAILING_FORMAT_SPAN = 2048
_FIRST_WORD = re.compile(rb"(?:\s++|--[^\n]*+\n|/\*.*?\*/|\()*+([A-Za-z]++)", re.DOTALL)
_INPUT_FUNCTION = re.compile(rb"\binput\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DataInsert:
    """An INSERT whose rows follow the statement.

    ``header`` is the statement up to, and without, its FORMAT or VALUES clause; ``data_offset``
    is where the rows begin in the bytes that were given.
    """

    header: bytes
    input_format: str
    data_offset: int


def first_word(sql: bytes) -> str:
    """Return the first keyword in upper case, without comments and opening brackets before it."""
    found = _FIRST_WORD.match(sql)
    return found.group(1).decode().upper() if found else ""


def output_format(sql: bytes) -> str | None:
    """Return the format that a FORMAT clause at the end of the statement names."""
    found = _TRAILING_FORMAT.search(sql[-_TRAILING_FORMAT_SPAN:])
    return found.group(1).decode() if found else None


def reads_input_function(sql: bytes) -> bool:
    """Whether the statement is an INSERT that selects from the data of its own request."""
    return first_word(sql) == "INSERT" and _INPUT_FUNCTION.search(sql) is not None


def data_insert(sql: bytes) -> DataInsert | None:
    """Return where the rows of an INSERT begin, or None for any other statement.

    ``sql`` may be cut off inside the rows, but not inside the statement.
    """
    if first_word(sql) != "INSERT":
        return None
    for keyword, start, end in _clause_words(sql):
        if keyword in _QUERY_BEGINS:
            return None
        if keyword == b"VALUES":
            return DataInsert(sql[:start], "Values", end)
        if keyword == b"FORMAT":
            return _with_format(sql, start, end)
    return None


def _with_format(sql: bytes, start: int, end: int) -> DataInsert | None:
    name = re.compile(rb"\s++(\w++)").match(sql, end)
    if name is None:
        return None
    gap = _DATA_GAP.match(sql, name.end())
    offset = gap.end() if gap else name.end()
    return DataInsert(sql[:start], name.group(1).decode(), offset)


def _clause_words(sql: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each keyword outside brackets that does not stand where a name stands."""
    depth = 0
    previous = b""
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "space":
            continue
        if token.group() in _QUOTES:
            return
        depth += (kind == "open") - (kind == "close")
        value = token.group().upper()
        if kind == "word" and depth == 0 and previous not in _NAME_FOLLOWS:
            yield value, token.start(), token.end()
        previous = value
