"""What operators rely on: limits, dead letters, honest refusals when a part is away."""

from __future__ import annotations

import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from tests.conftest import Servers
from tests.support.api import Api, Person, name
from tests.support.log import headers_of, read_log, read_topics
from tests.support.positions import settled
from tests.support.servers import ServerControl
from tests.support.stores import check_everything
from tests.support.streamhub import CONSISTENCY_TIMEOUT_S, StreamHub, limited_address
from tests.support.videos import Backstage
from tests.support.waiting import eventually

DEAD_LETTERS = "deadletters"


@pytest.fixture
def limited(streamhub: StreamHub) -> Api:
    """A client for whom limits hold."""
    return Api(streamhub.url, source=limited_address())


async def test_signing_in_is_limited(limited: Api) -> None:
    """SH-11: the sixth attempt of a minute is a 429 that says when to come back."""
    async with limited:
        body = {"email": f"{name()}@example.org", "password": "a guess"}
        answers = [await limited.call("POST", "/auth/login", body) for _ in range(6)]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    refused = answers[-1]
    assert (refused.code, refused.body["error"]["message"]) == (
        "RATE_LIMIT_ERROR",
        "Rate limit exceeded",
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert answers[0].headers["ratelimit-policy"] == '"login";q=5;w=60'
    assert answers[0].headers["ratelimit"].startswith('"login";r=4;t=')


async def test_limits_are_kept_apart(limited: Api, public_video: str) -> None:
    """SH-11: who may not sign in any more may still read."""
    async with limited:
        body = {"username": name(), "email": "wrong", "password": "x"}
        answers = [await limited.call("POST", "/auth/register", body) for _ in range(4)]
        assert [answer.status for answer in answers] == [400] * 3 + [429]
        found = await limited.call("GET", f"/videos/{public_video}")
    assert found.status == 200
    assert found.headers["ratelimit-policy"] == '"read";q=1000;w=60'


async def test_a_read_does_not_answer_before_it_shows_what_was_seen(
    streamhub: StreamHub, person: Person, video: str
) -> None:
    """PN-74, R6: a projection that stands still is a 503 with Retry-After, not a stale answer."""
    assert (await person.get(f"/videos/{video}")).data["likes"] == 0
    with streamhub.paused("projections"):
        liked = await person.post(f"/videos/{video}/like")
        assert liked.status == 200
        behind = await person.get(f"/videos/{video}")
        without_token = await person.call("GET", f"/videos/{video}", seen="")
    assert (behind.status, behind.code) == (503, "PROJECTION_BEHIND")
    assert int(behind.headers["retry-after"]) >= 1
    assert without_token.data["likes"] == 0
    assert (await person.get(f"/videos/{video}")).data["likes"] == 1


async def test_a_reader_says_how_long_it_waits(
    streamhub: StreamHub, person: Person, video: str
) -> None:
    """R6: `Prefer: wait=0` is told at once; without a token there is nothing to wait for."""
    assert (await person.get(f"/videos/{video}")).data["likes"] == 0
    with streamhub.paused("projections"):
        assert (await person.post(f"/videos/{video}/like")).status == 200
        started = time.monotonic()
        behind = await person.call("GET", f"/videos/{video}", headers={"Prefer": "wait=0"})
        waited_s = time.monotonic() - started
    assert (behind.status, behind.code) == (503, "PROJECTION_BEHIND")
    assert waited_s < CONSISTENCY_TIMEOUT_S / 2
    shown = await person.call("GET", f"/videos/{video}", headers={"Prefer": "wait=30"})
    assert (shown.status, shown.data["likes"]) == (200, 1)
    assert shown.headers["preference-applied"] == "wait=30"


async def test_a_key_stands_where_every_kafka_client_puts_it(
    person: Person, video: str, backstage: Backstage
) -> None:
    """W1: murmur2, as of Java's client: a key has one partition, whoever writes or reads it."""
    liked = await person.post(f"/videos/{video}/like")
    log = await read_log(backstage.core.places.kafka)
    [entry] = [entry for entry in log.events if entry.command_id == liked.command_id]
    partitions = range(backstage.core.settings.partitions)
    place = DefaultPartitioner()(entry.key.encode(), list(partitions), list(partitions))
    assert entry.place == ("events.engagement", place)


async def test_a_record_that_nobody_can_read_is_a_dead_letter_and_the_rest_flows(
    person: Person, video: str, backstage: Backstage
) -> None:
    """R3: the broken record is kept with position and reason; its neighbours are applied."""
    bootstrap = backstage.core.places.kafka
    liked = await person.post(f"/videos/{video}/like")
    log = await read_log(bootstrap)
    [place] = [entry.place for entry in log.events if entry.command_id == liked.command_id]
    offset = await _append_nonsense(bootstrap, *place)
    assert (await person.delete(f"/videos/{video}/like")).status == 200
    assert (await person.get(f"/videos/{video}")).data["likes"] == 0

    async def buried() -> set[str]:
        letters = [headers_of(record) for record in await read_topics(bootstrap, [DEAD_LETTERS])]
        mine = [
            letter
            for letter in letters
            if (letter["dead_topic"], letter["dead_offset"]) == (place[0], str(offset))
        ]
        assert all(letter["dead_reason"] and letter["dead_traceback"] for letter in mine)
        return {letter["dead_reader"] for letter in mine}

    readers = {f"projections-{s}" for s in ("postgres", "redis", "clickhouse", "opensearch")}

    async def all_buried() -> bool:
        found = await buried()
        assert found >= readers, found
        return True

    await eventually("a dead letter of each store's reader", all_buried)
    await settled(backstage.core)
    checked = await check_everything(backstage.core)
    assert (*place, offset) in checked.broken


async def _append_nonsense(bootstrap: str, topic: str, partition: int) -> int:
    """Append a record that claims to be a like and is none; return its offset."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        sent = await producer.send_and_wait(
            topic,
            b"\x00 no json",
            key=b"nobody",
            partition=partition,
            headers=[("ce_type", b"video.liked.v1")],
        )
    finally:
        await producer.stop()
    return int(sent.offset)


async def test_an_undecodable_command_is_a_dead_letter_and_the_rest_is_decided(
    person: Person, video: str, backstage: Backstage
) -> None:
    """W3: what is no command is put aside in the same step, and the next one is decided."""
    bootstrap = backstage.core.places.kafka
    for partition in range(backstage.core.settings.partitions):
        await _append_nonsense(bootstrap, "commands.engagement", partition)
    assert (await person.post(f"/videos/{video}/like")).status == 200

    async def buried() -> bool:
        letters = [headers_of(record) for record in await read_topics(bootstrap, [DEAD_LETTERS])]
        return any(letter["dead_topic"] == "commands.engagement" for letter in letters)

    await eventually("a dead letter of the command", buried)


async def test_health_tells_what_is_away_and_reads_that_need_it_are_refused(
    streamhub: StreamHub, servers: Servers, api: Api, person: Person, video: str
) -> None:
    """SH-176: 503 while the cache is away; what needs no cache is still answered."""
    control = ServerControl(servers)
    with control.stopped("redis"):

        async def noticed() -> bool:
            health = await api.raw("GET", "/health")
            assert health.status_code == 503, health.text
            body = health.json()
            return (body["database"], body["redis"], body["storage"]) == (True, False, True)

        await eventually("the health of a StreamHub without Redis", noticed)
        trending = await api.call("GET", "/videos/trending")
        assert trending.status == 503
        assert int(trending.headers["retry-after"]) >= 1
        refused = await person.post(f"/videos/{video}/like")
        assert refused.status == 503, "nobody knows whether this session was ended"
        assert (await api.call("GET", f"/videos/{video}", seen=person.seen)).status == 200

    async def healthy() -> bool:
        return (await api.raw("GET", "/health/detail")).status_code == 200

    await eventually("health", healthy, 60.0)
    assert (await person.post(f"/videos/{video}/like")).status == 200
