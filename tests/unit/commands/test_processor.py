"""The command processor: each command decided once, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from commands.follows import FollowUser, UnfollowUser
from commands.ports import CachePosition, DomainPartition, StoredState, TransactionLostError
from commands.users import RegisterUser
from events.comments import CommentPosted
from events.errors import ErrorKind
from events.follows import UserFollowed, UserUnfollowed
from schemas.catalogue import DEAD_LETTERS
from tests.unit.commands.memory import Crash, MemoryStateStore, partition_of
from tests.unit.commands.site import Site
from tests.unit.commands.test_comments import POST
from tests.unit.events.known import ADA, BEN, CLEO, COMMAND, NOW, VIDEO

FOLLOW = FollowUser(follower_id=ADA, creator_id=BEN)
UNFOLLOW = UnfollowUser(follower_id=ADA, creator_id=BEN)
SELF_FOLLOW = FollowUser(follower_id=ADA, creator_id=ADA)
DOMAINS = ("follows", "comments", "users")


def register(user_id: str, username: str) -> RegisterUser:
    return RegisterUser(
        user_id=user_id, username=username, email=f"{user_id}@example.org", password_hash="hash"
    )


async def test_a_command_brings_its_events_its_outcome_and_a_reply() -> None:
    site = Site(domains=DOMAINS)
    command_id = site.send(FOLLOW, reply_to=3)
    await site.run()
    [event] = site.events("follows")
    [outcome] = site.outcomes("follows")
    assert event.event == UserFollowed(follower_id=ADA, creator_id=BEN)
    assert event.key == ADA
    assert event.source.partition == partition_of(ADA)
    assert (event.metadata.stream, event.metadata.stream_version) == (FOLLOW.stream(), 1)
    assert event.metadata.command_id == event.metadata.causation_id == command_id
    assert (event.metadata.time, event.metadata.actor_id) == (NOW, ADA)
    assert outcome.command_id == command_id
    assert (outcome.stream_version, outcome.event_count, outcome.refusal) == (1, 1, None)
    assert outcome.answer == {"userId": BEN, "following": True}
    assert outcome.position.offset == event.offset
    assert site.replies(3) == [outcome]


async def test_events_of_a_stream_are_numbered_without_gap() -> None:
    site = Site(domains=DOMAINS, batch=2)
    for command in (FOLLOW, UNFOLLOW, UNFOLLOW, FOLLOW, UNFOLLOW):
        site.send(command)
    await site.run()
    assert [e.metadata.stream_version for e in site.events("follows")] == [1, 2, 3, 4]
    assert [o.stream_version for o in site.outcomes("follows")] == [1, 2, 2, 3, 4]
    assert [o.event_count for o in site.outcomes("follows")] == [1, 1, 0, 1, 1]


async def test_a_refusal_is_an_outcome_too() -> None:
    site = Site(domains=DOMAINS)
    site.send(SELF_FOLLOW, reply_to=0)
    await site.run()
    [outcome] = site.outcomes("follows")
    assert outcome.refusal is not None
    assert outcome.refusal.kind is ErrorKind.UNPROCESSABLE
    assert outcome.refusal.code == "SELF_FOLLOW"
    assert outcome.position.offset == -1
    assert site.replies(0) == [outcome]
    assert not site.events("follows")


async def test_an_outcome_without_events_stands_at_the_last_event_of_its_partition() -> None:
    site = Site(domains=DOMAINS, batch=1)
    site.send(FOLLOW)
    site.send(FOLLOW)
    await site.run()
    first, second = site.outcomes("follows")
    assert second.event_count == 0
    assert second.position == first.position


async def test_a_personal_text_stands_encrypted_in_the_log() -> None:
    site = Site(domains=DOMAINS)
    site.send(POST)
    await site.run()
    [record] = site.broker.records("events.comments")
    assert b"Fine light" not in record.value
    assert record.persons() == [ADA]
    [recorded] = site.events("comments")
    assert isinstance(recorded.event, CommentPosted)
    assert recorded.event.text == "Fine light"


@pytest.mark.parametrize("batch", [100, 1], ids=["within a batch", "across batches"])
async def test_a_command_id_is_decided_once(batch: int) -> None:
    site = Site(domains=DOMAINS, batch=batch)
    site.send(FOLLOW, COMMAND, fingerprint="a", reply_to=0)
    site.send(UNFOLLOW, reply_to=0)
    site.send(FOLLOW, COMMAND, fingerprint="a", reply_to=0)
    await site.run()
    assert [type(e.event) for e in site.events("follows")] == [UserFollowed, UserUnfollowed]
    assert [o.command_id for o in site.outcomes("follows")].count(COMMAND) == 1
    first, _, again = site.replies(0)
    assert again.answer == first.answer == {"userId": BEN, "following": True}
    assert again.stream_version == first.stream_version == 1


async def test_a_retry_is_told_the_first_refusal() -> None:
    site = Site(domains=DOMAINS, batch=1)
    for _ in range(2):
        site.send(SELF_FOLLOW, COMMAND, fingerprint="a", reply_to=0)
    await site.run()
    assert [o.refusal and o.refusal.code for o in site.replies(0)] == ["SELF_FOLLOW"] * 2
    assert len(site.outcomes("follows")) == 1


async def test_a_retry_is_recognised_by_the_next_owner_with_an_empty_cache() -> None:
    site = Site(domains=DOMAINS)
    site.send(FOLLOW, COMMAND, fingerprint="a")
    await site.run()
    site.store.lose()
    site.send(FOLLOW, COMMAND, fingerprint="a", reply_to=0)
    await site.run()
    assert len(site.events("follows")) == len(site.outcomes("follows")) == 1
    assert site.replies(0) == site.outcomes("follows")


@pytest.mark.parametrize("batch", [100, 1], ids=["within a batch", "across batches"])
async def test_a_command_id_with_another_request_is_refused(batch: int) -> None:
    site = Site(domains=DOMAINS, batch=batch)
    site.send(FOLLOW, COMMAND, fingerprint="a", reply_to=0)
    site.send(UNFOLLOW, COMMAND, fingerprint="b", reply_to=0)
    await site.run()
    _, other = site.replies(0)
    assert other.refusal is not None
    assert other.refusal.kind is ErrorKind.UNPROCESSABLE
    assert other.refusal.code == "IDEMPOTENCY_KEY_REUSED"
    assert other.answer == {}
    assert len(site.events("follows")) == len(site.outcomes("follows")) == 1


@pytest.mark.parametrize("batch", [100, 1], ids=["within a batch", "across batches"])
async def test_a_unique_value_is_claimed_by_one_command(batch: int) -> None:
    site = Site(domains=DOMAINS, batch=batch)
    site.send(register(ADA, "ada"))
    site.send(register(BEN, "ADA"), reply_to=0)
    site.send(register(CLEO, "cleo"))
    await site.run()
    taken = [o for o in site.outcomes("users") if o.refusal is not None]
    assert [o.refusal and o.refusal.code for o in taken] == ["ALREADY_TAKEN"]
    assert len(site.events("users")) == 2
    [refusal] = [o.refusal for o in taken]
    assert refusal is not None
    assert [detail.field for detail in refusal.details] == ["username"]


async def test_a_refused_claim_takes_nothing() -> None:
    site = Site(domains=["users"], batch=1)
    site.send(register(ADA, "ada"))
    await site.run()
    site.send(register(BEN, "ada"))
    await site.run()
    site.send(register(BEN, "ben"))
    await site.run()
    assert [o.refusal is None for o in site.outcomes("users")].count(True) == 2


async def test_a_claim_survives_the_crash_of_its_command() -> None:
    site = Site(domains=["users"])
    site.send(register(ADA, "ada"))
    site.broker.crashes.append(Crash.ABORTED)
    with pytest.raises(TransactionLostError):
        await site.run()
    assert site.claims.holders
    await site.run()
    [outcome] = site.outcomes("users")
    assert outcome.refusal is None


async def test_event_ids_are_the_same_when_a_command_is_decided_again() -> None:
    first, second = Site(domains=DOMAINS), Site(domains=DOMAINS)
    for site in (first, second):
        site.send(FOLLOW, COMMAND)
        await site.run()
    [one], [other] = first.events("follows"), second.events("follows")
    assert one.metadata.event_id == other.metadata.event_id


async def test_the_log_is_left_when_a_processor_ends_badly() -> None:
    site = Site(domains=DOMAINS)
    site.send(FOLLOW)
    site.broker.crashes.append(Crash.ABORTED)
    processor, log = site.processor()
    with pytest.raises(TransactionLostError):
        await processor.run()
    assert log.closed


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("command_type", b"user.adore.v1"),
        ("command_type", None),
        ("command_id", None),
        ("time", b"yesterday"),
        ("reply_to", b"99"),
        ("reply_to", b"somebody"),
        ("actor_id", b"\xff"),
    ],
)
async def test_a_command_with_broken_headers_is_dead_lettered_and_the_rest_flows_on(
    header: str, value: bytes | None
) -> None:
    site = Site(domains=["follows"])
    site.send(FOLLOW, reply_to=1)
    resend(site, "follows", headers={header: value})
    site.send(UNFOLLOW)
    await site.run()
    assert [type(e.event) for e in site.events("follows")] == [UserFollowed, UserUnfollowed]
    [dead] = site.broker.records(DEAD_LETTERS)
    assert dead.headers["dead_reader"] == b"commands"
    assert dead.headers["dead_topic"] == b"commands.follows"
    assert dead.headers["dead_offset"] == b"1"
    assert dead.headers["dead_reason"].startswith(b"UndecodableRecord")
    assert b"Traceback" in dead.headers["dead_traceback"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"\xff", b'{"follower_id": "nobody"}', b'{"text": 5}']
)
async def test_a_broken_body_is_dead_lettered_with_its_bytes(body: bytes) -> None:
    site = Site(domains=["follows", "comments"])
    for domain, command in (("follows", FOLLOW), ("comments", POST)):
        site.send(command)
        resend(site, domain, body=body)
    await site.run()
    assert [dead.value for dead in site.broker.records(DEAD_LETTERS)] == [body, body]
    assert len(site.events("follows")) == len(site.events("comments")) == 1


@pytest.mark.parametrize("listed", [b"\xff\xfe", b"nobody", None])
async def test_a_command_that_does_not_name_its_persons_is_dead_lettered(
    listed: bytes | None,
) -> None:
    site = Site(domains=["comments"])
    site.send(POST)
    resend(site, "comments", headers={"persons": listed})
    site.broker.forget_first("commands.comments", VIDEO)
    await site.run()
    assert len(site.broker.records(DEAD_LETTERS)) == 1
    assert not site.events("comments")


async def test_tampered_personal_data_is_dead_lettered() -> None:
    site = Site(domains=["comments"])
    site.send(POST)
    [good] = site.broker.records("commands.comments")
    data = orjson.loads(good.value)
    data["text"] = data["text"][:-8] + "AAAAAA=="
    resend(site, "comments", body=orjson.dumps(data))
    await site.run()
    assert len(site.broker.records(DEAD_LETTERS)) == len(site.events("comments")) == 1


def resend(
    site: Site,
    domain: str,
    *,
    headers: Mapping[str, bytes | None] | None = None,
    body: bytes | None = None,
) -> None:
    """Append the domain's last command again, with other headers or another body."""
    good = site.broker.records(f"commands.{domain}")[-1]
    changed = {**good.headers, **(headers or {})}
    left = [(name, value) for name, value in changed.items() if value is not None]
    site.broker.send(good.source.topic, good.key, good.value if body is None else body, left)


