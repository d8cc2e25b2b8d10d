"""Content encodings of requests and answers."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable

import httpx
import lz4.frame  # type: ignore[import-untyped]
import pytest
from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}
ROWS = "".join(f"{number}\tname {number % 17}\n" for number in range(200_000)).encode()


def _table(http: httpx.Client, database: str) -> None:
    sql = f"CREATE TABLE {database}.t (a UInt32, b String) ENGINE = MergeTree ORDER BY a"
    assert http.post("/", content=sql).status_code == 200


def _insert(
    http: httpx.Client, database: str, encoding: str, content: bytes | list[bytes]
) -> httpx.Response:
    body = content if isinstance(content, bytes) else iter(content)
    query = f"INSERT INTO {database}.t FORMAT TSV"
    return http.post(
        "/", params={"query": query}, headers={"Content-Encoding": encoding}, content=body
    )


def _all(http: httpx.Client, database: str) -> bytes:
    return http.post("/", content=f"SELECT * FROM {database}.t ORDER BY a").content


@pytest.mark.parametrize("encoding", COMPRESS)
def test_rows_arrive_whatever_their_encoding(
    http: httpx.Client, database: str, encoding: str
) -> None:
    _table(http, database)
    assert _insert(http, database, encoding, COMPRESS[encoding](ROWS)).status_code == 200
    assert _all(http, database) == ROWS


@pytest.mark.parametrize("encoding", COMPRESS)
def test_frames_may_follow_one_another_and_be_cut_anywhere(
    http: httpx.Client, database: str, encoding: str
) -> None:
    _table(http, database)
    frames = b"".join(
        COMPRESS[encoding](ROWS[i : i + 700_000]) for i in range(0, len(ROWS), 700_000)
    )
    cut = [frames[i : i + 4099] for i in range(0, len(frames), 4099)]
    assert _insert(http, database, encoding, cut).status_code == 200
    assert _all(http, database) == ROWS


@pytest.mark.parametrize("encoding", COMPRESS)
def test_rows_that_do_not_decompress_are_refused(
    http: httpx.Client, database: str, encoding: str
) -> None:
    _table(http, database)
    for broken in (b"this is not compressed", COMPRESS[encoding](ROWS)[:-40]):
        response = _insert(http, database, encoding, broken)
        assert response.headers["X-ClickHouse-Exception-Code"] == "271", response.text
    assert _all(http, database) == b""


def test_an_unknown_encoding_is_refused(http: httpx.Client) -> None:
    response = http.post("/", headers={"Content-Encoding": "br"}, content=b"SELECT 1")
    assert response.headers["X-ClickHouse-Exception-Code"] == "89"


def test_a_statement_may_be_compressed_too(http: httpx.Client) -> None:
    body = lz4.frame.compress(b"SELECT 1")
    assert http.post("/", headers={"Content-Encoding": "lz4"}, content=body).text == "1\n"


@pytest.mark.parametrize("wait", ["0", "1"])
@pytest.mark.parametrize("rows", [1, 600_000])
@pytest.mark.parametrize("encoding", DECOMPRESS)
def test_an_answer_is_compressed_when_asked_for(
    http: httpx.Client, encoding: str, rows: int, wait: str
) -> None:
    parameters = {"enable_http_compression": "1", "wait_end_of_query": wait}
    with http.stream(
        "POST",
        "/",
        params=parameters,
        headers={"Accept-Encoding": encoding},
        content=f"SELECT number FROM numbers({rows})",
    ) as response:
        assert response.headers["Content-Encoding"] == encoding
        raw = b"".join(response.iter_raw())
    plain = DECOMPRESS[encoding](raw)
    assert plain == "".join(f"{number}\n" for number in range(rows)).encode()


@pytest.mark.parametrize(
    ("parameters", "accepted"),
    [
        ({}, "lz4"),
        ({"enable_http_compression": "1"}, "br"),
        ({"enable_http_compression": "1"}, "gzip;q=0"),
    ],
)
def test_an_answer_is_plain_otherwise(
    http: httpx.Client, parameters: dict[str, str], accepted: str
) -> None:
    response = http.post(
        "/", params=parameters, headers={"Accept-Encoding": accepted}, content="SELECT 1"
    )
    assert "Content-Encoding" not in response.headers
    assert response.text == "1\n"
