"""The command log: what became of every command (Postgres)."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Recorded
from events.outcomes import CommandDecided
from projections.declaration import Change, Projection, Put, Store, Table

COMMAND_LOG_TABLE = Table(
    name="command_log",
    columns={
        "command_id": "uuid",
        "command_type": "text NOT NULL",
        "stream": "text NOT NULL",
        "stream_version": "bigint NOT NULL",
        "event_count": "integer NOT NULL",
        "accepted": "boolean NOT NULL",
        "answer": "jsonb NOT NULL",
        "refusal": "jsonb",
        "position": "jsonb NOT NULL",
        "actor_id": "uuid",
        "issued_at": "timestamptz NOT NULL",
    },
    key=("command_id",),
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    if isinstance(event, CommandDecided):
        yield Put(
            "command_log",
            (event.command_id,),
            {
                "command_type": event.command_type,
                "stream": event.stream,
                "stream_version": event.stream_version,
                "event_count": event.event_count,
                "accepted": event.refusal is None,
                "answer": event.answer,
                "refusal": event.refusal.model_dump(mode="json") if event.refusal else None,
                "position": event.position.model_dump(mode="json"),
                "actor_id": event.actor_id,
                "issued_at": event.time,
            },
        )


COMMAND_LOG = Projection(
    name="command_log",
    version=1,
    store=Store.POSTGRES,
    events=(CommandDecided,),
    evolve=evolve,
    tables=(COMMAND_LOG_TABLE,),
)
