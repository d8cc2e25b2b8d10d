"""Teach Java the start of a server: ``python -m infra.native.warm_up --cache-dir C NAME…``.

A throw-away server is started, and what its start loaded and compiled is kept in the cache for all
later starts. That takes longer than a few starts, so it is done only when somebody asks for it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from events.errors import ErrorKind, StreamHubError
from infra.native.catalogue import HEAP_MB, SERVERS
from infra.native.java import start_cache
from infra.native.place import Place
from infra.native.ports import PortBook
from infra.supervisor.checks import run_check
from infra.supervisor.logs import tail
from infra.supervisor.spec import ProcessSpec

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 120.0
POLL_INTERVAL_S = 0.1
# Others on the machine go first.
NICENESS = 19


class WarmUpFailed(StreamHubError):
    """The throw-away server did not start, or Java wrote nothing when it ended."""

    kind = ErrorKind.UNAVAILABLE
    code = "WARM_UP_FAILED"


def warm_up(name: str, cache_dir: Path) -> bool:
    """Make the start cache of a Java server; False when it is there already.

    Raises ``WarmUpFailed``.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="warm-up-") as folder:
        place = _place(name, Path(folder), cache_dir)
        spec = SERVERS[name](place).spec
        class_path = [Path(part) for part in spec.env["CLASSPATH"].split(os.pathsep)]
        cache = start_cache(place, class_path)
        if cache.exists():
            return False
        fresh = Path(folder) / "fresh.aot"
        _record(spec, fresh)
        cache.parent.mkdir(exist_ok=True)
        for old in cache.parent.glob(f"{name}-*.aot"):
            old.unlink()
        fresh.rename(cache)
    return True


def _place(name: str, folder: Path, cache_dir: Path) -> Place:
    return Place(
        name=name,
        folder=folder,
        cache_dir=cache_dir,
        heap_mb=HEAP_MB[name],
        ports=PortBook(folder, "free", ()),
        progress=lambda _: None,
    )


def _record(spec: ProcessSpec, fresh: Path) -> None:
    """Run the server until it is ready, end it, and wait while Java writes what it learnt."""
    argv = (spec.argv[0], f"-XX:AOTCacheOutput={fresh}", *spec.argv[1:])
    with spec.log_file.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the command line is the stack's own
            argv, env={**os.environ, **spec.env}, cwd=spec.cwd, stdout=log, stderr=log
        )
    try:
        _wait_ready(process, spec)
        process.send_signal(spec.stop_signal)
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise WarmUpFailed(f"{spec.name}: {error}") from error
    finally:
        process.kill()
        process.wait()
    if not fresh.exists():
        raise WarmUpFailed(f"{spec.name} left no cache\n{tail(spec.log_file)}")


def _wait_ready(process: subprocess.Popen[bytes], spec: ProcessSpec) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while spec.ready_check is not None:
        try:
            run_check(spec.ready_check)
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise WarmUpFailed(f"{spec.name}: {error}\n{tail(spec.log_file)}") from error
            time.sleep(POLL_INTERVAL_S)
        else:
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Warm up the named servers, all Java servers by default, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m infra.native.warm_up")
    parser.add_argument("--cache-dir", type=Path, required=True)
    parser.add_argument("names", nargs="*", choices=[*HEAP_MB, []], metavar="NAME")
    options = parser.parse_args(arguments)
    os.nice(NICENESS)
    # A request to end, like any error, must still end the throw-away server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in options.names or HEAP_MB:
        made = warm_up(name, options.cache_dir.resolve())
        sys.stdout.write(f"{name}: {'start remembered' if made else 'known already'}\n")


if __name__ == "__main__":
    main()
