"""Protocol-level questions to a server: does it answer as the server that it should be?

Only sockets and hashing of the standard library, so that the supervisor stays small: an HTTP or
database client would weigh more than everything else in that process. Each check returns normally
when the server serves, and raises ``OSError`` with the reason when it does not (yet).
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
import socket
import struct
import time
from collections.abc import Callable

from infra.supervisor.spec import Check

TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 65_536
# Error codes of Kafka's protocol.
_COORDINATOR_NOT_AVAILABLE = 15
_NOT_COORDINATOR = 16


def run_check(check: Check) -> None:
    """Ask once. Raises ``OSError`` when the server does not serve, ``KeyError`` for a bad kind."""
    CHECKS[check.kind](check)


def _connect(check: Check) -> socket.socket:
    return socket.create_connection((check.host, check.port), timeout=TIMEOUT_S)


def check_tcp(check: Check) -> None:
    """Something accepts connections."""
    _connect(check).close()


def check_redis(check: Check) -> None:
    """``PING`` is answered by ``PONG`` (and not by ``LOADING``)."""
    with _connect(check) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(128)
    if answer != b"+PONG\r\n":
        raise ConnectionError(answer.decode(errors="replace").strip())


def check_kafka(check: Check) -> None:
    """A metadata request (version 4) names at least one broker.

    Layouts: "Kafka protocol guide", request header version 1 and Metadata version 4.
    """
    no_topics = struct.pack(">ib", 0, 0)  # And none is to be created.
    with _connect(check) as connection:
        answer = _ask_kafka(connection, 3, 4, no_topics)
    brokers = struct.unpack_from(">i", answer, 4)[0]
    if brokers < 1:
        raise ConnectionError("no broker is registered yet")


def check_kafka_groups(check: Check) -> None:
    """Each of the ``partitions`` of Kafka's consumer groups has its coordinator.

    A broker that loses and regains the lead of such a partition while it reads it can be left
    without its coordinator until it is started again (seen with 4.1.2): it serves everything but
    the groups that live there. Layouts: "Kafka protocol guide", FindCoordinator version 0, which
    has the groups' topic made where there is none, and DescribeGroups version 0.
    """
    groups = [_text(group) for group in groups_of_partitions(int(check.options["partitions"]))]
    with _connect(check) as connection:
        answer = _ask_kafka(connection, 10, 0, groups[0])
        if struct.unpack_from(">h", answer)[0] == _COORDINATOR_NOT_AVAILABLE:
            raise ConnectionError("there are no consumer groups yet")
        for partition, group in enumerate(groups):
            answer = _ask_kafka(connection, 15, 0, struct.pack(">i", 1) + group)
            if struct.unpack_from(">h", answer, 4)[0] == _NOT_COORDINATOR:
                raise ConnectionError(f"the groups of partition {partition} have no coordinator")


def _ask_kafka(connection: socket.socket, kind: int, version: int, body: bytes) -> bytes:
    """Return the answer to a request without its correlation id."""
    request = struct.pack(">hhi", kind, version, 1) + _text("streamhub") + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    size = struct.unpack(">i", _receive(connection, 4))[0]
    return _receive(connection, min(size, ANSWER_BYTES_MAX))[4:]


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def groups_of_partitions(partitions: int) -> list[str]:
    """Return the name of a group that lives in each of so many partitions, in their order."""
    found: dict[int, str] = {}
    for name in (f"streamhub-probe-{number}" for number in itertools.count()):
        found.setdefault(_java_hash(name) % partitions, name)
        if len(found) == partitions:
            break
    return [found[partition] for partition in range(partitions)]


def _java_hash(text: str) -> int:
    """Return the hash of a Java ``String`` without its sign, as Kafka places groups by it."""
    return functools.reduce(lambda code, byte: 31 * code + byte, text.encode(), 0) & 0x7FFFFFFF


def check_postgres(check: Check) -> None:
    """``SELECT 1`` gives a row, as the given user in the given database (trusted, no password).

    Layouts: PostgreSQL manual, "Frontend/Backend Protocol", version 3.0.
    """
    user, database = check.options["user"], check.options["database"]
    parameters = b"".join(
        word.encode() + b"\0" for word in ("user", user, "database", database, "")
    )
    query = b"SELECT 1\0"
    with _connect(check) as connection:
        connection.sendall(struct.pack(">ii", len(parameters) + 8, 196_608) + parameters)
        _postgres_until(connection, b"Z")
        connection.sendall(b"Q" + struct.pack(">i", len(query) + 4) + query)
        _postgres_until(connection, b"D")
        connection.sendall(b"X" + struct.pack(">i", 4))


def _postgres_until(connection: socket.socket, wanted: bytes) -> None:
    """Read messages up to one of the wanted type."""
    while True:
        kind = _receive(connection, 1)
        size = struct.unpack(">i", _receive(connection, 4))[0] - 4
        body = _receive(connection, min(size, ANSWER_BYTES_MAX))
        if kind == b"E":
            raise ConnectionError(body.replace(b"\0", b" ").decode(errors="replace"))
        if kind == wanted:
            return


def check_http(check: Check) -> None:
    """``GET path`` is answered by status 200 and contains ``expect``."""
    _http_get(check, check.options.get("path", "/"), {}, check.options.get("expect", ""))


def check_s3(check: Check) -> None:
    """The bucket can be listed with the given keys (AWS signature version 4)."""
    path = f"/{check.options['bucket']}"
    query = "list-type=2&max-keys=1"
    headers = _signed_headers(check, path, query)
    _http_get(check, f"{path}?{query}", headers, "ListBucketResult")


def _signed_headers(check: Check, path: str, query: str) -> dict[str, str]:
    """Return the headers of a signed GET, as "Signature Version 4 signing process" lays down."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": f"{check.host}:{check.port}",
        "x-amz-content-sha256": empty,
        "x-amz-date": stamp,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"GET\n{path}\n{query}\n{lines}\n{names}\n{empty}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4" + check.options["secret_key"].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{check.options['access_key']}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
    )
    return headers


def _http_get(check: Check, target: str, headers: dict[str, str], expect: str) -> None:
    fields = {"host": f"{check.host}:{check.port}", **headers, "connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with _connect(check) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = _receive_all(connection).decode(errors="replace")
    status = answer.split("\r\n", 1)[0]
    if " 200" not in status:
        raise ConnectionError(status or "closed without an answer")
    if expect not in answer:
        raise ConnectionError(f"the answer does not hold {expect!r}")


def _receive(connection: socket.socket, size: int) -> bytes:
    """Read exactly ``size`` bytes."""
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("closed without a whole answer")
        parts += part
    return bytes(parts)


def _receive_all(connection: socket.socket) -> bytes:
    """Read until the server closes, at most ``ANSWER_BYTES_MAX``."""
    parts = bytearray()
    while len(parts) < ANSWER_BYTES_MAX and (part := connection.recv(8192)):
        parts += part
    return bytes(parts)


CHECKS: dict[str, Callable[[Check], None]] = {
    "tcp": check_tcp,
    "http": check_http,
    "kafka": check_kafka,
    "kafka_groups": check_kafka_groups,
    "postgres": check_postgres,
    "redis": check_redis,
    "s3": check_s3,
}
