"""Something to write into each server, and to find again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from urllib.parse import urlsplit

import asyncpg
import httpx
import minio
import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.native.running import Running

TOPIC = "events.probe"
INDEX = "probe"
OBJECT = "probe/clip.bin"
CLIP = bytes(range(256)) * 64


def create_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(20)


def read_topic(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "probe",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = consumer.consume(count, timeout=10)
        return [message.value() or b"" for message in messages if message.error() is None]
    finally:
        consumer.close()


def write_kafka(running: Running) -> None:
    create_topic(running.urls["kafka"], TOPIC)
    producer = Producer({"bootstrap.servers": running.urls["kafka"], "acks": "all"})
    producer.produce(TOPIC, b"before")
    assert producer.flush(20) == 0


def read_kafka(running: Running) -> bool:
    return read_topic(running.urls["kafka"], TOPIC, 1) == [b"before"]


def write_postgres(running: Running) -> None:
    async def write() -> None:
        connection = await asyncpg.connect(running.urls["postgres"])
        try:
            await connection.execute("CREATE TABLE probe AS SELECT 'before' AS word")
        finally:
            await connection.close()

    asyncio.run(write())


def read_postgres(running: Running) -> bool:
    async def read() -> object:
        connection = await asyncpg.connect(running.urls["postgres"])
        try:
            return await connection.fetchval("SELECT word FROM probe")
        finally:
            await connection.close()

    return asyncio.run(read()) == "before"


def write_redis(running: Running) -> None:
    with redis.Redis.from_url(running.urls["redis"]) as client:
        client.set("probe", "before")


def read_redis(running: Running) -> bool:
    with redis.Redis.from_url(running.urls["redis"]) as client:
        return bool(client.get("probe") == b"before")


def write_opensearch(running: Running) -> None:
    index = f"{running.urls['opensearch']}/{INDEX}"
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    assert httpx.put(index, json={"settings": settings}, timeout=30).status_code == 200
    document = {"title": "before"}
    assert httpx.put(f"{index}/_doc/1", json=document, timeout=30).status_code == 201


def read_opensearch(running: Running) -> bool:
    answer = httpx.get(f"{running.urls['opensearch']}/{INDEX}/_doc/1", timeout=30)
    return answer.status_code == 200 and bool(answer.json()["_source"] == {"title": "before"})


def write_clickhouse(running: Running) -> None:
    for statement in (
        "CREATE TABLE probe (word String) ENGINE = MergeTree ORDER BY word",
        "INSERT INTO probe VALUES ('before')",
    ):
        answer = httpx.post(running.urls["clickhouse"], content=statement, timeout=30)
        assert answer.status_code == 200, answer.text


def read_clickhouse(running: Running) -> bool:
    query = {"query": "SELECT word FROM probe"}
    return httpx.get(running.urls["clickhouse"], params=query).text == "before\n"


def write_s3(running: Running) -> None:
    s3_client(running).put_object("streamhub", OBJECT, io.BytesIO(CLIP), len(CLIP))


def read_s3(running: Running) -> bool:
    answer = s3_client(running).get_object("streamhub", OBJECT)
    try:
        return bool(answer.read() == CLIP)
    finally:
        answer.close()
        answer.release_conn()


def s3_client(running: Running) -> minio.Minio:
    url = urlsplit(running.urls["s3"])
    return minio.Minio(
        f"{url.hostname}:{url.port}", url.username, url.password, secure=False, region="us-east-1"
    )


Step = tuple[Callable[[Running], None], Callable[[Running], bool]]
DATA: dict[str, Step] = {
    "kafka": (write_kafka, read_kafka),
    "postgres": (write_postgres, read_postgres),
    "redis": (write_redis, read_redis),
    "clickhouse": (write_clickhouse, read_clickhouse),
    "opensearch": (write_opensearch, read_opensearch),
    "s3": (write_s3, read_s3),
}
NOT_YET = (OSError, KafkaException, redis.ConnectionError, httpx.HTTPError, asyncpg.PostgresError)
