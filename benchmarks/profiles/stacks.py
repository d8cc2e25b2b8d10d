"""Folding what py-spy saw: raw stacks to functions, roots and imports left out, trifles pruned.

A frame becomes ``name (package/file.py)``, without lines, so that equal functions merge. What
Python itself brings is of the package ``python``; the others are named as they are imported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: A stack from its root on; its last frame is what ran.
Stack = tuple[str, ...]

#: What is under this share of the samples is counted for its caller.
TRIFLE = 0.003
#: Stands for the work of a loop between its tasks.
EVENT_LOOP = "event loop (python/asyncio or uvloop)"
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::\d+)?\)")
_LIBRARY = re.compile(r".*/(?:site|dist)-packages/")
_PYTHON = re.compile(r".*/python3\.\d+/(?:lib-dynload/)?")
#: How a process or a thread comes to its loop, and a loop to a task: all stacks have it in common.
_ROOTS = frozenset(
    {
        "Runner.run (python/asyncio/runners.py)",
        "BaseEventLoop._run_once (python/asyncio/base_events.py)",
        "Handle._run (python/asyncio/events.py)",
        "Thread.run (python/threading.py)",
        "_worker (python/concurrent/futures/thread.py)",
        "_WorkItem.run (python/concurrent/futures/thread.py)",
        "WorkerThread.run (mode/threads.py)",
        "ServiceThread._start_thread (mode/threads.py)",
    }
)
_IMPORTING = "python/<frozen importlib"


@dataclass(frozen=True, slots=True)
class Folded:
    """The samples of each stack, and how many more were left out: imports, which are made once."""

    stacks: Mapping[Stack, int]
    left_out: int

    @property
    def samples(self) -> int:
        """Return how many samples the stacks have."""
        return sum(self.stacks.values())


def fold(raw: Iterable[str], *checkouts: str) -> Folded:
    """Return what was seen; ``checkouts`` are the folders that hold code of ours."""
    folded: Counter[Stack] = Counter()
    left_out = 0
    for line in raw:
        frames, _, samples = line.rstrip().rpartition(" ")
        if not frames:
            continue  # A thread that had no frame yet, or none any more.
        stack = tuple(_frame(frame, checkouts) for frame in frames.split(";"))
        if any(_IMPORTING in frame for frame in stack):
            left_out += int(samples)
        else:
            folded[_above_roots(stack)] += int(samples)
    return Folded(folded, left_out)


def _frame(text: str, checkouts: Sequence[str]) -> str:
    """Return a frame without its line, and with its file as its package names it."""
    found = _FRAME.fullmatch(text)
    if not found:
        return f"{text} (python/)"
    name, file = found["name"], found["file"]
    if _LIBRARY.match(file):
        return f"{name} ({_LIBRARY.sub('', file)})"
    for checkout in checkouts:
        if file.startswith(f"{checkout}/"):
            return f"{name} ({file.removeprefix(f'{checkout}/')})"
    inside = _PYTHON.sub("", file)
    # A file of nobody's is a machine's own affair, and so is where it stands.
    return f"{name} (python/{inside.rpartition('/')[2] if inside.startswith('/') else inside})"


def _above_roots(stack: Stack) -> Stack:
    roots = [number for number, frame in enumerate(stack) if frame in _ROOTS]
    above = stack[roots[-1] + 1 :] if roots else stack
    return above or (EVENT_LOOP,)


@dataclass(slots=True)
class _Node:
    """A function where it was called from; ``own`` are the samples in which itself ran."""

    own: int = 0
    called: dict[str, _Node] = field(default_factory=dict)

    def total(self) -> int:
        return self.own + sum(node.total() for node in self.called.values())


def prune(folded: Mapping[Stack, int], trifle: float = TRIFLE) -> dict[Stack, int]:
    """Count for its caller what has less than a share of all samples; what has no caller is lost.

    The stacks come in the order of their names, callers before the called.
    """
    root = _Node()
    for stack, samples in folded.items():
        node = root
        for frame in stack:
            node = node.called.setdefault(frame, _Node())
        node.own += samples
    _merge(root, trifle * sum(folded.values()))
    return dict(_stacks(root, ()))


def _merge(node: _Node, least: float) -> None:
    for frame, called in list(node.called.items()):
        if called.total() < least:
            node.own += called.total()
            del node.called[frame]
        else:
            _merge(called, least)


def _stacks(node: _Node, stack: Stack) -> Iterator[tuple[Stack, int]]:
    if node.own and stack:
        yield stack, node.own
    for frame in sorted(node.called):
        yield from _stacks(node.called[frame], (*stack, frame))


def package(frame: str) -> str:
    """Return the package that a frame is of."""
    return frame.rpartition(" (")[2].rstrip(")").partition("/")[0].removesuffix(".py")


def own_samples(folded: Mapping[Stack, int]) -> Counter[str]:
    """Return in how many samples each function ran itself."""
    own: Counter[str] = Counter()
    for stack, samples in folded.items():
        own[stack[-1]] += samples
    return own
