"""Somebody is exported, then forgotten: in the log, in every store, and for those who ask."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from commands.users import ChangeRole
from events.users import Role
from infra.bootstrap.core import Core
from infra.clickhouse.client import ClickHouse
from schemas.catalogue import topics
from tests.support.api import Api, Person, name, sign_up
from tests.support.cli import cli
from tests.support.log import headers_of, read_topics
from tests.support.positions import settled
from tests.support.streamhub import StreamHub, limited_address
from tests.support.videos import Backstage


@dataclass(frozen=True, slots=True)
class Life:
    """Somebody with a history; ``words`` are texts that only they wrote."""

    person: Person
    video: str
    comment: str
    words: Mapping[str, str]


async def live(api: Api, backstage: Backstage, other: Person, others_video: str) -> Life:
    """Let somebody do all that leaves personal data behind."""
    person = await sign_up(api, "ada")
    tag = person.username.replace("_", "")
    words = {
        "bio": f"Born on a boat, says {tag}",
        "title": f"The harbour of {tag}",
        "description": f"Boats that {tag} likes",
        "comment": f"First remark by {tag}",
        "edited": f"Second remark by {tag}",
        "reply": f"An answer from {tag}",
        "note": f"Reported by {tag}",
        "review": f"Reviewed by {tag}",
    }
    await backstage.decide(ChangeRole(user_id=person.id, role=Role.ADMIN), person)
    await person.get(f"/users/{person.id}")
    await person.sign_in()
    assert (await person.put(f"/users/{person.id}", {"bio": words["bio"]})).status == 200
    described = {"title": words["title"], "description": words["description"]}
    video = await backstage.ready_video(person, **described)
    other.saw(person.seen)
    person.saw(other.seen)
    comment = await _discuss(person, other, others_video, words)
    for path in (f"/videos/{others_video}/like", f"/users/{other.id}/follow"):
        assert (await person.post(path)).status == 200
    assert (await other.post(f"/users/{person.id}/follow")).status == 200
    await _put_media(backstage.core, video)
    await settled(backstage.core)
    return Life(person, video, comment, words)


async def _discuss(
    person: Person, other: Person, others_video: str, words: Mapping[str, str]
) -> str:
    """Comment, edit, reply, report and review; return the id of the comment."""
    posted = await person.post("/comments", {"videoId": others_video, "text": words["comment"]})
    comment = str(posted.data["id"])
    assert (await person.put(f"/comments/{comment}", {"text": words["edited"]})).status == 200
    theirs = await other.post("/comments", {"videoId": others_video, "text": "What a light"})
    person.saw(other.seen)
    place = f"/comments/{theirs.data['id']}"
    assert (await person.post(f"{place}/reply", {"text": words["reply"]})).status == 201
    report = {"reason": "other", "note": words["note"]}
    assert (await person.post(f"{place}/report", report)).status == 201
    word = {"decision": "approve", "subjectType": "comment", "note": words["review"]}
    review = await person.post(f"/moderation/review/{theirs.data['id']}", word)
    assert review.status == 200
    return comment


async def _put_media(core: Core, video: str) -> None:
    file = Path(core.settings.data_dir) / "film.bin"
    file.write_bytes(b"film")
    for key in (f"uploads/{video}/source", f"videos/{video}/master.m3u8", f"videos/{video}/0.ts"):
        await core.storage.upload(file, key)


async def everything(core: Core) -> AsyncIterator[tuple[str, str]]:
    """Yield (where, text) of all that the stores and the log hold, with plain clients."""
    for table in await core.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname='public'"):
        for row in await core.pool.fetch(f'SELECT t FROM "{table[0]}" t'):
            fields = [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row["t"]]
            yield f"postgres {table[0]}", " | ".join(fields)
    async with _redis(core) as redis:
        async for key in redis.scan_iter():
            yield f"redis {key}", key + str(await _whole(redis, key))
    server = ClickHouse(core.places.clickhouse)
    for place in await server.query(
        "SELECT database, name FROM system.tables WHERE engine LIKE '%MergeTree'"
        " AND database != 'system'"
    ):
        source = f"`{place['database']}`.`{place['name']}`"
        for fact in await server.query(f"SELECT * FROM {source}"):
            yield f"clickhouse {source}", str(fact)
    await server.close()
    async with httpx.AsyncClient(base_url=core.places.opensearch) as search:
        await search.post("/_refresh")
        found = (await search.get("/_all/_search", params={"size": 10_000})).json()
    for hit in found["hits"]["hits"]:
        yield f"opensearch {hit['_index']}", json.dumps(hit)
    for key in await core.storage.keys(""):
        yield "s3", key
    for record in await read_topics(core.places.kafka, [topic.name for topic in topics()]):
        body = (record.value() or b"").decode("utf-8", "replace")
        yield f"log {record.topic()}", body + str(headers_of(record))


@asynccontextmanager
async def _redis(core: Core) -> AsyncIterator[Any]:
    redis: Any = Redis.from_url(core.places.redis, decode_responses=True)
    try:
        yield redis
    finally:
        await redis.aclose()


async def _whole(redis: Any, key: str) -> Any:
    match await redis.type(key):
        case "hash":
            return await redis.hgetall(key)
        case "zset":
            return await redis.zrange(key, 0, -1)
        case _:
            return await redis.get(key)


async def places_of(core: Core, *words: str) -> dict[str, set[str]]:
    """Return text -> the places that hold it, whatever the case of its letters."""
    found: dict[str, set[str]] = {word: set() for word in words}
    async for place, text in everything(core):
        folded = text.casefold()
        for word in words:
            if word.casefold() in folded:
                found[word].add(place)
    return found


async def test_somebody_is_exported_and_then_forgotten_everywhere(
    streamhub: StreamHub,
    api: Api,
    backstage: Backstage,
    other: Person,
    public_video: str,
    tmp_path: Path,
) -> None:
    """Design section 4: destroying the key erases the person; every read model follows."""
    core = backstage.core
    life = await live(api, backstage, other, public_video)
    person = life.person
    texts = (person.email, person.username, *life.words.values())
    before = await places_of(core, *texts)
    assert {word for word, places in before.items() if not places} <= {life.words["comment"]}

    target = tmp_path / "ada.zip"
    exported = await cli(streamhub, "gdpr", "export", person.email, "--to", str(target), "--json")
    assert exported.code == 0, exported
    with zipfile.ZipFile(target) as archive:
        parts = {part: json.loads(archive.read(part)) for part in archive.namelist()}
    whole = json.dumps(parts)
    assert [text for text in texts if text not in whole] == []
    assert {entry["key"] for entry in parts["media.json"]} == {
        f"uploads/{life.video}/source",
        f"videos/{life.video}/master.m3u8",
        f"videos/{life.video}/0.ts",
    }
    assert parts["profile.json"][0]["email"] == person.email
    assert "What a light" not in whole

    done = await cli(streamhub, "gdpr", "erase", person.username, "--yes", "--json")
    assert done.code == 0, done
    report = done.data
    assert (report["findings"], report["keyDestroyed"], report["mediaRemoved"]) == ([], True, 3)
    assert report["claimsReleased"] == 2
    assert report["commands"] == {
        "user.erase": 1,
        "session.revoke": 2,
        "video.delete": 1,
        "comment.delete": 2,
        "comment.erase_report": 1,
        "moderation.erase_review_note": 1,
        "user.unfollow": 2,
    }
    assert all(report["searched"][store] > 0 for store in ("log", "PostgreSQL", "OpenSearch"))

    after = await places_of(core, *texts)
    assert {word: places for word, places in after.items() if places} == {}
    assert not [key for key in await core.storage.keys("") if life.video in key]
    await _is_gone(api, life, other)
    again = await cli(streamhub, "gdpr", "erase", person.id, "--yes", "--json")
    assert (again.code, again.data["commands"], again.data["keyDestroyed"]) == (0, {}, False)


async def _is_gone(api: Api, life: Life, other: Person) -> None:
    """Ask as everybody would: nobody of that name, nothing of theirs, and the name is free."""
    person = life.person
    assert (await person.get("/users/" + other.id)).status == 401
    refused = await api.call(
        "POST", "/auth/login", {"email": person.email, "password": person.password}
    )
    assert refused.code == "INVALID_CREDENTIALS"
    renewed = await api.call("POST", "/auth/refresh", {"refreshToken": person.refresh_token})
    assert renewed.status == 401
    assert (await other.get(f"/users/{person.id}")).status == 404
    assert (await other.get(f"/videos/{life.video}")).status == 404
    gone = await other.get(f"/comments/{life.comment}")
    assert gone.status == 404
    assert (await other.get(f"/users/{other.id}")).data["followerCount"] == 0
    body = {"username": person.username, "email": person.email, "password": person.password}
    anew = await api.call("POST", "/auth/register", body)
    assert anew.status == 201
    assert anew.data["id"] != person.id


async def test_the_address_that_somebody_came_from_is_forgotten_with_them(
    streamhub: StreamHub, backstage: Backstage, public_video: str
) -> None:
    """What counts requests for limits is keyed by it, for up to a day."""
    address = limited_address()
    async with Api(streamhub.url, source=address) as limited:
        person = await sign_up(limited, "bo")
        assert (await person.post(f"/videos/{public_video}/like")).status == 200
        assert (await person.get(f"/users/{person.id}")).status == 200
    assert (await places_of(backstage.core, address))[address]
    done = await cli(streamhub, "gdpr", "erase", person.id, "--yes", "--json")
    assert (done.code, done.data["findings"]) == (0, []), done
    assert (await places_of(backstage.core, address))[address] == set()


async def test_what_was_left_behind_anywhere_is_found(
    streamhub: StreamHub, api: Api, backstage: Backstage, tmp_path: Path
) -> None:
    """The proof is worth something: leaks that were planted are all told, and nothing else is."""
    core, person = backstage.core, await sign_up(api, "leak")
    await settled(core)
    spilt = tmp_path / "spilt"
    spilt.write_bytes(b"x")
    body = json.dumps({"note": person.email}).encode()
    search = httpx.AsyncClient(base_url=core.places.opensearch)
    async with _redis(core) as redis, search:
        await core.pool.execute("CREATE TABLE spilt (body bytea)")
        await core.pool.execute("INSERT INTO spilt VALUES ($1)", body)
        await redis.rpush("spilt", "first", person.email.upper())
        assert (await search.put("/spilt")).is_success
        put = await search.put("/spilt/_doc/1", json={"deep": {"mail": person.email}})
        assert put.is_success
        await core.storage.upload(spilt, f"spilt/{person.username}")
        try:
            done = await cli(streamhub, "gdpr", "erase", person.email, "--yes", "--json")
        finally:
            await core.pool.execute("DROP TABLE spilt")
            await redis.delete("spilt")
            await search.delete("/spilt")
            await core.storage.remove(f"spilt/{person.username}")
    assert done.code == 1, done
    found = {(f["place"].partition(" (")[0], f["kind"]) for f in done.data["findings"]}
    # The name stands in the email, too.
    both = ("user.registered.email", "user.registered.username")
    assert found == {
        *(("PostgreSQL public.spilt", kind) for kind in both),
        *(("Redis spilt", kind) for kind in both),
        *(("OpenSearch spilt/1", kind) for kind in both),
        (f"object storage spilt/{person.username}", both[1]),
    }


async def test_nobody_is_erased_without_being_known_or_meant(
    streamhub: StreamHub, person: Person, tmp_path: Path
) -> None:
    unknown = await cli(streamhub, "gdpr", "erase", name("nobody"), "--yes")
    assert (unknown.code, unknown.errors.count("\n")) == (1, 1)
    assert "USER_NOT_FOUND" in unknown.errors
    to = str(tmp_path / "nobody.zip")
    assert (await cli(streamhub, "gdpr", "export", name("nobody"), "--to", to)).code == 1
    assert not Path(to).exists()
    unsure = await cli(streamhub, "gdpr", "erase", person.id)
    assert unsure.code == 1
    assert (await person.get(f"/users/{person.id}")).data["username"] == person.username


async def test_keys_are_wrapped_anew_while_everything_runs(
    streamhub: StreamHub, backstage: Backstage, person: Person
) -> None:
    """Under the same master key even: every key is opened and closed, and fits its data."""
    query = "SELECT wrapped_key FROM person_keys WHERE person_id = $1"
    before = await backstage.core.pool.fetchval(query, person.id)
    done = await cli(streamhub, "gdpr", "rotate-keys", "--json")
    assert (done.code, done.data["keys"] > 1) == (0, True)
    assert await backstage.core.pool.fetchval(query, person.id) != before
    assert (await person.put(f"/users/{person.id}", {"bio": "Still here"})).status == 200
    await person.sign_in()
    assert (await person.get(f"/users/{person.id}")).data["bio"] == "Still here"
