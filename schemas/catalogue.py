"""The catalogue of topics: every topic that exists, its key, its partitions, its retention.

A domain has three topics with the same number of partitions and the same partitioner (murmur2,
as Kafka's own clients), so that a command, its events and its outcome share a partition number:
``commands.<domain>`` (wishes, kept for a while), ``events.<domain>`` (the log, kept for ever) and
``outcomes.<domain>`` (what became of each command, kept for ever).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_DAY_MS = 24 * 60 * 60 * 1000
FOR_EVER_MS = -1


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of the business; ``key`` says what its records are keyed by."""

    name: str
    key: str
    owner: str
    description: str

    @property
    def commands(self) -> str:
        return f"commands.{self.name}"

    @property
    def events(self) -> str:
        return f"events.{self.name}"

    @property
    def outcomes(self) -> str:
        return f"outcomes.{self.name}"


DOMAINS: tuple[Domain, ...] = (
    Domain("users", "user id", "accounts", "Accounts, profiles and roles"),
    Domain("sessions", "session id", "accounts", "Sign-in sessions and their tokens"),
    Domain("videos", "video id", "media", "Uploads, descriptions, transcoding, publication"),
    Domain("engagement", "video id", "media", "Likes, shares, views and player beats"),
    Domain("comments", "video id", "community", "Comments, replies, likes and reports of them"),
    Domain("follows", "follower's user id", "community", "Who follows whom"),
    Domain("moderation", "id of what is judged", "trust", "Scores of models, reviewers' decisions"),
)

_BY_NAME = {domain.name: domain for domain in DOMAINS}

#: One partition an API process: the outcomes that its callers wait for.
REPLIES = "replies"
#: Records that a projection could not digest, with the reason.
DEAD_LETTERS = "deadletters"
REPLY_PARTITIONS = 16


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must exist; ``partitions`` None means as many as the installation chose."""

    name: str
    retention_ms: int
    partitions: int | None = None
    settings: dict[str, str] = field(default_factory=dict)


def topics() -> Iterator[Topic]:
    """Yield every topic of the catalogue."""
    for domain in DOMAINS:
        yield Topic(domain.commands, 7 * _DAY_MS)
        yield Topic(domain.events, FOR_EVER_MS)
        yield Topic(domain.outcomes, FOR_EVER_MS)
    yield Topic(REPLIES, _DAY_MS // 24, REPLY_PARTITIONS)
    yield Topic(DEAD_LETTERS, FOR_EVER_MS)


def domain_named(name: str) -> Domain:
    """Return the domain of that name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]
