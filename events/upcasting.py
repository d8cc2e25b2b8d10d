"""Lifting old events when they are read; the log itself is never rewritten.

Each stored name that is no longer written has one step that leads on: to the next version of the
same event (a plain function), to an event of another name (``Renamed``), or to several events
(``Split``). Steps are walked until only current names are left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from events.errors import UndecodableRecord, UnknownEventType

#: Takes the JSON body of version N and returns the body of version N + 1.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Named = tuple[str, dict[str, Any]]

#: Steps that one record may take; a chain that leads back to itself is found out.
_STEPS_MAX = 64


def _unchanged(data: dict[str, Any]) -> dict[str, Any]:
    return data


@dataclass(frozen=True, slots=True)
class Renamed:
    """The event is called ``to`` now (a stored name); ``lift`` changes its body where it must."""

    to: str
    lift: Upcaster = _unchanged


@dataclass(frozen=True, slots=True)
class Split:
    """The event is several events now: ``into`` returns their stored names and bodies, in order.

    ``targets`` are all stored names that it may return. It may return fewer, none included.
    """

    targets: tuple[str, ...]
    into: Callable[[dict[str, Any]], Sequence[Named]]


Step = Upcaster | Renamed | Split


def parse_stored_name(stored_name: str) -> tuple[str, int]:
    """Return name and version of a stored name such as ``video.liked.v1``.

    Raises:
        UnknownEventType: it is not of that form.
    """
    name, separator, version = stored_name.rpartition(".v")
    if not separator or not version.isdecimal():
        raise UnknownEventType(f"'{stored_name}' is not a stored event name")
    return name, int(version)


def leads_to(stored_name: str, step: Step) -> tuple[str, ...]:
    """Return the stored names that a step may make out of one."""
    match step:
        case Renamed():
            return (step.to,)
        case Split():
            return step.targets
        case _:
            name, version = parse_stored_name(stored_name)
            return (f"{name}.v{version + 1}",)


class UpcasterChain:
    """The steps of all events, keyed by the stored name that they lift *from*."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = dict(steps)

    def lift(
        self, stored_name: str, data: dict[str, Any], is_current: Callable[[str], bool]
    ) -> list[Named]:
        """Return what a body has become: bodies under current names, in order.

        Raises:
            UnknownEventType: a step of the chain is missing.
            UndecodableRecord: a step cannot digest the body, or the chain has no end.
        """
        waiting: list[Named] = [(stored_name, data)]
        lifted: list[Named] = []
        for _ in range(_STEPS_MAX):
            if not waiting:
                return lifted
            name, body = waiting.pop(0)
            if is_current(name):
                lifted.append((name, body))
            else:
                waiting[:0] = self._step(name, body)
        raise UndecodableRecord(f"'{stored_name}' is lifted without end")

    def _step(self, stored_name: str, data: dict[str, Any]) -> list[Named]:
        step = self._steps.get(stored_name)
        if step is None:
            raise UnknownEventType(
                f"no event is registered as '{stored_name}', and nothing lifts it"
            )
        try:
            match step:
                case Renamed():
                    return [(step.to, step.lift(data))]
                case Split():
                    return list(step.into(data))
                case _:
                    return [(leads_to(stored_name, step)[0], step(data))]
        except Exception as error:
            # Its message may quote the body, which may be personal.
            raise UndecodableRecord(
                f"'{stored_name}' cannot be lifted: {type(error).__name__}"
            ) from error

    def sources(self) -> frozenset[str]:
        """Return the stored names that can be lifted."""
        return frozenset(self._steps)

    def ancestors(self, stored_names: frozenset[str]) -> frozenset[str]:
        """Return these stored names and all that may be lifted to one of them."""
        found = set(stored_names)
        while True:
            more = {
                source
                for source, step in self._steps.items()
                if source not in found and found.intersection(leads_to(source, step))
            }
            if not more:
                return frozenset(found)
            found |= more
