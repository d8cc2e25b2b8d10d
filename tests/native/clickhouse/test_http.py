"""The HTTP interface, as any client without a driver meets it."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.native.clickhouse.server_process import ServerProcess


def post(http: httpx.Client, sql: str | bytes, **parameters: str) -> httpx.Response:
    return http.post("/", params=parameters, content=sql)


def text(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return response.text


def test_ping_and_an_empty_get_say_ok(http: httpx.Client) -> None:
    assert http.get("/ping").text == "Ok.\n"
    assert http.post("/ping").text == "Ok.\n"
    assert http.get("/").text == "Ok.\n"
    assert http.head("/").status_code == 200


def test_an_unknown_path_is_not_found(http: httpx.Client) -> None:
    response = http.get("/nowhere")
    assert response.status_code == 404
    assert "There is no handle /nowhere" in response.text


def test_a_result_is_described_by_its_headers(http: httpx.Client) -> None:
    response = post(http, "SELECT number FROM numbers(3)", query_id="mine", wait_end_of_query="1")
    assert text(response) == "0\n1\n2\n"
    headers = response.headers
    assert headers["X-ClickHouse-Query-Id"] == "mine"
    assert headers["X-ClickHouse-Format"] == "TabSeparated"
    assert headers["X-ClickHouse-Timezone"] == "UTC"
    assert headers["X-ClickHouse-Server-Display-Name"]
    assert headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"
    summary = json.loads(headers["X-ClickHouse-Summary"])
    assert summary["read_rows"] == "3"
    assert int(summary["elapsed_ns"]) > 0


@pytest.mark.parametrize(
    ("sql", "parameters", "headers", "expected", "media_type"),
    [
        ("SELECT 1 AS a FORMAT JSONEachRow", {}, {}, '{"a":1}\n', "application/x-ndjson"),
        ("SELECT 1 AS a", {"default_format": "CSVWithNames"}, {}, '"a"\n1\n', "text/csv"),
        ("SELECT 1 AS a", {}, {"X-ClickHouse-Format": "JSONEachRow"}, '{"a":1}\n', "application"),
        ("SELECT 1 FORMAT CSV", {"default_format": "JSON"}, {}, "1\n", "text/csv"),
    ],
)
def test_the_format_is_the_statements_or_else_the_requests(
    http: httpx.Client,
    sql: str,
    parameters: dict[str, str],
    headers: dict[str, str],
    expected: str,
    media_type: str,
) -> None:
    response = http.post("/", params=parameters, headers=headers, content=sql)
    assert text(response) == expected
    assert response.headers["Content-Type"].startswith(media_type)


def test_a_native_block_comes_back_as_bytes(http: httpx.Client) -> None:
    response = post(http, "SELECT toUInt8(7) AS a FORMAT Native")
    assert response.content == b"\x01\x01\x01a\x05UInt8\x07"
    assert response.headers["Content-Type"] == "application/octet-stream"


def test_the_body_continues_the_query_of_the_url(http: httpx.Client) -> None:
    assert text(http.post("/", params={"query": "SELECT 1 +"}, content="2")) == "3\n"


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("", 400, 62),
        ("SELECT * FROM nowhere", 404, 60),
        ("SELECT nothing", 404, 47),
        ("SELECT unknown_function(1)", 404, 46),
        ("SELECT 1 FORMAT Nonsense", 404, 73),
        ("SELECT 1 SETTINGS nonsense = 1", 404, 115),
        ("USE nowhere", 404, 81),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT {a:UInt8}", 500, 456),
        ("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 0.1", 408, 159),
        ("INSERT INTO nowhere VALUES (1)", 404, 60),
        ("INSERT INTO FUNCTION null('a UInt8') FORMAT CSV\nx\n", 400, 117),
        ("INSERT INTO FUNCTION null('a UInt8') SELECT a FROM input('a UInt8') FORMAT CSV", 501, 48),
    ],
)
def test_an_exception_has_clickhouses_status_and_code(
    http: httpx.Client, sql: str, status: int, code: int
) -> None:
    response = post(http, sql)
    assert response.status_code == status, response.text
    assert response.headers["X-ClickHouse-Exception-Code"] == str(code)
    assert response.text.startswith(f"Code: {code}. DB::")
    assert response.headers["X-ClickHouse-Query-Id"]


def test_get_may_read_and_may_not_write(http: httpx.Client, database: str) -> None:
    assert text(http.get("/", params={"query": "SELECT 1"})) == "1\n"
    for sql in (
        f"CREATE TABLE {database}.t (a UInt8) ENGINE = Memory",
        f"INSERT INTO {database}.t VALUES (1)",
    ):
        refused = http.get("/", params={"query": sql})
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (500, "164")


def test_parameters_are_bound_by_type(http: httpx.Client) -> None:
    sql = "SELECT {text:String}, {list:Array(UInt8)}, {nothing:Nullable(String)}, {name:Identifier}"
    response = post(
        http,
        f"{sql} FROM (SELECT 5 AS five) FORMAT JSONCompactEachRow",
        param_text="it's\\ta \\\\ tab",
        param_list="[1,2]",
        param_nothing="\\N",
        param_name="five",
    )
    assert json.loads(text(response)) == ["it's\ta \\ tab", [1, 2], None, 5]


def test_a_setting_and_a_database_end_with_their_request(http: httpx.Client, database: str) -> None:
    sql = "SELECT getSetting('max_block_size'), currentDatabase()"
    before = text(post(http, sql))
    changed = text(post(http, sql, max_block_size="1234", database=database))
    assert changed == f"1234\t{database}\n"
    text(post(http, "SET max_block_size = 77"))
    assert text(post(http, sql)) == before


def test_an_unknown_setting_or_database_in_the_url_is_refused(http: httpx.Client) -> None:
    setting = post(http, "SELECT 1", no_such_setting="1")
    assert setting.headers["X-ClickHouse-Exception-Code"] == "115"
    database = post(http, "SELECT 1", database="nowhere")
    assert database.headers["X-ClickHouse-Exception-Code"] == "81"
    hostile = {"max_threads = 1, readonly": "1"}
    assert http.post("/", params=hostile, content="SELECT 1").status_code == 404


def test_rows_come_in_the_body_in_every_arrangement(http: httpx.Client, database: str) -> None:
    text(
        post(
            http,
            "CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a",
            database=database,
        )
    )
    in_url = {"database": database, "query": "INSERT INTO t FORMAT JSONEachRow"}
    assert text(http.post("/", params=in_url, content='{"a":1,"b":"x"}\n{"a":2}')) == ""
    text(post(http, "INSERT INTO t (b, a) FORMAT CSV\r\ny,3\r\n", database=database))
    text(
        post(
            http, "INSERT INTO t VALUES (2 + 2, concat('z', ';')), (5, 'FORMAT')", database=database
        )
    )
    values_in_url = {"database": database, "query": "INSERT INTO t VALUES (6, 'u')"}
    text(http.post("/", params=values_in_url))
    in_parts = http.post(
        "/", params={"database": database}, content=iter([b"INSERT INTO t FORMAT TSV\n7", b"\tw\n"])
    )
    assert json.loads(in_parts.headers["X-ClickHouse-Summary"])["written_rows"] == "1"
    rows = text(post(http, "SELECT * FROM t ORDER BY a FORMAT CSV", database=database))
    assert rows.splitlines() == [
        '1,"x"', '2,""', '3,"y"', '4,"z;"', '5,"FORMAT"', '6,"u"', '7,"w"'
    ]  # fmt: skip


def test_a_form_carries_query_and_parameters(http: httpx.Client) -> None:
    fields = {"query": (None, "SELECT {a:String}"), "param_a": (None, "x" * 100_000)}
    assert text(http.post("/", files=fields)) == "x" * 100_000 + "\n"


def test_an_external_table_lives_for_one_query(http: httpx.Client) -> None:
    files = {"ext": ("ext.csv", b"1,a\n2,b\n")}
    parameters = {"ext_format": "CSV", "query": "SELECT sum(_1), max(_2) FROM ext"}
    types = {"ext_types": "Decimal(10, 2),String"}
    assert text(http.post("/", params={**parameters, **types}, files=files)) == "3\tb\n"
    assert post(http, "SELECT * FROM ext").status_code == 404
    no_structure = http.post("/", params=parameters, files=files)
    assert no_structure.headers["X-ClickHouse-Exception-Code"] == "36"


def test_a_session_keeps_what_it_set(http: httpx.Client, database: str) -> None:
    def run(sql: str, **parameters: str) -> str:
        return text(post(http, sql, session_id="keeps", **parameters))

    run("CREATE TEMPORARY TABLE held (a UInt8)")
    run("INSERT INTO held VALUES (5)")
    run("SET max_block_size = 77")
    run(f"USE {database}")
    state = "SELECT getSetting('max_block_size'), currentDatabase(), (SELECT a FROM held)"
    assert run(state) == f"77\t{database}\t5\n"
    assert run(state, max_block_size="5", database="system") == "5\tsystem\t5\n"
    assert run(state) == f"77\t{database}\t5\n"
    assert text(post(http, "SELECT currentDatabase()", session_id="other")) == "default\n"
    assert post(http, "SELECT * FROM held", session_id="other").status_code == 404


def test_a_set_in_a_session_outlives_the_settings_of_requests(http: httpx.Client) -> None:
    def run(sql: str, **parameters: str) -> str:
        return text(post(http, sql, session_id="mixed", **parameters))

    state = "SELECT getSetting('max_block_size')"
    assert run(state, max_block_size="5") == "5\n"
    run("SET max_block_size = 9", max_block_size="6")
    assert run(state) == "9\n"
    assert run(state, max_block_size="7") == "7\n"
    assert run(state) == "9\n"


def test_a_session_runs_one_request_at_a_time(http: httpx.Client) -> None:
    session = {"session_id": "busy"}
    with http.stream("POST", "/", params=session, content="SELECT * FROM numbers(100000000)") as r:
        # Kept: one that is collected closes the connection.
        chunks = r.iter_raw()
        next(chunks)
        second = post(http, "SELECT 1", **session)
        assert second.headers["X-ClickHouse-Exception-Code"] == "373"
    assert _eventually_free(http, session)


def _eventually_free(http: httpx.Client, session: dict[str, str]) -> bool:
    """The client went away in the middle of a result; the session comes back all the same."""
    return any(post(http, "SELECT 1", **session).status_code == 200 for _ in range(500))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"session_id": "never-made", "session_check": "1"}, "372"),
        ({"session_id": "late", "session_timeout": "1000000"}, "374"),
        ({"session_id": "odd", "session_timeout": "soon"}, "374"),
    ],
)
def test_a_session_is_asked_for_properly(
    http: httpx.Client, parameters: dict[str, str], code: str
) -> None:
    response = post(http, "SELECT 1", **parameters)
    assert response.headers["X-ClickHouse-Exception-Code"] == code


def test_a_long_result_is_streamed_and_complete(http: httpx.Client) -> None:
    with http.stream("POST", "/", content="SELECT number FROM numbers(1000000)") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        lines = list(response.iter_lines())
    assert len(lines) == 1_000_000
    assert lines[-1] == "999999"


def test_an_exception_within_a_streamed_result_is_told_inside_it(http: httpx.Client) -> None:
    sql = "SELECT throwIf(number = 900000, 'broke off') FROM numbers(1000000)"
    response = post(http, sql)
    assert response.status_code == 200
    tag = response.headers["X-ClickHouse-Exception-Tag"]
    assert response.text.endswith(f" {tag}\r\n__exception__\r\n")
    assert f"\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: broke off" in response.text
    whole = post(http, sql, wait_end_of_query="1")
    assert (whole.status_code, whole.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_clickhouses_own_block_compression_is_refused(http: httpx.Client) -> None:
    for parameter in ("compress", "decompress"):
        assert http.post("/", params={parameter: "1"}, content="SELECT 1").status_code == 501


@pytest.mark.parametrize(
    ("headers", "parameters", "admitted"),
    [
        ({}, {}, True),
        ({"X-ClickHouse-User": "default"}, {}, True),
        ({"Authorization": "Basic ZGVmYXVsdDo="}, {}, True),
        ({}, {"user": "default", "password": ""}, True),
        ({"X-ClickHouse-User": "somebody"}, {}, False),
        ({"X-ClickHouse-Key": "wrong"}, {}, False),
        ({"Authorization": "Basic ZGVmYXVsdDp3cm9uZw=="}, {}, False),
        ({"Authorization": "Basic ?"}, {}, False),
        ({}, {"user": "default", "password": "wrong"}, False),
    ],
)
def test_the_user_is_default_with_its_password(
    server: ServerProcess, headers: dict[str, str], parameters: dict[str, str], admitted: bool
) -> None:
    response = httpx.post(server.url, headers=headers, params=parameters, content="SELECT 1")
    assert response.status_code == (200 if admitted else 403)
    assert response.headers.get("X-ClickHouse-Exception-Code") == (None if admitted else "516")
