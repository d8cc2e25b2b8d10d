from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from events.engagement import VideoLiked
from infra.log_tools.errors import BadSelection
from infra.log_tools.selection import Filters, choose_topics, moment
from schemas.catalogue import DOMAINS
from tests.unit.events.known import ADA, BEN, COMMAND, VIDEO
from tests.unit.log_tools.records import record_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_all_events_are_chosen_by_default() -> None:
    assert choose_topics() == tuple(domain.events for domain in DOMAINS)


@pytest.mark.parametrize(
    ("asked", "topics"),
    [
        ({"domains": ["videos"]}, ("events.videos",)),
        ({"domains": ["videos"], "outcomes": True}, ("events.videos", "outcomes.videos")),
        ({"types": ["video.liked"]}, ("events.engagement",)),
        ({"types": ["video.liked.v1", "user.followed"]}, ("events.engagement", "events.follows")),
        ({"types": ["command.decided"], "domains": ["users"]}, ("outcomes.users",)),
        ({"topics": ["outcomes.users"], "types": ["video.liked"]}, ("outcomes.users",)),
    ],
)
def test_what_is_asked_for_chooses_topics(
    asked: dict[str, list[str]], topics: tuple[str, ...]
) -> None:
    assert choose_topics(**asked) == topics  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "asked",
    [
        {"domains": ["films"]},
        {"topics": ["commands.users"]},
        {"types": ["video.disliked"]},
        {"types": ["video.liked.v2"]},
        {"types": ["video.liked.v0"]},
    ],
)
def test_what_does_not_exist_is_refused(asked: dict[str, list[str]]) -> None:
    with pytest.raises(BadSelection):
        choose_topics(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-02-03T04:05:06+02:00", datetime(2026, 2, 3, 2, 5, 6, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2x", "-2h", "999999999999w"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(BadSelection):
        moment(text, NOW)


RECORD = record_of(VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN))


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({}, True),
        ({"types": {"video.liked"}}, True),
        ({"types": {"video.liked.v1"}}, True),
        ({"types": {"video.unliked.v1"}}, False),
        ({"types": {"video.viewed"}}, False),
        ({"types": {"video.unliked", "video.liked"}}, True),
        ({"keys": {"a key"}}, True),
        ({"keys": {"another key"}}, False),
        ({"streams": {"a stream"}}, True),
        ({"streams": {"a strea"}}, False),
        ({"actors": {"somebody"}, "commands": {COMMAND}}, True),
        ({"actors": {"somebody"}, "commands": {"another"}}, False),
        ({"correlations": {"a request"}}, True),
        ({"correlations": {"another"}}, False),
    ],
)
def test_filters_look_at_type_key_and_headers(
    filters: dict[str, set[str]], *, matches: bool
) -> None:
    chosen = Filters(**{name: frozenset(values) for name, values in filters.items()})
    assert chosen.matcher()(RECORD) is matches
    assert chosen.described() == {name: sorted(values) for name, values in filters.items()}
