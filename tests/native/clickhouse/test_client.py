"""What StreamHub does with ClickHouse, through clickhouse-connect."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable

import pytest
from clickhouse_connect.driver import create_async_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.native.clickhouse.server_process import ServerProcess

VIEWS = """
CREATE TABLE views (
    partition UInt16, offset UInt64, video String, viewer UInt64, watched_s Float64,
    at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (partition, offset) PARTITION BY toYYYYMM(at)
SETTINGS non_replicated_deduplication_window = 100
"""
COLUMNS = ["partition", "offset", "video", "viewer", "watched_s", "at"]
NOON = dt.datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=dt.UTC)


def view_rows(count: int, partition: int = 0) -> list[list[object]]:
    return [[partition, n, f"video{n % 10}", n % 7, n / 2, NOON] for n in range(count)]


def scalar(client: Client, sql: str) -> object:
    return client.query(sql).result_rows[0][0]


def eventually(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)


def test_the_client_recognises_the_server(client: Client) -> None:
    assert client.ping()
    assert str(client.server_version).startswith("26.")
    assert str(client.server_tz) == "UTC"
    assert client.command("SELECT currentDatabase()") == client.database


def test_rows_inserted_are_rows_read(client: Client) -> None:
    client.command(
        "CREATE TABLE kinds (id UUID, name LowCardinality(String), tags Array(String),"
        " n Nullable(Int32), price Decimal(18, 4), day Date, at DateTime,"
        " facts Map(String, UInt8), pair Tuple(UInt8, String)) ENGINE = MergeTree ORDER BY id"
    )
    row = client.query(
        "SELECT generateUUIDv4(), 'ü', ['a', 'b'], NULL::Nullable(Int32), 1.5::Decimal(18, 4),"
        " toDate('2026-11-21'), toDateTime('2026-11-21 12:00:00'), map('k', 1::UInt8),"
        " (1::UInt8, 'x')"
    ).result_rows[0]
    columns = ["id", "name", "tags", "n", "price", "day", "at", "facts", "pair"]
    summary = client.insert("kinds", [row], column_names=columns)
    assert summary.written_rows == 1
    assert client.query("SELECT * FROM kinds").result_rows == [row]


def test_a_hundred_thousand_rows_become_one_part_a_partition(client: Client) -> None:
    client.command(VIEWS)
    rows = view_rows(100_000)
    assert client.insert("views", rows, column_names=COLUMNS).written_rows == 100_000
    assert scalar(client, "SELECT count() FROM system.parts WHERE active AND table = 'views'"
                  " AND database = currentDatabase()") == 1  # fmt: skip
    # The client answers times of the zone UTC without a zone.
    expected = [(*row[:-1], NOON.replace(tzinfo=None)) for row in rows[:2]]
    assert client.query("SELECT * FROM views ORDER BY offset LIMIT 2").result_rows == expected
    with client.query_row_block_stream("SELECT offset FROM views") as blocks:
        assert sum(len(block) for block in blocks) == 100_000


@pytest.mark.parametrize("compression", [None, "lz4", "zstd", "gzip"])
def test_the_client_may_compress_as_it_likes(
    server: ServerProcess, database: str, compression: str | None
) -> None:
    with server.client(database=database, compress=compression or False) as client:
        client.command(VIEWS)
        client.insert("views", view_rows(5000), column_names=COLUMNS)
        result = client.query("SELECT sum(offset), any(video) FROM views")
        assert result.result_rows[0][0] == sum(range(5000))


def test_a_repeated_token_inserts_nothing(client: Client) -> None:
    client.command(VIEWS)
    for rows, token, count in (
        (view_rows(10), "views:0:0-9", 10),
        (view_rows(10, partition=1), "views:0:0-9", 10),
        (view_rows(10, partition=1), "views:1:0-9", 20),
    ):
        client.insert(
            "views", rows, column_names=COLUMNS, settings={"insert_deduplication_token": token}
        )
        assert scalar(client, "SELECT count() FROM views") == count


def test_replaced_rows_vanish_under_final_and_by_optimize(client: Client) -> None:
    client.command(VIEWS)
    for token in ("a", "b"):
        client.insert(
            "views",
            view_rows(10),
            column_names=COLUMNS,
            settings={"insert_deduplication_token": token},
        )
    assert scalar(client, "SELECT count() FROM views FINAL") == 10
    client.command("OPTIMIZE TABLE views FINAL")
    assert scalar(client, "SELECT count() FROM views") == 10


def test_a_materialized_view_aggregates_what_comes_in(client: Client) -> None:
    client.command(VIEWS)
    client.command(
        "CREATE TABLE daily (video String, day Date,"
        " viewers AggregateFunction(uniqExact, UInt64),"
        " about AggregateFunction(uniqCombined64, UInt64),"
        " watched_s AggregateFunction(sum, Float64))"
        " ENGINE = AggregatingMergeTree ORDER BY (video, day)"
    )
    client.command(
        "CREATE MATERIALIZED VIEW to_daily TO daily AS SELECT video, toDate(at) AS day,"
        " uniqExactState(viewer) AS viewers, uniqCombined64State(viewer) AS about,"
        " sumState(watched_s) AS watched_s FROM views GROUP BY video, day"
    )
    client.insert("views", view_rows(100), column_names=COLUMNS)
    client.insert("views", view_rows(50, partition=1), column_names=COLUMNS)
    rows = client.query(
        "SELECT video, uniqExactMerge(viewers), uniqCombined64Merge(about), sumMerge(watched_s)"
        " FROM daily GROUP BY video ORDER BY video LIMIT 1"
    ).result_rows
    offsets = [n for count in (100, 50) for n in range(count) if n % 10 == 0]
    assert rows == [("video0", 7, 7, sum(offsets) / 2)]


def test_a_token_deduplicates_through_a_materialized_view(client: Client) -> None:
    client.command(VIEWS)
    client.command(
        "CREATE TABLE totals (video String, views SimpleAggregateFunction(sum, UInt64))"
        " ENGINE = AggregatingMergeTree ORDER BY video"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    client.command(
        "CREATE MATERIALIZED VIEW to_totals TO totals AS"
        " SELECT video, count() AS views FROM views GROUP BY video"
    )
    settings = {
        "insert_deduplication_token": "t",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
    for _ in range(2):
        client.insert("views", view_rows(100), column_names=COLUMNS, settings=settings)
    assert scalar(client, "SELECT sum(views) FROM totals") == 100


def test_tables_exchange_atomically(client: Client) -> None:
    for name, value in (("live", 1), ("rebuilt", 2)):
        client.command(f"CREATE TABLE {name} (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.insert(name, [[value]], column_names=["a"])
    client.command("EXCHANGE TABLES live AND rebuilt")
    assert scalar(client, "SELECT a FROM live") == 2
    client.command("DROP TABLE rebuilt SYNC")
    assert scalar(client, "EXISTS TABLE rebuilt") == 0


def test_rows_are_deleted_by_mutation_and_by_truncation(client: Client) -> None:
    client.command(VIEWS)
    client.insert("views", view_rows(100), column_names=COLUMNS)
    client.command("ALTER TABLE views DELETE WHERE viewer = 3", settings={"mutations_sync": 1})
    assert scalar(client, "SELECT countIf(viewer = 3) FROM views") == 0
    client.command("ALTER TABLE views DELETE WHERE viewer = 4", settings={"mutations_sync": 0})
    eventually(lambda: scalar(client, "SELECT countIf(viewer = 4) FROM views") == 0)
    client.command("DELETE FROM views WHERE viewer = 5")
    assert scalar(client, "SELECT countIf(viewer = 5) FROM views") == 0
    client.command("TRUNCATE TABLE views")
    assert scalar(client, "SELECT count() FROM views") == 0


def test_the_catalogue_is_readable(client: Client) -> None:
    client.command(VIEWS)
    client.insert("views", view_rows(10), column_names=COLUMNS)
    assert client.query("SHOW TABLES").result_rows == [("views",)]
    described = client.query("DESCRIBE TABLE views").result_rows
    assert [row[0] for row in described] == COLUMNS
    assert "ReplacingMergeTree" in str(client.command("SHOW CREATE TABLE views"))
    engine = "SELECT engine FROM system.tables WHERE database = currentDatabase()"
    assert scalar(client, engine) == "ReplacingMergeTree"
    parts = (
        "SELECT partition, sum(rows) FROM system.parts WHERE active"
        " AND database = currentDatabase() GROUP BY partition"
    )
    assert client.query(parts).result_rows == [("202611", 10)]
    counts = "SELECT partition, count() FROM views GROUP BY partition"
    assert client.query(counts).result_rows == [(0, 10)]


def test_parameters_are_bound_on_the_server_and_in_the_client(client: Client) -> None:
    hostile = "it's \\ a\ttab\nand 'more'"
    on_server = client.query(
        "SELECT {text:String}, {list:Array(String)}, {at:DateTime64(3)}",
        parameters={"text": hostile, "list": ["x", hostile], "at": NOON},
    ).result_rows[0]
    assert on_server[:2] == (hostile, ["x", hostile])
    in_client = client.query("SELECT %(text)s, %(n)s", parameters={"text": hostile, "n": 5})
    assert in_client.result_rows == [(hostile, 5)]
    long = "x" * 50_000
    assert client.query("SELECT {t:String}", parameters={"t": long}).result_rows == [(long,)]


def test_external_data_joins_a_query(client: Client) -> None:
    external = ExternalData(file_name="ids.csv", data=b"1\n3\n", fmt="CSV", structure="id UInt64")
    sql = "SELECT number FROM numbers(5) WHERE number IN (SELECT id FROM ids)"
    assert client.query(sql, external_data=external).result_rows == [(1,), (3,)]


def test_an_empty_result_has_no_rows(client: Client) -> None:
    assert client.query("SELECT number FROM numbers(0)").result_rows == []


def test_errors_carry_clickhouses_code(client: Client) -> None:
    with pytest.raises(DatabaseError) as unknown:
        client.query("SELECT * FROM nowhere")
    assert unknown.value.code == 60
    with pytest.raises(DatabaseError) as mismatch:
        client.insert("nowhere", [[1]], column_names=["a"])
    assert mismatch.value.code == 60
    sql = "SELECT number, throwIf(number = 900000, 'broke off') FROM numbers(1000000)"
    with (
        pytest.raises(StreamFailureError, match="broke off"),
        client.query_row_block_stream(sql) as blocks,
    ):
        for _ in blocks:
            pass


def test_a_client_with_a_session_works_too(server: ServerProcess, database: str) -> None:
    with server.client(database=database, autogenerate_session_id=True) as client:
        client.command("CREATE TEMPORARY TABLE held (a UInt8)")
        client.insert("held", [[1], [2]], column_names=["a"])
        assert scalar(client, "SELECT sum(a) FROM held") == 3
        limited = client.query("SELECT getSetting('max_threads')", settings={"max_threads": 1})
        assert limited.result_rows == [(1,)]
        with client.query_row_block_stream("SELECT number FROM numbers(500000)") as blocks:
            assert sum(len(block) for block in blocks) == 500_000
        assert scalar(client, "SELECT currentDatabase()") == database


async def test_the_asynchronous_client_inserts_and_reads_concurrently(
    server: ServerProcess, client: Client
) -> None:
    client.command(VIEWS)
    connected = await create_async_client(
        host="127.0.0.1", port=server.port, database=client.database
    )
    async with connected:
        await asyncio.gather(
            *(
                connected.insert("views", view_rows(1000, partition), column_names=COLUMNS)
                for partition in range(8)
            )
        )
        result = await connected.query("SELECT count(), uniqExact(partition) FROM views")
        assert result.result_rows == [(8000, 8)]
        async with await connected.query_rows_stream("SELECT offset FROM views") as rows:
            assert len([row async for row in rows]) == 8000


def test_many_clients_write_and_read_at_once(server: ServerProcess, client: Client) -> None:
    client.command(VIEWS)
    failures: list[BaseException] = []

    def work(partition: int) -> None:
        try:
            with server.client(database=client.database) as own:
                for first in range(0, 100, 10):
                    rows = view_rows(100, partition)[first : first + 10]
                    own.insert("views", rows, column_names=COLUMNS)
                    sql = f"SELECT count() FROM views WHERE partition = {partition}"
                    assert scalar(own, sql) == first + 10
        except (ClickHouseError, AssertionError) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert scalar(client, "SELECT count() FROM views") == 800


def test_a_small_query_does_not_wait_for_a_long_one(server: ServerProcess, client: Client) -> None:
    finished = threading.Event()
    one_thread = {"max_threads": 1}

    def long() -> None:
        with server.client() as own:
            own.query("SELECT sum(sipHash64(number)) FROM numbers(80000000)", settings=one_thread)
        finished.set()

    thread = threading.Thread(target=long)
    thread.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'"
    eventually(lambda: int(str(scalar(client, running))) > 1)
    for _ in range(20):
        assert scalar(client, "SELECT 1") == 1
    assert not finished.is_set()
    thread.join()
