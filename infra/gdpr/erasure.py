"""Forgetting a person: commands, the key, media, claims, and the proof that nothing is left.

The order matters. While the key exists an erasure that was interrupted can be begun again and
still knows what to look for; after it is destroyed the rest can be done again as often as need be.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from commands.envelope import CommandEnvelope
from commands.ports import OutcomePendingError
from events import clock
from events.base import Command
from events.errors import ErrorKind, NotFound, Unavailable
from infra.bootstrap.core import Core
from infra.freshness import PositionWaiter
from infra.gdpr.log_search import search_log
from infra.gdpr.needles import Finding, Needles
from infra.gdpr.people import traces_of
from infra.gdpr.store_search import StoreSearch
from infra.gdpr.traces import Traces
from infra.kafka.bus import KafkaCommandBus
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from infra.postgres.builds import BuildState
from infra.postgres.key_store import KEY_LIFE_S, PostgresKeyRing
from infra.postgres.sink import store_errors
from infra.rebuild.operations import remove_builds
from infra.redis.limiter import RedisLimiter
from projections.registry import PROJECTIONS

_AT_ONCE = 16
_CATCH_UP_TIMEOUT_S = 120.0
#: What was under way when the erasure began is read again from this long before.
_OVERLAP_MS = 60_000
Progress = Callable[[str], None]


@dataclass(slots=True)
class Erasure:
    """What was done and found; no text of the person is in it.

    ``commands`` counts the commands that changed something; ``searched`` what was looked through
    in each store; ``shared`` the fields whose texts other people wrote as well.
    """

    person_id: str
    commands: Counter[str] = field(default_factory=Counter)
    key_destroyed: bool = False
    media_removed: int = 0
    builds_removed: int = 0
    claims_released: int = 0
    texts: int = 0
    shared: list[str] = field(default_factory=list)
    searched: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the person was found."""
        return not self.findings

    def as_data(self) -> dict[str, Any]:
        """Return the report for scripts."""
        return {
            "person": self.person_id,
            "commands": dict(self.commands),
            "keyDestroyed": self.key_destroyed,
            "mediaRemoved": self.media_removed,
            "buildsRemoved": self.builds_removed,
            "claimsReleased": self.claims_released,
            "textsSearchedFor": self.texts,
            "textsOfOthersToo": self.shared,
            "searched": dict(self.searched),
            "findings": [{"place": f.place, "kind": f.kind} for f in self.findings],
        }


