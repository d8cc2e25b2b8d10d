"""A remembered start: made once, used by the next start of the same server."""

from __future__ import annotations

from pathlib import Path

import psutil

from infra.native.stack import NativeStack
from infra.native.warm_up import warm_up
from tests.native.running import CACHE, quiet


def test_a_start_is_remembered_once_and_used_afterwards(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    # The jars are shared with the real cache; only the remembered starts are this test's own.
    for name in ("maven", "checked"):
        (cache / name).symlink_to(CACHE / name)
    stack = NativeStack(tmp_path / "data", CACHE, ports="free")
    stack.up(["s3"], quiet)  # Fetches the jars where no test did before.
    stack.down()
    assert warm_up("s3", cache)
    assert not warm_up("s3", cache)
    (remembered,) = (cache / "starts").glob("s3-*.aot")
    stack = NativeStack(tmp_path / "data", cache, ports="free")
    try:
        stack.up(["s3"], quiet)
        (status,) = stack.status()
        assert str(remembered) in [item.path for item in psutil.Process(status.pid).memory_maps()]
    finally:
        stack.down()
    assert [path.name for path in cache.iterdir() if path.name.startswith("warm-up-")] == []
