"""Options that several commands of ``streamhub log`` share: which part of the log is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.option_groups import takes

if TYPE_CHECKING:
    from infra.log_tools.selection import Selection

Many = list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The options as they were given; ``selection`` says what they mean."""

    domain: Annotated[Many, typer.Option("--domain", help="Only these domains.")] = None
    topic: Annotated[Many, typer.Option("--topic", help="Only these topics of the log.")] = None
    partition: Annotated[
        list[int] | None, typer.Option("--partition", help="Only partitions of these numbers.")
    ] = None
    type: Annotated[
        Many,
        typer.Option("--type", help="Only these events: video.liked, or video.liked.v1 alone."),
    ] = None
    key: Annotated[Many, typer.Option("--key", help="Only these keys (aggregates).")] = None
    stream: Annotated[Many, typer.Option("--stream", help="Only these streams.")] = None
    actor: Annotated[Many, typer.Option("--actor", help="Only what these people did.")] = None
    correlation: Annotated[
        Many, typer.Option("--correlation", help="Only what followed from these requests.")
    ] = None
    command_id: Annotated[
        Many, typer.Option("--command-id", help="Only what these commands led to.")
    ] = None
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="Outcomes of commands as well as events.")
    ] = False
    from_offset: Annotated[
        int | None, typer.Option("--from-offset", min=0, help="From this offset on.")
    ] = None
    from_end: Annotated[bool, typer.Option("--from-end", help="Only what comes from now on.")] = (
        False
    )
    since: Annotated[
        str, typer.Option("--since", help="Appended since: ISO 8601, or a span like 2h.")
    ] = ""
    until: Annotated[
        str, typer.Option("--until", help="Appended before: ISO 8601, or a span like 2h.")
    ] = ""

    def selection(self) -> Selection:
        """Return the part of the log; raises ``BadSelection`` when there is none such."""
        from infra.log_tools.selection import Filters, Selection, choose_topics, moment

        if bool(self.since) + (self.from_offset is not None) + self.from_end > 1:
            raise typer.BadParameter("give one of --since, --from-offset and --from-end")
        types = frozenset(self.type or ())
        return Selection(
            choose_topics(
                topics=self.topic or (),
                domains=self.domain or (),
                types=types,
                outcomes=self.outcomes,
            ),
            partitions=frozenset(self.partition or ()),
            filters=Filters(
                types=types,
                keys=frozenset(self.key or ()),
                streams=frozenset(self.stream or ()),
                actors=frozenset(self.actor or ()),
                correlations=frozenset(self.correlation or ()),
                commands=frozenset(self.command_id or ()),
            ),
            offset=self.from_offset,
            at_end=self.from_end,
            since=moment(self.since) if self.since else None,
            until=moment(self.until) if self.until else None,
        )

    @property
    def has_start(self) -> bool:
        """Whether a start was named."""
        return bool(self.since) or self.from_offset is not None or self.from_end


takes_which = takes(Which, "which")
