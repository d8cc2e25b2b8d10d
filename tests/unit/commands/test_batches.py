"""Batches of commands: all of one or nothing, one beside another, and whose partitions they are."""

from __future__ import annotations

import asyncio

import pytest

from commands.ports import DomainPartition, TransactionLostError
from events import clock
from events.follows import UserFollowed, UserUnfollowed
from tests.unit.commands.memory import Crash, partition_of
from tests.unit.commands.site import Site
from tests.unit.commands.test_processor import DOMAINS, FOLLOW, UNFOLLOW
from tests.unit.events.known import ADA


@pytest.mark.parametrize("crash", list(Crash))
@pytest.mark.parametrize("lost", [False, True], ids=["cache kept", "cache lost"])
async def test_a_crash_leaves_all_of_a_batch_or_nothing(crash: Crash, *, lost: bool) -> None:
    site = Site(domains=DOMAINS)
    for number, command in enumerate((FOLLOW, UNFOLLOW, FOLLOW)):
        site.send(command, clock.id_from("command", str(number)), fingerprint="a", reply_to=0)
    site.broker.crashes.append(crash)
    with pytest.raises(TransactionLostError):
        await site.run()
    assert len(site.events("follows")) == (0 if crash is Crash.ABORTED else 3)
    if lost:
        site.store.lose()
    await site.run()
    site.send(UNFOLLOW)
    await site.run()
    assert [e.metadata.stream_version for e in site.events("follows")] == [1, 2, 3, 4]
    assert [o.stream_version for o in site.outcomes("follows")] == [1, 2, 3, 4]
    assert [o.stream_version for o in site.replies(0)] == [1, 2, 3]


async def test_commands_of_a_partition_that_was_revoked_are_left_to_its_new_owner() -> None:
    site = Site(domains=["follows"])
    site.send(FOLLOW)
    processor, log = site.processor()
    partition = DomainPartition("follows", partition_of(ADA))

    def rebalance() -> None:
        log.idle = processor.stop
        log.revoke(partition)
        site.send(UNFOLLOW)

    log.idle = rebalance
    await processor.run()
    assert len(site.events("follows")) == 1
    await site.run()
    assert [type(e.event) for e in site.events("follows")] == [UserFollowed, UserUnfollowed]


async def test_commands_of_a_partition_that_was_not_taken_over_end_the_processor() -> None:
    """Passing over them would leave them undecided, and nobody would see why."""
    site = Site(domains=["follows"])
    site.send(FOLLOW)
    processor, log = site.processor()
    partition = DomainPartition("follows", partition_of(ADA))
    reopening: list[asyncio.Task[None]] = []

    def revoke() -> None:
        log.revoke(partition)
        log.idle = reopen

    def reopen() -> None:
        site.send(UNFOLLOW)
        reopening.append(asyncio.create_task(log.open(partition)))
        log.idle = lambda: None

    log.idle = revoke
    async with asyncio.timeout(10):
        with pytest.raises(TransactionLostError, match="not taken over"):
            await processor.run()
    assert log.closed


async def test_a_batch_is_decided_while_a_full_one_before_it_is_appended() -> None:
    site = Site(domains=["follows"], batch=2)
    sent = [site.send(FOLLOW if number % 2 == 0 else UNFOLLOW) for number in range(5)]
    processor, log = site.processor()
    await processor.run()
    begin, poll, end = "append begins", "poll", "append ends"
    # The partition is assigned; two full batches; the last one, and nothing after it.
    assert log.journal == [poll, poll, begin, poll, end, begin, poll, end, begin, end, poll]
    assert [outcome.command_id for outcome in site.outcomes("follows")] == sent
    events = site.events("follows")
    assert [type(e.event) for e in events] == [UserFollowed, UserUnfollowed] * 2 + [UserFollowed]
    assert [e.metadata.stream_version for e in events] == [1, 2, 3, 4, 5]
    assert [o.position.offset for o in site.outcomes("follows")] == [e.offset for e in events]


@pytest.mark.parametrize("crash", list(Crash))
async def test_what_was_decided_on_a_transaction_that_failed_is_decided_anew(crash: Crash) -> None:
    site = Site(domains=["follows"], batch=2)
    sent = [site.send(FOLLOW if number % 2 == 0 else UNFOLLOW) for number in range(6)]
    site.broker.crashes = [crash]
    with pytest.raises(TransactionLostError):
        await site.run()
    await site.run()
    assert [outcome.command_id for outcome in site.outcomes("follows")] == sent
    assert [type(e.event) for e in site.events("follows")] == [UserFollowed, UserUnfollowed] * 3
