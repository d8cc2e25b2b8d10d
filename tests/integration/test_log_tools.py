"""`streamhub log …` as people call it, on the log of a StreamHub that runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from confluent_kafka import Consumer, TopicPartition

from events import clock
from events.videos import VideoCreated
from infra.log_tools.keys import stored_keys
from infra.log_tools.replay import replay
from infra.places import find_places
from tests.support.api import Person, name
from tests.support.log import headers_of, read_log
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage

ROOT = Path(__file__).resolve().parents[2]

#: Topic, partition and offset.
Place = tuple[str, int, int]


class Log:
    """``streamhub log`` against the StreamHub of the run."""

    def __init__(self, hub: StreamHub) -> None:
        self.kafka = hub.settings.kafka_bootstrap
        self.environment = {**os.environ, **hub.environment, "COLUMNS": "200"}

    async def run(self, *words: str, code: int = 0) -> str:
        """Return what a command prints; fail unless it ends with the code."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "infra.cli", "log", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    async def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(await self.run(*words, "--json", code=code))

    async def planted(self, domain: str = "") -> list[Place]:
        """Return the broken records that other tests have left in the log."""
        return sorted(place for place in (await read_log(self.kafka)).broken if domain in place[0])

    async def verified(self, planted: Sequence[Place], *words: str) -> Any:
        """Return what ``verify`` reports; it must find what other tests broke, and no more."""
        report = await self.json("verify", *words, code=int(bool(planted)))
        found = [(f["topic"], f["partition"], f["offset"]) for f in report["findings"]]
        assert sorted(found) == planted, report["findings"]
        assert {finding["rule"] for finding in report["findings"]} <= {"schema"}
        assert report["ok"] is not bool(planted)
        return report

    async def tail(self, *words: str) -> list[Any]:
        return [
            json.loads(line) for line in (await self.run("tail", "--json", *words)).splitlines()
        ]


@pytest.fixture(scope="module")
def log(streamhub: StreamHub) -> Log:
    return Log(streamhub)


async def test_tail_shows_the_last_events_of_a_key(log: Log, video: str) -> None:
    shown = await log.tail("--key", video, "--domain", "videos")
    assert [view["type"] for view in shown] == [
        "video.upload_requested.v1",
        "video.created.v1",
        "video.ready.v1",
    ]
    assert [view["streamVersion"] for view in shown] == [1, 2, 3]
    [last] = await log.tail("--key", video, "--limit", "1", "--domain", "videos")
    assert last == shown[-1]
    [first] = await log.tail("--key", video, "--from-start", "--limit", "1", "--domain", "videos")
    assert first == shown[0]


async def test_tail_shows_personal_data_only_to_those_who_ask(
    log: Log, person: Person, video: str
) -> None:
    words = ("--type", "video.created", "--key", video)
    [erased] = await log.tail(*words)
    [plain] = await log.tail(*words, "--decrypt")
    assert erased["data"]["title"] == f"erased:{person.id}"
    assert plain["data"]["title"] == "A quiet afternoon"
    assert "A quiet afternoon" in await log.run("tail", *words, "--decrypt")


async def test_tail_finds_what_followed_from_a_command(
    log: Log, person: Person, public_video: str
) -> None:
    liked = await person.post(f"/videos/{public_video}/like")
    shown = await log.tail("--command-id", liked.command_id, "--outcomes", "--since", "1h")
    assert {view["topic"] for view in shown} == {"events.engagement", "outcomes.engagement"}
    assert await log.tail("--actor", person.id, "--type", "video.liked.v1", "--since", "1h")


async def test_tail_follows(log: Log, person: Person, public_video: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "log", "tail", "--json", "--follow"),
        *("--type", "video.shared", "--actor", person.id),
        env=log.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await person.post(f"/videos/{public_video}/share", {"channel": "before"})
        await person.post(f"/videos/{public_video}/share", {"channel": "link"})
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert json.loads(line)["type"] == "video.shared.v1"
    finally:
        process.terminate()
        await process.wait()


