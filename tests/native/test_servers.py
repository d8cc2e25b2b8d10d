"""What the rest of StreamHub relies on in each native server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import struct
import threading
from urllib.parse import urlsplit

import asyncpg
import httpx
import minio
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.native.kafka import INTERNAL_PARTITIONS
from infra.supervisor.checks import groups_of_partitions, run_check
from infra.supervisor.spec import Check
from tests.native.probes import CLIP, create_topic, read_topic
from tests.native.running import Running
from tests.native.waiting import eventually

NOT_COORDINATOR = 16


def test_postgres_is_durable_sorted_by_bytes_and_has_vectors(running: Running) -> None:
    async def ask() -> list[object]:
        connection = await asyncpg.connect(running.urls["postgres"])
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            return [
                await connection.fetchval("SHOW fsync"),
                await connection.fetchval("SHOW synchronous_commit"),
                await connection.fetchval("SELECT 'Z' < 'a'"),
                await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,2]'::vector"),
                await connection.fetchval("SELECT current_database()"),
            ]
        finally:
            await connection.close()

    assert asyncio.run(ask()) == ["on", "on", True, 0.0, "streamhub"]


def test_kafka_creates_no_topic_by_mere_use(running: Running) -> None:
    producer = Producer({"bootstrap.servers": running.urls["kafka"], "message.timeout.ms": 3000})
    failures: list[object] = []
    producer.produce("never.declared", b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(10)
    assert failures
    assert failures[0] is not None
    metadata = AdminClient({"bootstrap.servers": running.urls["kafka"]}).list_topics(timeout=10)
    assert "never.declared" not in metadata.topics


def test_kafka_commits_transactions(running: Running) -> None:
    create_topic(running.urls["kafka"], "events.transactions")
    producer = Producer({"bootstrap.servers": running.urls["kafka"], "transactional.id": "probe-1"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("events.transactions", b"kept")
    producer.flush(10)
    producer.commit_transaction(10)
    producer.begin_transaction()
    producer.produce("events.transactions", b"dropped")
    producer.flush(10)
    producer.abort_transaction(10)
    assert read_topic(running.urls["kafka"], "events.transactions", 1) == [b"kept"]


def test_every_partition_of_kafkas_groups_is_asked_for_its_coordinator(running: Running) -> None:
    host, _, port = running.urls["kafka"].partition(":")
    check = Check("kafka_groups", host, int(port), {"partitions": str(INTERNAL_PARTITIONS)})
    eventually(lambda: serves(check), 10.0)
    create_topic(running.urls["kafka"], "events.groups")
    for partition, group in enumerate(groups_of_partitions(INTERNAL_PARTITIONS)):
        commit_as(running.urls["kafka"], group)
        keys = read_offsets_topic(running.urls["kafka"], partition)
        assert any(group.encode() in key for key in keys), group


def serves(check: Check) -> bool:
    with contextlib.suppress(ConnectionError):
        run_check(check)
        return True
    return False


def commit_as(bootstrap: str, group: str) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        consumer.commit(offsets=[TopicPartition("events.groups", 0, 1)], asynchronous=False)
    finally:
        consumer.close()


def read_offsets_topic(bootstrap: str, partition: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "probe-offsets"})
    try:
        place = TopicPartition("__consumer_offsets", partition, OFFSET_BEGINNING)
        _, end = consumer.get_watermark_offsets(place, timeout=10.0)
        consumer.assign([place])
        return [message.key() or b"" for message in consumer.consume(end, timeout=10.0)]
    finally:
        consumer.close()


def test_a_group_without_coordinator_is_named() -> None:
    answers = {10: struct.pack(">hih", 0, 1, 0), 15: struct.pack(">ih", 1, NOT_COORDINATOR)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=answer_as_kafka, args=(server, answers), daemon=True).start()
        with pytest.raises(ConnectionError, match="partition 0 have no coordinator"):
            run_check(Check("kafka_groups", "127.0.0.1", port, {"partitions": "2"}))


def answer_as_kafka(server: socket.socket, answers: dict[int, bytes]) -> None:
    """Answer each kind of request on one connection by the given bytes."""
    connection, _ = server.accept()
    with connection, connection.makefile("rwb", buffering=0) as stream:
        while size := stream.read(4):
            request = stream.read(int.from_bytes(size)) or b""
            answer = request[4:8] + answers[int.from_bytes(request[:2])]
            stream.write(struct.pack(">i", len(answer)) + answer)


def test_s3_serves_ranges_and_large_uploads_in_parts(s3: minio.Minio) -> None:
    size = 11 * 1024 * 1024
    s3.put_object(
        "streamhub", "probe/large", io.BytesIO(bytes(size)), -1, part_size=5 * 1024 * 1024
    )
    assert s3.stat_object("streamhub", "probe/large").size == size
    s3.put_object("streamhub", "probe/range", io.BytesIO(CLIP), len(CLIP))
    answer = s3.get_object("streamhub", "probe/range", offset=256, length=10)
    try:
        assert answer.read() == CLIP[256:266]
    finally:
        answer.close()
        answer.release_conn()


def test_a_browser_can_upload_and_play_by_presigned_urls(s3: minio.Minio) -> None:
    origin = {"Origin": "http://app.example"}
    put = s3.presigned_put_object("streamhub", "probe/browser.mp4")
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = httpx.options(put, headers={**origin, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] in {"*", origin["Origin"]}
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    sent = httpx.put(put, content=CLIP, headers={**origin, "Content-Type": "video/mp4"})
    assert sent.status_code == 200, sent.text
    assert "access-control-allow-origin" in sent.headers
    get = s3.presigned_get_object("streamhub", "probe/browser.mp4")
    part = httpx.get(get, headers={**origin, "Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, CLIP[:100])
    assert part.headers["content-type"] == "video/mp4"
    assert "access-control-allow-origin" in part.headers


def test_s3_refuses_strangers(running: Running, s3: minio.Minio) -> None:
    url = urlsplit(running.urls["s3"])
    base = f"http://{url.hostname}:{url.port}/streamhub"
    s3.put_object("streamhub", "probe/private", io.BytesIO(CLIP), len(CLIP))
    assert httpx.get(base).status_code == 403
    assert httpx.get(f"{base}/probe/private").status_code == 403
    forged = s3.presigned_get_object("streamhub", "probe/private").replace(
        "Signature=", "Signature=0"
    )
    assert httpx.get(forged).status_code == 403


def test_opensearch_makes_no_index_by_mere_use(running: Running) -> None:
    answer = httpx.post(f"{running.urls['opensearch']}/mistyped/_doc", json={"title": "x"})
    assert answer.status_code == 404
