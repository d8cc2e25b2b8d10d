"""The transcode beside one FFmpeg command, as a topic of ``benchmarks.run``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import orjson

from benchmarks.processes import run_module
from benchmarks.report import Figure, Result, Spread

SERVERS: tuple[str, ...] = ()
SECONDS, QUICK_SECONDS = 10, 4


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:  # noqa: ARG001
    """Transcode a made 1080p clip to the whole ladder, in turns with FFmpeg."""
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        path = Path(folder) / "result.json"
        seconds = QUICK_SECONDS if quick else SECONDS
        arguments = ["--json", str(path), "--rounds", str(rounds), "--seconds", str(seconds)]
        await run_module("benchmarks.transcode.compare", arguments)
        raw = orjson.loads(path.read_bytes())
    ours, theirs = raw["runs"]["ours"], raw["runs"]["ffmpeg"]
    pairs = list(zip(ours, theirs, strict=True))
    return Result(
        about=(
            f"A made {seconds} s clip of 1080p to the whole HLS ladder: StreamHub's transcode and "
            "one ffmpeg command with the same settings, each a process of its own, in turns. "
            "Ratios under 1 mean that StreamHub takes less."
        ),
        figures=(
            Figure("Wall time, ours / ffmpeg", "x", _ratio(pairs, "wall_s"), lower_is_better=True),
            Figure(
                "Processor time, ours / ffmpeg", "x", _ratio(pairs, "cpu_s"), lower_is_better=True
            ),
            Figure(
                "Peak memory, ours / ffmpeg", "x", _ratio(pairs, "memory_mib"), lower_is_better=True
            ),
            Figure(
                "Seconds of film a second, ours",
                "s/s",
                Spread.of(raw["source_seconds"] / one["wall_s"] for one in ours),
            ),
        ),
        raw=raw,
        libraries=("av",),
    )


def _ratio(pairs: list[tuple[dict[str, float], dict[str, float]]], name: str) -> Spread:
    return Spread.of(mine[name] / other[name] for mine, other in pairs)