async def test_stats_count_every_record(log: Log, backstage: Backstage, video: str) -> None:
    await settled(backstage.core)
    until = clock.to_text(clock.now())
    whole = await read_log(log.kafka)
    rows = await log.json("stats", "--outcomes", "--until", until)
    known = len(whole.events) + len(whole.outcomes) + len(whole.broken)
    assert sum(row["records"] for row in rows) == known
    assert sum(row["bytes"] for row in rows) > 100 * known
    assert all(row["first"] <= row["last"] for row in rows)
    assert "video.ready.v1" in await log.run("stats", "--domain", "videos")


async def test_verify_finds_nothing_wrong(log: Log, backstage: Backstage, video: str) -> None:
    await settled(backstage.core)
    report = await log.verified(await log.planted())
    assert report["events"] >= 3
    assert {row["topic"].partition(".")[0] for row in report["partitions"]} == {
        "events",
        "outcomes",
    }
    assert {lag["lagEvents"] for lag in report["lag"]} == {0}
    assert "keeps its promises" in await log.run("verify", "--domain", "videos", "--no-stores")


async def test_verify_is_not_misled_by_a_log_that_grows(
    log: Log, person: Person, public_video: str
) -> None:
    words = ("--no-stores", "--domain", "engagement")
    planted = await log.planted("engagement")
    verifying = asyncio.create_task(log.verified(planted, *words))
    while not verifying.done():
        await person.post(f"/videos/{public_video}/like")
        await person.call("DELETE", f"/videos/{public_video}/like")
    assert (await verifying)["events"] > 0


async def test_verify_finds_a_position_beyond_the_end(log: Log, backstage: Backstage) -> None:
    pool = backstage.core.pool
    await pool.execute(
        "INSERT INTO reaction_positions (reaction, topic, partition, position) "
        "VALUES ('a test', 'events.videos', 0, 999999999)"
    )
    try:
        said = await log.run("verify", "--domain", "follows", code=1)
    finally:
        await pool.execute("DELETE FROM reaction_positions WHERE reaction = 'a test'")
    assert "position  events.videos-0@999999999  a test claims" in said
    assert "the log breaks its promises 1 times" in said


async def test_an_export_is_read_by_duckdb(
    log: Log, backstage: Backstage, person: Person, video: str, tmp_path: Path
) -> None:
    await settled(backstage.core)
    await log.json("export", "--to", str(tmp_path), "--domain", "videos", "--decrypt")
    with duckdb.connect() as base:
        found = base.execute(
            "SELECT title, tags, meta_stored_name, day "
            "FROM read_parquet(?, hive_partitioning = true) WHERE video_id = ?",
            [f"{tmp_path}/type=video.created/*/*.parquet", video],
        ).fetchall()
    [(title, tags, stored_name, day)] = found
    assert (title, tags, stored_name) == ("A quiet afternoon", ["quiet"], "video.created.v1")
    assert str(day) == clock.now().date().isoformat()


async def test_an_export_goes_on_where_it_stopped(
    log: Log, backstage: Backstage, person: Person, public_video: str, tmp_path: Path
) -> None:
    words = ("export", "--format", "jsonl", "--to", str(tmp_path), "--domain", "engagement")
    await settled(backstage.core)
    await log.json(*words)
    await person.post(f"/videos/{public_video}/like")
    await settled(backstage.core)
    again = await log.json(*words)
    assert again == {"rows": 1, "files": 1, "removed": 0}
    assert await log.json(*words) == {"rows": 0, "files": 0, "removed": 0}
    said = await log.run(*words, "--type", "video.liked", code=1)
    assert "BAD_BOOKMARK" in said


async def test_replay_into_a_topic_keeps_records_and_says_where_they_are_from(
    log: Log, video: str
) -> None:
    topic = name("replayed")
    words = ("replay", "--key", video, "--domain", "videos", "--to-topic", topic)
    assert "TOPIC_MISSING" in await log.run(*words, code=1)
    await log.run(*words, "--create")
    originals = {
        f"{v['topic']}/{v['partition']}/{v['offset']}": v for v in await log.tail(*words[1:5])
    }
    copies = await asyncio.to_thread(_read_own, log.kafka, topic, len(originals))
    assert {copy["replayed_from"] for copy in copies} == set(originals)
    assert {copy["ce_id"] for copy in copies} == {view["id"] for view in originals.values()}


def _read_own(bootstrap: str, topic: str, count: int) -> list[dict[str, str]]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "tests", "enable.auto.commit": False}
    )
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        records = consumer.consume(count, timeout=30)
        return [headers_of(record) for record in records]
    finally:
        consumer.close()


