"""Fresh native servers, for as long as something is measured on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.native.stack import NativeStack
from infra.settings import Settings


@contextmanager
def native_servers(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Start servers in a temporary folder on free ports, yield their URLs, and end them."""
    if not names:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        stack = NativeStack(Path(folder), Settings().cache_dir, ports="free")
        try:
            yield stack.up(names, lambda _server, _what: None)
        finally:
            stack.down()
