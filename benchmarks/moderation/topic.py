"""Moderation beside bare ONNX Runtime, as a topic of ``benchmarks.run``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from benchmarks.processes import run_module
from benchmarks.report import Figure, Result, Spread
from infra.settings import Settings

SERVERS: tuple[str, ...] = ()
#: Figures come from items of a round, so a quick run takes fewer of them.
QUICK = ("--pictures", "4", "--texts", "1280")


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:  # noqa: ARG001
    """Score pictures and texts, in turns with the same models run bare."""
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        path = Path(folder) / "result.json"
        models = str(Settings().cache_dir / "models")
        arguments = ["--models", models, "--output", str(path), "--rounds", str(rounds)]
        await run_module(
            "benchmarks.moderation.throughput", [*arguments, *(QUICK if quick else ())]
        )
        raw = orjson.loads(path.read_bytes())
    return Result(
        about=(
            "The default models over pictures of 1280x720 and texts of 25 words, one thread: "
            "StreamHub with decoding of its inputs, and bare ONNX Runtime on prepared ones, in "
            "turns. A ratio of 1 means that StreamHub adds nothing."
        ),
        figures=(
            Figure("Pictures, ours / bare", "x", _spread(raw["pictures"]["ratio"])),
            Figure(
                "Pictures, ours", "pictures/s", _spread(raw["pictures"]["streamhub_per_second"])
            ),
            Figure("Texts, ours / bare", "x", _spread(raw["texts"]["ratio"])),
            Figure("Texts, ours", "texts/s", _spread(raw["texts"]["streamhub_per_second"])),
        ),
        raw=raw,
        libraries=("onnxruntime", "numpy"),
    )


def _spread(found: Mapping[str, Any]) -> Spread:
    return Spread(found["lowest"], found["median"], found["highest"])
