"""Whether ratios got worse since a release: the check that people run before the next one.

Only ratios are compared, since those travel from machine to machine; and only what was measured
alike. A ratio is worse when it lost more than it varied between rounds, then or now. Few rounds
vary less than many would, so a tenth is always allowed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import RATIO, RESULTS, ROOT, Document, number

LAST_RELEASE = "last-release"
#: Of fewer rounds nobody knows how much a figure varies.
ROUNDS_MIN = 2
_ALLOWED_SHARE = 0.1


class NothingToCompare(ValueError):
    """There are no results there."""


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio then and now, and how much of it may be chance."""

    topic: str
    figure: str
    before: float
    now: float
    allowed: float
    lower_is_better: bool = False

    @property
    def is_worse(self) -> bool:
        """Say whether it lost more than chance takes."""
        loss = self.now - self.before if self.lower_is_better else self.before - self.now
        return loss > self.allowed

    def __str__(self) -> str:
        return (
            f"{'worse' if self.is_worse else 'as good'}: {self.topic}: {self.figure}: "
            f"{number(self.before)} then, {number(self.now)} now, {number(self.allowed)} may be "
            "chance"
        )


def results_of(place: str) -> dict[str, Document]:
    """Return topic -> document of a folder, or of a git revision, or of the last release's tag.

    Raises:
        NothingToCompare: nothing is there.
    """
    folder = Path(place)
    if folder.is_dir():
        texts = [path.read_bytes() for path in sorted(folder.glob("*.json"))]
    else:
        texts = _in_git(_last_release() if place == LAST_RELEASE else place)
    documents = [orjson.loads(text) for text in texts]
    if not documents:
        raise NothingToCompare(f"{place} holds no results")
    return {content["topic"]: content for content in documents}


def _last_release() -> str:
    """Return the newest tag before this commit; before the first release, this commit."""
    try:
        return _git("describe", "--tags", "--abbrev=0").decode().strip()
    except NothingToCompare:
        return "HEAD"


def _in_git(revision: str) -> list[bytes]:
    folder = RESULTS.relative_to(ROOT).as_posix()
    listed = _git("ls-tree", "--name-only", revision, f"{folder}/").decode().splitlines()
    return [_git("show", f"{revision}:{name}") for name in listed if name.endswith(".json")]


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise NothingToCompare(done.stderr.decode(errors="replace").strip())
    return done.stdout


def compare(
    before: Mapping[str, Document], now: Mapping[str, Document]
) -> tuple[list[Change], list[str]]:
    """Return the ratios that both have, and a line for each that could not be compared."""
    changes, left_out = [], []
    for topic, old in before.items():
        new = now.get(topic)
        if new is None:
            left_out.append(f"{topic}: not measured now")
        elif old["quick"] != new["quick"]:
            left_out.append(f"{topic}: one of the two was a quick run")
        elif min(old["rounds"], new["rounds"]) < ROUNDS_MIN:
            left_out.append(f"{topic}: fewer than {ROUNDS_MIN} rounds say nothing of chance")
        else:
            found, missing = _ratios(old, new)
            changes += found
            left_out += [f"{topic}: {name}: not measured now" for name in missing]
    return changes, left_out


def _ratios(old: Document, new: Document) -> tuple[list[Change], list[str]]:
    figures = {figure["name"]: figure for figure in new["figures"]}
    changes, missing = [], []
    for figure in old["figures"]:
        if figure["unit"] != RATIO:
            continue
        other = figures.get(figure["name"])
        if other is None:
            missing.append(figure["name"])
        else:
            changes.append(_change(old["topic"], figure, other))
    return changes, missing


def _change(topic: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    spreads = (old["spread"], new["spread"])
    widths = [spread["maximum"] - spread["minimum"] for spread in spreads]
    before, now = (spread["median"] for spread in spreads)
    return Change(
        topic,
        old["name"],
        before,
        now,
        max(*widths, _ALLOWED_SHARE * before),
        lower_is_better=new.get("lower_is_better", False),
    )


def verdict(
    before: Mapping[str, Document], now: Mapping[str, Document], topics: Sequence[str]
) -> tuple[list[str], bool]:
    """Return what there is to say of topics, all where none is named, and whether all is well."""
    wanted = {topic: content for topic, content in before.items() if topic in (topics or before)}
    changes, left_out = compare(wanted, now)
    worse = [change for change in changes if change.is_worse]
    lines = [*left_out, *(str(change) for change in changes if not change.is_worse)]
    lines += [str(change) for change in worse]
    lines.append(f"{len(changes)} ratios compared, {len(worse)} worse")
    return lines, not worse
