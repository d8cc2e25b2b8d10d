"""What all tests share: real servers, started when a test first asks for their URL.

``STREAMHUB_TEST_DATA_DIR`` names the data folder of a stack to use and leave running, which saves
the start-up while developing; without it each run has servers of its own on free ports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.native.catalogue import SERVERS
from infra.native.stack import NativeStack


class Servers(Mapping[str, str]):
    """The URL of each native server; asking for one starts it."""

    def __init__(self, stack: NativeStack) -> None:
        self._stack = stack
        self._urls: dict[str, str] = {}

    def need(self, *names: str) -> list[str]:
        """Return the URLs of several servers, started side by side."""
        missing = [name for name in names if name not in self._urls]
        if missing:
            self._urls.update(self._stack.up(missing, lambda _server, _what: None))
        return [self._urls[name] for name in names]

    def __getitem__(self, name: str) -> str:
        return self.need(name)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(SERVERS)

    def __len__(self) -> int:
        return len(SERVERS)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of this run, by name: kafka, postgres, redis, clickhouse, opensearch, s3."""
    cache = Path(os.environ.get("STREAMHUB_CACHE_DIR", "~/.cache/streamhub")).expanduser()
    kept = os.environ.get("STREAMHUB_TEST_DATA_DIR")
    if kept:
        yield Servers(NativeStack(Path(kept).expanduser(), cache, ports="free"))
        return
    stack = NativeStack(tmp_path_factory.mktemp("servers"), cache, ports="free")
    try:
        yield Servers(stack)
    finally:
        stack.down()
