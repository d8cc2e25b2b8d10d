"""Pictures and texts a second, beside bare ONNX Runtime on the same inputs.

    python -m benchmarks.moderation.throughput --models FOLDER --output FILE.json

"Bare" is a session with its default options and the same number of threads, fed with inputs that
were prepared before the clock starts; what StreamHub adds is scaling, counting words, batching and
reading the outputs. Both sides take turns, round by round, so that a busy machine hits both; the
ratio is taken within a round, and its median, lowest and highest are reported. Nothing is
downloaded; the models are prepared from the installed packages when the folder is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import psutil
from numpy.typing import NDArray

from infra.model_files import ModelFiles
from infra.models import prepare_models
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator

WORDS_PER_TEXT = 25
TEXT_BATCH = 64
HEIGHT, WIDTH = 720, 1280


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, lowest and highest of the rounds."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Result:
    """Items a second of both sides, and StreamHub's share of the bare rate, round by round."""

    items_per_round: int
    rounds: int
    streamhub_per_second: Spread
    bare_per_second: Spread
    ratio: Spread


def measure(
    items: int, rounds: int, ours: Callable[[], object], bare: Callable[[], object]
) -> Result:
    """Time both sides in turns, after one untimed run of each."""
    ours()
    bare()
    pairs = [(items / _seconds(ours), items / _seconds(bare)) for _ in range(rounds)]
    return Result(
        items,
        rounds,
        _spread([mine for mine, _ in pairs]),
        _spread([theirs for _, theirs in pairs]),
        _spread([mine / theirs for mine, theirs in pairs]),
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _spread(values: Sequence[float]) -> Spread:
    middle = statistics.median(values)
    return Spread(round(middle, 4), round(min(values), 4), round(max(values), 4))


def bare_session(path: Path, threads: int) -> Any:
    """Return a session as anybody would open it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure_pictures(files: ModelFiles, threads: int, count: int, rounds: int) -> Result:
    """Score pictures of 1280x720 with the default detector, one at a time on both sides."""
    generator = np.random.default_rng(1)
    frames = [generator.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]
    moderator = ImageModerator(files.image_detector, threads)
    session = bare_session(files.image_detector, threads)
    inputs = [moderator.prepare(frame)[None] for frame in frames]

    def bare() -> list[Any]:
        return [session.run(None, {"images": tensor}) for tensor in inputs]

    return measure(count, rounds, lambda: moderator.score(frames), bare)


def measure_texts(files: ModelFiles, threads: int, count: int, rounds: int) -> Result:
    """Score texts of 25 known words with the default text model, 64 at a time on both sides."""
    texts = _texts(files, count)
    moderator = TextModerator(files.text_classifier, threads, TEXT_BATCH)
    session = bare_session(files.text_classifier, threads)
    feeds = _recorded_feeds(files, texts)

    def bare() -> list[Any]:
        return [session.run(None, feed) for feed in feeds]

    return measure(count, rounds, lambda: moderator.score(texts), bare)


def _texts(files: ModelFiles, count: int) -> list[str]:
    words = json.loads(files.text_classifier.with_suffix(".json").read_text())["words"]
    choices = np.random.default_rng(1).integers(0, len(words), (count, WORDS_PER_TEXT))
    return [" ".join(words[index] for index in row) for row in choices]


class _RecordingTexts(TextModerator):
    """A text moderator that keeps the very inputs that it gives to its session."""

    def __init__(self, model_path: Path) -> None:
        self.feeds: list[dict[str, NDArray[Any]]] = []
        super().__init__(model_path, batch_size=TEXT_BATCH)
        run = self._session.run

        def recording(feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
            self.feeds.append(dict(feed))
            return run(feed)

        self._session.run = recording  # type: ignore[assignment,method-assign]


def _recorded_feeds(files: ModelFiles, texts: Sequence[str]) -> list[dict[str, NDArray[Any]]]:
    moderator = _RecordingTexts(files.text_classifier)
    moderator.feeds.clear()
    moderator.score(texts)
    return moderator.feeds


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average_1_minute": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--texts", type=int, default=6400)
    chosen = parser.parse_args()
    files = prepare_models(chosen.models)
    pictures = measure_pictures(files, chosen.threads, chosen.pictures, chosen.rounds)
    texts = measure_texts(files, chosen.threads, chosen.texts, chosen.rounds)
    report = {
        "machine": machine(),
        "threads": chosen.threads,
        "pictures": {"height": HEIGHT, "width": WIDTH, **asdict(pictures)},
        "texts": {"words_per_text": WORDS_PER_TEXT, "batch": TEXT_BATCH, **asdict(texts)},
        "memory_mib": psutil.Process().memory_info().rss >> 20,
    }
    chosen.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