async def test_a_processor_with_a_lost_cache_folds_the_log_again() -> None:
    site = Site(domains=DOMAINS)
    for command in (FOLLOW, POST):
        site.send(command)
    await site.run()
    before = (dict(site.store.states), dict(site.store.positions))
    site.store.lose()
    await site.run()
    states, positions = before
    assert site.store.states == states
    assert {p: at.last_event for p, at in site.store.positions.items()} == {
        p: at.last_event for p, at in positions.items()
    }
    site.send(FOLLOW)
    await site.run()
    assert len(site.events("follows")) == 1


async def test_the_cache_stands_behind_the_last_records_that_were_written() -> None:
    site = Site(domains=["follows"])
    for command in (FOLLOW, UNFOLLOW):
        site.send(command)
    await site.run()
    last = site.events("follows")[-1]
    position = site.store.positions[DomainPartition("follows", last.source.partition)]
    outcomes = site.broker.records("outcomes.follows")
    assert position == CachePosition(last.offset + 1, outcomes[-1].offset + 1, last.offset)


class ContestedStore(MemoryStateStore):
    """Another owner writes just before each of our saves."""

    async def save(
        self,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
        states: Mapping[str, StoredState],
        outcomes: Mapping[str, bytes],
    ) -> None:
        self.positions[partition] = CachePosition(99, 99, 98)
        await super().save(partition, before, after, states, outcomes)


async def test_a_cache_that_another_owner_wrote_ends_the_processor() -> None:
    site = Site(domains=["follows"])
    site.store = ContestedStore()
    site.send(FOLLOW)
    processor, log = site.processor()
    with pytest.raises(TransactionLostError):
        await processor.run()
    assert log.closed


async def test_the_number_of_decisions_is_counted() -> None:
    site = Site(domains=DOMAINS)
    for command in (FOLLOW, SELF_FOLLOW, FOLLOW):
        site.send(command)
    assert (await site.run()).decided == 3
