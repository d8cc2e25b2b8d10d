"""W3: the events of a command stand together, and its outcome tells where (a merge join).

Events of a partition and their outcomes are written in the same transactions and in the same
order. Going through both side by side needs no memory: each outcome that claims events must meet
the next run of events of one command, ending at the offset that it claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from events.base import TopicPartition
from infra.log_tools.verify.findings import Findings


@dataclass(slots=True)
class Block:
    """Neighbouring events of one command: offsets, number, and the version after the last one."""

    command_id: str
    first: int
    last: int
    count: int
    version: int

    @property
    def has_gap(self) -> bool:
        """Whether offsets are missing inside: records of an aborted transaction, or a marker."""
        return self.last - self.first + 1 != self.count


@dataclass(frozen=True, slots=True)
class Placed:
    """An event, as blocks need it."""

    command_id: str
    offset: int
    version: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What an outcome that claims events says of them, and where the outcome stands."""

    command_id: str
    last: int
    count: int
    version: int
    offset: int
    refused: bool


def blocks(events: Iterable[Placed]) -> Iterator[Block]:
    """Yield the runs of neighbouring events that have one command."""
    block: Block | None = None
    for event in events:
        if block is not None and block.command_id == event.command_id:
            block.last, block.version = event.offset, event.version
            block.count += 1
            continue
        if block is not None:
            yield block
        block = Block(event.command_id, event.offset, event.offset, 1, event.version)
    if block is not None:
        yield block


@dataclass(slots=True)
class Joined:
    """What a join passed: commands with events, and blocks with offsets missing inside."""

    matched: int = 0
    gaps: int = 0


def join(
    events: TopicPartition,
    outcomes: TopicPartition,
    found: Iterator[Block],
    claims: Iterator[Claim],
    findings: Findings,
) -> Joined:
    """Walk through both sides of a partition; note what has no counterpart or another one."""
    joined = Joined()
    block, claim = next(found, None), next(claims, None)
    while block is not None or claim is not None:
        if claim is None or (block is not None and block.last < claim.last):
            assert block is not None
            findings.add(
                "W3",
                events,
                block.last,
                f"{block.count} events of command {block.command_id} have no outcome that ends "
                "here: they stand apart from the rest, or were never decided",
            )
            block = next(found, None)
        elif block is None or claim.last < block.last:
            findings.add(
                "W3",
                outcomes,
                claim.offset,
                f"command {claim.command_id} claims {claim.count} events up to offset "
                f"{claim.last}, where none of its own ends",
            )
            claim = next(claims, None)
        else:
            _compare(outcomes, block, claim, findings)
            joined.matched += 1
            joined.gaps += block.has_gap
            block, claim = next(found, None), next(claims, None)
    return joined


def _compare(outcomes: TopicPartition, block: Block, claim: Claim, findings: Findings) -> None:
    problems = []
    if block.command_id != claim.command_id:
        problems.append(f"the events there belong to command {block.command_id}")
    elif block.count != claim.count:
        problems.append(f"claims {claim.count} events, {block.count} stand together there")
    elif block.version != claim.version:
        problems.append(f"claims version {claim.version}, the last event has {block.version}")
    if claim.refused:
        problems.append("was refused and has events all the same")
    for problem in problems:
        findings.add(
            "W3",
            outcomes,
            claim.offset,
            f"command {claim.command_id}, events up to offset {claim.last}: {problem}",
        )
