"""The worker of commands is killed while more wait for it than a transaction holds."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pytest

from commands.engagement import LikeVideo, UnlikeVideo
from commands.envelope import CommandEnvelope
from events import clock
from infra.kafka.ends import LogEnds
from schemas.catalogue import domain_named
from tests.faults.rounds import SEEDS
from tests.support.api import Person
from tests.support.log import Log
from tests.support.positions import settled
from tests.support.stores import check_everything
from tests.support.streamhub import COMMANDS, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually

#: Forty transactions, in which few likes are taken back again and again: most commands are decided
#: on what a batch came to that may not stand in the log yet.
_COMMANDS, _VIEWERS, _VIDEOS = 20_000, 40, 3
_SENT_AT_ONCE = 2_000
_DOMAIN = domain_named("engagement")
_KILLS = 3
_WORKED_OFF_S = 240.0

Changes = Mapping[str, Sequence[tuple[str, str]]]


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_waits_is_decided_once_and_in_order_whenever_the_worker_is_killed(
    streamhub: StreamHub, backstage: Backstage, person: Person, seed: int
) -> None:
    """W3, W4, W5: killed some times between the first transaction and the last."""
    choice = random.Random(seed)
    videos = [await backstage.ready_video(person) for _ in range(_VIDEOS)]
    viewers = [clock.new_id() for _ in range(_VIEWERS)]
    sent = [_wish(choice, videos, viewers, person.id) for _ in range(_COMMANDS)]
    ends = LogEnds(backstage.core.places.kafka)
    try:
        begun = await _outcomes(ends)
        await _let_wait(streamhub, backstage, sent)
        for share in sorted(choice.uniform(0.02, 0.9) for _ in range(_KILLS)):

            async def look(share: float = share) -> bool:
                return await _outcomes(ends) - begun >= share * _COMMANDS

            await eventually(f"{share:.0%} of the backlog", look, _WORKED_OFF_S, poll_s=0.005)
            pid = streamhub.kill(COMMANDS)
            await streamhub.wait_ready(COMMANDS, but_not=pid)
    finally:
        await ends.close()
    await settled(backstage.core, _WORKED_OFF_S)
    log = await check_everything(backstage.core)
    assert _found(log, viewers) == _expected(sent)


async def _outcomes(ends: LogEnds) -> int:
    """Return how many offsets the outcomes take, markers included."""
    return sum((await ends.ends(await ends.partitions([_DOMAIN.outcomes]))).values())


async def _let_wait(
    streamhub: StreamHub, backstage: Backstage, sent: Sequence[CommandEnvelope]
) -> None:
    """Send commands while nobody decides, then let the worker begin."""
    streamhub.stop(COMMANDS)
    try:
        for begin in range(0, len(sent), _SENT_AT_ONCE):
            batch = sent[begin : begin + _SENT_AT_ONCE]
            await asyncio.gather(*(backstage.bus.append(envelope) for envelope in batch))
    finally:
        streamhub.restart(COMMANDS)


def _wish(
    choice: random.Random, videos: Sequence[str], viewers: Sequence[str], creator_id: str
) -> CommandEnvelope:
    kind = choice.choice((LikeVideo, UnlikeVideo))
    command = kind(
        video_id=choice.choice(videos), creator_id=creator_id, user_id=choice.choice(viewers)
    )
    command_id = clock.new_id()
    return CommandEnvelope(command, command_id, clock.now(), command_id, command_id)


def _expected(sent: Iterable[CommandEnvelope]) -> Changes:
    """Return which commands change something, and to what, by stream and in order."""
    changes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for envelope in sent:
        wanted = "video.liked.v1" if isinstance(envelope.command, LikeVideo) else "video.unliked.v1"
        before = changes[envelope.command.stream()]
        if (before[-1][1] if before else "video.unliked.v1") != wanted:
            before.append((envelope.command_id, wanted))
    return {stream: those for stream, those in changes.items() if those}


def _found(log: Log, viewers: Sequence[str]) -> Changes:
    changes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in log.events:
        if event.type in {"video.liked.v1", "video.unliked.v1"}:
            changes[event.stream].append((event.command_id, event.type))
    return {
        stream: those
        for stream, those in changes.items()
        if any(viewer in stream for viewer in viewers)
    }
