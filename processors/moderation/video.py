"""Films to a verdict: a few frames are scored and their scores made one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from processors.moderation.images import ImageModerator
from processors.moderation.preprocess import Tensor
from processors.moderation.sampling import Sampling, sample_frames
from processors.moderation.verdict import Action, FrameScore, Thresholds, decide

FEW_FRAMES = 2


@dataclass(frozen=True, slots=True)
class TimedFrameScore:
    """A sampled frame's time in seconds from the start, and its score."""

    time_s: float
    score: FrameScore


@dataclass(frozen=True, slots=True)
class ModerationResult:
    """The verdict on a film and the frames that it rests on, in the order of their times."""

    nsfw_score: float
    flagged: bool
    action: Action
    frames: tuple[TimedFrameScore, ...]


def aggregate(scores: Sequence[float], thresholds: Thresholds) -> float:
    """Return one score for a film: the highest, unless that frame stands alone.

    One explicit scene is enough, so an average would be wrong; but a detector errs on single
    frames. When no second frame is above the review threshold, the score is held at the block
    threshold, which is not above it: a lone frame calls for a person and never blocks by itself.
    One or two sampled frames are too few for that rule, and the highest counts. Raises ValueError
    without scores.
    """
    if not scores:
        raise ValueError("a film without frames has no score")
    highest, *others = sorted(scores, reverse=True)
    if len(scores) <= FEW_FRAMES or others[0] > thresholds.review:
        return highest
    return min(highest, thresholds.block)


class VideoModerator:
    """Scores films with an image model, holding no more than two batches of scaled frames."""

    def __init__(
        self,
        images: ImageModerator,
        thresholds: Thresholds | None = None,
        sampling: Sampling | None = None,
        decoder_threads: int = 1,
    ) -> None:
        self._images = images
        self._thresholds = thresholds or Thresholds()
        self._sampling = sampling or Sampling()
        self._decoder_threads = decoder_threads

    def moderate(self, path: Path) -> ModerationResult:
        """Return the verdict on a file; UnreadableMedia when no frame of it can be decoded."""
        frames = self._score_frames(path)
        scores = [frame.score.nsfw_score for frame in frames]
        verdict = decide(aggregate(scores, self._thresholds), self._thresholds)
        return ModerationResult(verdict.nsfw_score, verdict.flagged, verdict.action, tuple(frames))

    def _score_frames(self, path: Path) -> list[TimedFrameScore]:
        """Score one batch while the next is decoded; two are held, however long the film is."""
        scored: list[Future[list[TimedFrameScore]]] = []
        with ThreadPoolExecutor(1, "inference") as inference:
            for batch in self._batches(path):
                if scored:
                    scored[-1].result()
                scored.append(inference.submit(self._score_batch, batch))
        return [score for batch in scored for score in batch.result()]

    def _batches(self, path: Path) -> Iterator[list[tuple[float, Tensor]]]:
        waiting: list[tuple[float, Tensor]] = []
        for frame in sample_frames(path, self._sampling, self._decoder_threads):
            waiting.append((frame.time_s, self._images.prepare(frame.picture)))
            if len(waiting) == self._images.batch_size:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _score_batch(self, waiting: Sequence[tuple[float, Tensor]]) -> list[TimedFrameScore]:
        scores = self._images.score_prepared([tensor for _, tensor in waiting])
        return [
            TimedFrameScore(time_s, score)
            for (time_s, _), score in zip(waiting, scores, strict=True)
        ]
