"""A stack that is up, as tests share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.native.stack import NativeStack, ServerStatus

CACHE = Path.home() / ".cache" / "streamhub"


def quiet(server: str, what: str) -> None:
    """Report no progress."""


@dataclass
class Running:
    """A stack that is up."""

    stack: NativeStack
    data_dir: Path
    urls: dict[str, str]

    def status(self, name: str) -> ServerStatus:
        return next(item for item in self.stack.status() if item.name == name)
