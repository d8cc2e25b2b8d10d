"""How long the native servers take to serve, in an empty data folder with everything fetched."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.native.catalogue import HEAP_MB, SERVERS
from infra.native.stack import NativeStack
from infra.native.warm_up import warm_up

#: The time until all of them serve; they start side by side.
ALL = "all"
#: Where the cache folder keeps what Java servers remember of their starts.
_STARTS = "starts"


def remember_starts(cache_dir: Path) -> None:
    """Make the start caches that are missing."""
    for name in HEAP_MB:
        warm_up(name, cache_dir)


@contextmanager
def without_starts(cache_dir: Path) -> Iterator[Path]:
    """Yield a folder with all that the cache folder has but the start caches."""
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-cache-") as name:
        for part in cache_dir.iterdir():
            if part.name != _STARTS:
                (Path(name) / part.name).symlink_to(part)
        yield Path(name)


def start_seconds(cache_dir: Path) -> dict[str, float]:
    """Return server -> seconds from the wish to the first answer, and ``ALL``."""
    ready: dict[str, float] = {}
    started = time.perf_counter()

    def note(server: str, what: str) -> None:
        if what == "ready":
            ready[server] = time.perf_counter() - started

    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        stack = NativeStack(Path(folder), cache_dir, ports="free")
        try:
            stack.up(list(SERVERS), note)
            ready[ALL] = time.perf_counter() - started
        finally:
            stack.down()
    return ready
