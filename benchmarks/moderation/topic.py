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
            "The default models over pictures of 1280x720 and texts of 25 words in memory, one "
            "thread; seconds are those that a processor worked. Bare is ONNX Runtime on inputs "
            "that were made before: it scales no picture and counts no words. The same work is "
            "ONNX Runtime with inputs made by what the models were published with, OpenCV and "
            "scikit-learn. All take turns."
        ),
        figures=(*_figures("Pictures", raw["pictures"]), *_figures("Texts", raw["texts"])),
        raw=raw,
        libraries=("onnxruntime", "numpy"),
    )


def _figures(name: str, found: Mapping[str, Any]) -> tuple[Figure, ...]:
    return (
        Figure(f"{name}, ours / bare", "x", _spread(found["ratio"])),
        Figure(f"{name}, ours / the same work", "x", _spread(found["same_work_ratio"])),
        Figure(f"{name}, ours", f"{name.lower()}/s", _spread(found["streamhub_per_second"])),
    )


def _spread(found: Mapping[str, Any]) -> Spread:
    return Spread(found["lowest"], found["median"], found["highest"])