@pytest.mark.parametrize("topic", ["events.videos", "outcomes.other", "deadletters", "replies"])
async def test_replay_refuses_the_topics_of_the_log(log: Log, topic: str) -> None:
    assert "FORBIDDEN_TARGET" in await log.run("replay", "--to-topic", topic, code=1)


async def test_replay_into_a_command(log: Log, video: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    words = ("replay", "--key", video, "--domain", "videos", "--speed", "10")
    await log.run(*words, "--command", f"tee {copy}")
    types = [json.loads(line)["type"] for line in copy.read_text().splitlines()]
    assert types == ["video.upload_requested.v1", "video.created.v1", "video.ready.v1"]
    assert "RECEIVER_FAILED" in await log.run(*words, "--command", "false", code=1)
    await log.run("replay", "--domain", "users", "--command", "head -n 1")


async def test_replay_goes_on_at_its_bookmark(log: Log, person: Person, public_video: str) -> None:
    what = ("--actor", person.id, "--domain", "engagement")
    words = ("replay", *what, "--command", "cat", "--from-bookmark", name("mark"))
    liked = await person.post(f"/videos/{public_video}/like")
    first = (await log.run(*words)).splitlines()
    assert [json.loads(line)["commandId"] for line in first] == [liked.command_id]
    assert await log.run(*words) == ""


async def test_the_iterator_yields_events(log: Log, backstage: Backstage, video: str) -> None:
    def read(**options: Any) -> list[Any]:
        return [r.event for r in replay(log.kafka, keys=[video], domains=["videos"], **options)]

    events = await asyncio.to_thread(read)
    assert [event.stored_name() for event in events][1:] == ["video.created.v1", "video.ready.v1"]
    assert isinstance(events[1], VideoCreated)
    assert events[1].title == f"erased:{events[1].creator_id}"

    def decrypted() -> list[Any]:
        with stored_keys(find_places(backstage.core.settings)) as keys:
            return read(key_ring=keys)

    assert (await asyncio.to_thread(decrypted))[1].title == "A quiet afternoon"


@pytest.mark.parametrize("number", range(3), ids=["iterator", "duckdb", "chdb"])
async def test_the_examples_of_the_document_run(
    log: Log, backstage: Backstage, video: str, tmp_path: Path, number: int
) -> None:
    text = (ROOT / "docs" / "log.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    await settled(backstage.core)
    await log.run("export", "--to", str(tmp_path / "lake"), "--type", "video.created")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", examples[number]],
        cwd=tmp_path,
        env=log.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


async def test_wrong_usage_is_told(log: Log) -> None:
    assert "BAD_SELECTION" in await log.run("tail", "--domain", "nothing", code=1)
    assert "BAD_SELECTION" in await log.run("tail", "--type", "video.liked.v9", code=1)
    assert "BAD_SELECTION" in await log.run("tail", "--since", "yesterday", code=1)
    assert "--from-end" in await log.run("tail", "--since", "1h", "--from-end", code=2)
    assert "--to-topic" in await log.run("replay", code=2)


async def test_a_bookmark_waits_for_a_command_that_takes_what_it_is_given(
    log: Log, video: str, tmp_path: Path
) -> None:
    """What lay unread in the pipe of one that failed is given again."""
    what = ("replay", "--key", video, "--domain", "videos", "--from-bookmark", name("mark"))
    assert "RECEIVER_FAILED" in await log.run(
        *what, "--command", "sh -c 'read line; exit 1'", code=1
    )
    given = (await log.run(*what, "--command", "cat")).splitlines()
    types = [json.loads(line)["type"] for line in given]
    assert types == ["video.upload_requested.v1", "video.created.v1", "video.ready.v1"]


async def test_a_bookmark_from_the_end_stays_where_it_was_put(
    log: Log, person: Person, public_video: str
) -> None:
    """Not at the end anew, when nothing had come by then."""
    what = ("--actor", person.id, "--domain", "engagement", "--from-end")
    words = ("replay", *what, "--command", "cat", "--from-bookmark", name("mark"))
    assert await log.run(*words) == ""
    liked = await person.post(f"/videos/{public_video}/like")
    given = (await log.run(*words)).splitlines()
    assert [json.loads(line)["commandId"] for line in given] == [liked.command_id]
