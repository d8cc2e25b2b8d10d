"""Several processes that build a share of the partitions each, so that every core has work.

A position belongs to a partition, and a build is the same whoever fills it: helpers know nothing of
each other, and any of them may be killed. A helper is told its share on its standard input, tells
how far it is on its standard output, and ends where its input ends, as when its caller was killed.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from events.errors import StreamHubError, Unavailable
from infra.bootstrap.core import open_core
from infra.collector import relieve_collector
from infra.logs import configure_logs
from infra.memory import keep_freed_memory
from infra.rebuild.pacing import Pacer
from infra.rebuild.rebuilding import Progress, Rebuild, Share
from infra.settings import Settings
from projections.declaration import Projection
from projections.event_loop import new_event_loop
from projections.registry import PROJECTIONS

_COMMAND = (sys.executable, "-m", "infra.rebuild.helpers")


class HelperEnded(Unavailable):
    """A process that built a share ended too early; the build goes on when it is begun again."""

    code = "HELPER_ENDED"


@dataclass(slots=True)
class _Together:
    """Reports what all processes have done as one progress."""

    report: Callable[[Progress], None]
    parts: dict[int, Progress] = field(default_factory=dict)

    def note(self, number: int) -> Callable[[Progress], None]:
        """Return what hears of the progress of one of them."""

        def heard(progress: Progress) -> None:
            self.parts[number] = progress
            parts = self.parts.values()
            self.report(Progress(sum(p.done for p in parts), sum(p.total for p in parts)))

        return heard


async def build_together(made: Rebuild, processes: int) -> int:
    """Build as ``Rebuild.build`` does, with so many processes, this one among them.

    Raises:
        HelperEnded: a helper failed; what it said stands on the error output.
        StreamHubError: as ``Rebuild.build``.
    """
    together = _Together(made.report)
    pace = made.pacer.rate / processes
    mine = replace(
        made, share=Share(0, processes), pacer=Pacer(pace), report=together.note(0)
    ).build()
    others = [
        _helped(made.targets, Share(number, processes), pace, together.note(number))
        for number in range(1, processes)
    ]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (mine, *others)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return sum(task.result() for task in tasks)


async def _helped(
    targets: Sequence[Projection], share: Share, rate: float, report: Callable[[Progress], None]
) -> int:
    """Have a process of its own build a share; return over how many offsets it went."""
    # An interrupt from the keyboard is for the caller alone, which ends its helpers itself.
    helper = await asyncio.create_subprocess_exec(
        *_COMMAND, stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    try:
        assert helper.stdin is not None
        builds = {target.name: target.build for target in targets}
        order = {"builds": builds, "number": share.number, "of": share.of, "rate": rate}
        helper.stdin.write(orjson.dumps(order) + b"\n")
        return await _followed(helper, report)
    finally:
        if helper.returncode is None:
            helper.terminate()
            await helper.wait()


async def _followed(helper: Process, report: Callable[[Progress], None]) -> int:
    assert helper.stdout is not None
    offsets = 0
    async for line in helper.stdout:
        match orjson.loads(line):
            case {"done": done, "total": total}:
                report(Progress(done, total))
            case {"offsets": int(found)}:
                offsets = found
    code = await helper.wait()
    if code:
        raise HelperEnded(f"A process that built a share ended with {code}; begin again")
    return offsets


def main() -> None:
    """Build the share that the first line of the standard input names."""
    configure_logs("rebuild", "warning")
    relieve_collector()
    keep_freed_memory()
    try:
        order = orjson.loads(sys.stdin.buffer.readline())
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_help(order))
    except orjson.JSONDecodeError:
        sys.exit("streamhub: no share came on the standard input; see projections rebuild --help")
    except StreamHubError as error:
        sys.exit(f"streamhub: {error}")
    except (asyncio.CancelledError, BrokenPipeError):
        # The caller is gone.
        sys.exit(1)


async def _help(order: dict[str, Any]) -> None:
    builds = order["builds"]
    targets = [replace(p, build=builds[p.name]) for p in PROJECTIONS if p.name in builds]
    async with open_core(Settings()) as core:
        made = Rebuild(
            core,
            targets,
            Pacer(order["rate"]),
            lambda progress: _say({"done": progress.done, "total": progress.total}),
            Share(order["number"], order["of"]),
        )
        building = asyncio.ensure_future(made.build())
        _watch_caller(building)
        _say({"offsets": await building})


def _watch_caller(building: asyncio.Future[int]) -> None:
    """Give up when the standard input ends: nobody is there any more to help."""
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(sys.stdin)
        building.cancel()

    loop.add_reader(sys.stdin, ended)


def _say(what: dict[str, int]) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
