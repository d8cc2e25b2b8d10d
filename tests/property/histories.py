"""Sequences of commands that get somewhere, and how they may be delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from commands.aggregate import Aggregate
from commands.comments import COMMENT, COMMENT_LIKE, COMMENT_REPORT
from commands.engagement import LIKE, SHARES, VIEWS
from commands.follows import FOLLOW
from commands.moderation import MODERATION_CASE
from commands.router import AGGREGATES
from commands.sessions import SESSION
from commands.users import USER
from commands.videos import VIDEO
from events import clock
from events.base import Command
from tests.property.messages import commands
from tests.unit.commands.site import Site
from tests.unit.commands.test_comments import POST
from tests.unit.commands.test_sessions import START
from tests.unit.commands.test_users import REGISTER
from tests.unit.commands.test_videos import REQUEST, create
from tests.unit.events.known import NOW

#: Chance alone seldom brings to life what most commands are about.
_BEGINNINGS: dict[str, Sequence[Command]] = {
    USER.name: [REGISTER],
    SESSION.name: [START],
    VIDEO.name: [REQUEST, create()],
    COMMENT.name: [POST],
}
#: Aggregates whose events meet in a read model.
THEMES = (
    (COMMENT, COMMENT_REPORT, MODERATION_CASE),
    (COMMENT, COMMENT_LIKE, COMMENT_REPORT),
    (VIDEO, LIKE, VIEWS, SHARES, COMMENT),
    (USER, FOLLOW, VIDEO, VIEWS),
    AGGREGATES,
)
BEGINNINGS = tuple(command for beginning in _BEGINNINGS.values() for command in beginning)


@st.composite
def lives(draw: st.DrawFn, aggregate: Aggregate[Any], longest: int = 15) -> list[Command]:
    """Return commands to the streams of one aggregate."""
    beginning = draw(st.sampled_from([[], list(_BEGINNINGS.get(aggregate.name, []))]))
    return beginning + draw(st.lists(commands(*aggregate.commands), max_size=longest))


@st.composite
def histories(draw: st.DrawFn) -> list[Command]:
    """Return commands to several aggregates, one after another."""
    theme = draw(st.sampled_from(THEMES))
    wishes = commands(*(command for aggregate in theme for command in aggregate.commands))
    # Hypothesis keeps lists short by itself; little happens in a short history.
    return [*BEGINNINGS, *(draw(wishes) for _ in range(draw(st.integers(10, 30))))]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How commands reach the processor.

    ``repeats`` are (which command, how much later it comes again); after ``restart_after``
    deliveries another processor goes on, with an empty cache when ``forgetful``.
    """

    repeats: Sequence[tuple[int, int]]
    batch: int
    restart_after: int
    forgetful: bool

    def order(self, count: int) -> list[int]:
        """Return the numbers of the commands in the order of their arrival."""
        order = list(range(count))
        for which, later in self.repeats:
            if which < count:
                order.insert(order.index(which) + 1 + later, which)
        return order


DELIVERIES = st.builds(
    Delivery,
    repeats=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 10)), max_size=10),
    batch=st.integers(1, 9),
    restart_after=st.integers(0, 20),
    forgetful=st.booleans(),
)


async def decide(history: Sequence[Command], delivery: Delivery | None = None) -> Site:
    """Have a history decided, each command once or as a delivery says."""
    delivery = delivery or Delivery((), 100, len(history), forgetful=False)
    domains = dict.fromkeys(command.domain for command in history)
    site = Site(domains=list(domains), batch=delivery.batch)
    order = delivery.order(len(history))
    for part in (order[: delivery.restart_after], order[delivery.restart_after :]):
        for number in part:
            command_id = clock.id_from("command", str(number))
            at = NOW + timedelta(seconds=number)
            site.send(history[number], command_id, fingerprint=str(number), at=at)
        await site.run()
        if delivery.forgetful:
            site.store.lose()
    return site
