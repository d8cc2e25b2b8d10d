"""Pictures and texts a second, beside bare ONNX Runtime on the same inputs.

    python -m benchmarks.moderation.throughput --models FOLDER --output FILE.json

Two other sides stand beside StreamHub's:

- *bare*: a session of ONNX Runtime with its default options and the same number of
  threads, fed with inputs that were made before the clock starts. It does less than StreamHub does:
  nothing scales a picture, and nothing cuts and counts a text's words.
- *the same work*: that session, its inputs made within the clock by the code that the models were
  published with, OpenCV for pictures (nudenet) and scikit-learn for texts (alt-profanity-check).

All start from the same pictures in memory and the same texts, and none decodes a file. Seconds are
those that a processor worked, because a busy machine makes others long. The sides take turns, round
by round; a ratio is taken within a round, and its median, lowest and highest are reported. Nothing
is downloaded; the models are prepared from the installed packages when the folder is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import psutil
from nudenet import nudenet  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer  # type: ignore[import-untyped]

from infra.model_files import ModelFiles
from infra.models import prepare_models
from processors.moderation.description import load_text_description
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
    """Items a second of each side, and StreamHub's share of the other two, round by round."""

    items_per_round: int
    rounds: int
    streamhub_per_second: Spread
    bare_per_second: Spread
    same_work_per_second: Spread
    ratio: Spread
    same_work_ratio: Spread


_Side = Callable[[], object]


def measure(items: int, rounds: int, ours: _Side, bare: _Side, same_work: _Side) -> Result:
    """Time the sides in turns, after one untimed run of each."""
    sides = (ours, bare, same_work)
    for side in sides:
        side()
    rates = np.array([[items / _seconds(side) for side in sides] for _ in range(rounds)]).T
    mine, bare_rates, same_work_rates = rates
    shares = (mine / bare_rates, mine / same_work_rates)
    return Result(items, rounds, *map(_spread, (*rates, *shares)))


def _seconds(work: _Side) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _spread(values: NDArray[np.float64]) -> Spread:
    found = (float(kind(values)) for kind in (np.median, np.min, np.max))
    return Spread(*(round(value, 4) for value in found))


def bare_session(path: Path, threads: int) -> Any:
    """Return a session as anybody would open it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure_pictures(files: ModelFiles, threads: int, count: int, rounds: int) -> Result:
    """Score pictures of 1280x720 with the default detector, one at a time on every side."""
    generator = np.random.default_rng(1)
    frames = [generator.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]
    swapped = [np.ascontiguousarray(frame[:, :, ::-1]) for frame in frames]
    moderator = ImageModerator(files.image_detector, threads)
    session = bare_session(files.image_detector, threads)
    inputs = [moderator.prepare(frame)[None] for frame in frames]

    def bare() -> list[Any]:
        return [session.run(None, {"images": tensor}) for tensor in inputs]

    def same_work() -> list[Any]:
        prepared = (nudenet._read_image(frame)[0] for frame in swapped)  # noqa: SLF001 no other way
        return [session.run(None, {"images": tensor}) for tensor in prepared]

    cv2.setNumThreads(threads)
    return measure(count, rounds, lambda: moderator.score(frames), bare, same_work)


def measure_texts(files: ModelFiles, threads: int, count: int, rounds: int) -> Result:
    """Score texts of 25 known words with the default text model, 64 at a time on every side."""
    texts = _texts(files, count)
    moderator = TextModerator(files.text_classifier, threads, TEXT_BATCH)
    session = bare_session(files.text_classifier, threads)
    feeds = _recorded_feeds(files, texts)

    def bare() -> list[Any]:
        return [session.run(None, feed) for feed in feeds]

    def same_work() -> list[Any]:
        return [session.run(None, counted(batch)) for batch in batches]

    counted = _scikit_learns_counts(files)
    batches = [texts[start : start + TEXT_BATCH] for start in range(0, count, TEXT_BATCH)]
    return measure(count, rounds, lambda: moderator.score(texts), bare, same_work)


def _scikit_learns_counts(files: ModelFiles) -> Callable[[list[str]], dict[str, NDArray[Any]]]:
    """Return what makes the model's inputs of texts, by the class that the model was made with."""
    description = load_text_description(files.text_classifier)
    vectorizer = CountVectorizer(
        token_pattern=description.token_pattern, vocabulary=description.words
    )

    def counted(texts: list[str]) -> dict[str, NDArray[Any]]:
        found = vectorizer.transform(texts)
        lengths = np.diff(found.indptr)
        used = np.arange(max(1, lengths.max())) < lengths[:, None]
        tokens, counts = np.zeros(used.shape, np.int64), np.zeros(used.shape, np.float32)
        tokens[used], counts[used] = found.indices + 1, found.data
        return {"tokens": tokens, "counts": counts}

    return counted


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