class Eraser:
    """Erases one person; ``tell`` hears of each step."""

    def __init__(self, core: Core, person_id: str, tell: Progress) -> None:
        self._core = core
        self._tell = tell
        # A ring of its own: it must not believe what this process learnt before.
        self._keys = PostgresKeyRing(core.pool, core.wrapper)
        self._report = Erasure(person_id)

    async def run(self) -> Erasure:
        """Erase and prove it; can be called again after whatever interrupted it.

        Raises:
            NotFound: the log knows no such person.
            Unavailable: a server is away; begin again.
        """
        report, began_ms = self._report, int(clock.now().timestamp() * 1000)
        self._tell("reading what the log holds of the person")
        traces = await traces_of(self._core, self._keys, report.person_id)
        if not traces.registrations:
            raise NotFound(f"The log knows no user {report.person_id}", code="USER_NOT_FOUND")
        media = await self._media_of(traces)
        self._tell("closing the account")
        await self._decide(traces)
        report.key_destroyed = await self._keys.destroy(report.person_id)
        destroyed_at = asyncio.get_running_loop().time()
        late = await traces_of(
            self._core, self._keys, report.person_id, max(0, began_ms - _OVERLAP_MS)
        )
        await self._decide(late)
        self._tell("waiting for the read models")
        await self._catch_up()
        # Builds that nobody keeps up to date would keep the person too.
        report.builds_removed = await remove_builds(
            self._core, PROJECTIONS, (BuildState.KEPT, BuildState.BUILDING)
        )
        report.claims_released = await self._release_claims(traces)
        media |= await self._media_of(traces) | await self._media_of(late)
        report.media_removed = await self._remove_media(media)
        await self._forget_addresses(traces)
        await asyncio.sleep(max(0.0, destroyed_at + KEY_LIFE_S - asyncio.get_running_loop().time()))
        self._tell("searching the log and all stores")
        await self._prove(traces)
        return report

    async def _decide(self, traces: Traces) -> None:
        """Have every wish decided; the account first, so that little can follow on it."""
        core = self._core
        bus = KafkaCommandBus(
            core.places.kafka, core.keys, core.settings.command_timeout_seconds * 3
        )
        await bus.start()
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def decide(command: Command) -> None:
            async with at_once:
                await self._send(bus, command)

        try:
            first, *rest = traces.wishes(clock.now())
            await decide(first)
            await asyncio.gather(*map(decide, rest))
        finally:
            await bus.stop()

    async def _send(self, bus: KafkaCommandBus, command: Command) -> None:
        command_id = clock.new_id()
        envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
        try:
            outcome = await bus.send(envelope)
        except OutcomePendingError:
            raise Unavailable(
                "commands are not being decided: does a command worker run? Then begin again"
            ) from None
        if outcome.refusal is not None and outcome.refusal.kind is not ErrorKind.NOT_FOUND:
            raise outcome.refusal.error()
        if outcome.event_count:
            self._report.commands[command.name] += 1

    async def _catch_up(self) -> None:
        ends = LogEnds(self._core.places.kafka)
        try:
            live = LiveBuilds(self._core.builds, PROJECTIONS)
            waiter = PositionWaiter(self._core.sinks, PROJECTIONS, live, ends, _CATCH_UP_TIMEOUT_S)
            await waiter.catch_up(PROJECTIONS)
        finally:
            await ends.close()

    async def _release_claims(self, traces: Traces) -> int:
        """Let username and email be taken by others, now that no read model shows them any more."""
        async with store_errors():
            rows = await self._core.pool.fetch(
                "DELETE FROM claims WHERE command_id = ANY($1::uuid[]) RETURNING 1",
                sorted(traces.registrations),
            )
        return len(rows)

    async def _media_of(self, traces: Traces) -> set[str]:
        """Return the keys of the files of the person's films."""
        storage, prefixes = self._core.storage, traces.media_prefixes()
        return {key for prefix in prefixes for key in await storage.keys(prefix)}

    async def _remove_media(self, keys: Collection[str]) -> int:
        """Remove files, of which some went with the films already; return how many there were."""
        for key in keys:
            await self._core.storage.remove(key)
        return len(keys)

    async def _forget_addresses(self, traces: Traces) -> None:
        """Drop rate-limit counters: their keys hold the addresses that the person came from."""
        addresses = [
            text for text, kinds in traces.texts.items() if "session.started.ip_address" in kinds
        ]
        limiter = RedisLimiter(self._core.places.redis, self._core.settings.namespace)
        try:
            await limiter.forget(addresses)
        finally:
            await limiter.close()

    async def _prove(self, traces: Traces) -> None:
        report, needles = self._report, Needles(traces.texts)
        in_log = await search_log(self._core.places.kafka, self._keys, report.person_id, needles)
        stores = StoreSearch(report.person_id, needles, in_log.shared)
        await stores.search(self._core)
        report.texts = len(needles)
        report.shared = sorted({kind for text in in_log.shared for kind in needles.kinds[text]})
        report.searched = Counter({"log": in_log.records, **stores.searched})
        report.findings = [*in_log.findings(), *stores.findings]
        report.findings += await self._left_media(traces)

    async def _left_media(self, traces: Traces) -> list[Finding]:
        left = sorted(await self._media_of(traces))
        return [Finding(f"object storage {key}", "media") for key in left]
