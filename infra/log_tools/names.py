"""What the stored names of the log mean: every version and every former name of every event."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from events.registry import EventRegistry
from infra.log_tools.errors import BadSelection
from schemas.publish import Contract

_VERSION = re.compile(r"\.v\d+$")


def without_version(stored_name: str) -> str:
    """Return a stored name without its version; a name that has none stays."""
    return _VERSION.sub("", stored_name)


@dataclass(frozen=True)
class Names:
    """The names of one contract."""

    contract: Contract = field(default_factory=Contract)

    @cached_property
    def homes(self) -> dict[str, str]:
        """Return stored name -> domain, of every name that a record may ever have had."""
        versions = {f"{each.name}.v{v}": each.domain for each, v in self.contract.versions()}
        return versions | self.contract.retired()

    @cached_property
    def _registry(self) -> EventRegistry:
        return EventRegistry(self.contract.types, self.contract.upcasters)

    def meant_by(self, text: str) -> frozenset[str]:
        """Return the stored names of records that somebody who names an event wants to see.

        A name with a version is that stored name alone. One without is every version of it, and
        every former name whose records may hold that event today.

        Raises:
            BadSelection: there is and was no such event.
        """
        if _VERSION.search(text):
            found = frozenset({text} & self.homes.keys())
        else:
            mine = [each for each in self.contract.types if each.name == text]
            same = {name for name in self.homes if without_version(name) == text}
            found = self._registry.stored_names(mine) | same
        if not found:
            raise BadSelection(f"'{text}' is no event; the folder schemas has all of them")
        return found

    def schema_path(self, stored_name: str) -> Path:
        """Return where the schema of a name in ``homes`` is published."""
        return self.contract.retired_schema(stored_name, self.homes[stored_name])


NAMES = Names()
