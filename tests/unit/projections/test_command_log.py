"""What became of every command: rows after facts."""

from __future__ import annotations

from events.errors import Conflict, FieldError
from events.outcomes import CommandDecided, Position, Refusal
from projections.command_log import COMMAND_LOG
from schemas.catalogue import DOMAINS
from tests.unit.events.known import ADA, BEN, COMMAND, NOW, recorded
from tests.unit.projections.memory import rows_after

DECIDED = CommandDecided(
    command_id=COMMAND,
    command_type="user.follow.v1",
    fingerprint="abc",
    stream=f"follow-{ADA}:{BEN}",
    stream_version=4,
    event_count=1,
    answer={"following": True},
    refusal=None,
    position=Position(domain="follows", partition=1, offset=17),
    time=NOW,
    actor_id=ADA,
)


def test_an_accepted_command() -> None:
    assert rows_after(COMMAND_LOG, recorded(DECIDED))["command_log"][COMMAND,] == {
        "command_id": COMMAND,
        "command_type": "user.follow.v1",
        "stream": f"follow-{ADA}:{BEN}",
        "stream_version": 4,
        "event_count": 1,
        "accepted": True,
        "answer": {"following": True},
        "refusal": None,
        "position": {"domain": "follows", "partition": 1, "offset": 17},
        "actor_id": ADA,
        "issued_at": NOW,
    }


def test_a_refused_command_says_why() -> None:
    error = Conflict("Taken", code="TAKEN", details=[FieldError("email", "is taken")])
    refused = DECIDED.model_copy(update={"refusal": Refusal.of(error), "event_count": 0})
    row = rows_after(COMMAND_LOG, recorded(refused))["command_log"][COMMAND,]
    assert row["accepted"] is False
    assert row["refusal"] == {
        "kind": "conflict",
        "code": "TAKEN",
        "message": "Taken",
        "details": [{"field": "email", "message": "is taken"}],
    }


def test_outcomes_of_every_domain_are_read() -> None:
    assert COMMAND_LOG.topics() == {f"outcomes.{domain.name}" for domain in DOMAINS}
