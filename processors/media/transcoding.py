"""From a film of any kind to an HLS ladder with a thumbnail, decoding the film once.

Every rendition scales, encodes and cuts in its own thread (the codecs release Python's lock), and
the queues between the threads are bounded, so that memory does not depend on the film's length.
Files appear in the folder that was asked for only when all of them are complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame

from processors.media.channel import Stopped
from processors.media.errors import (
    FilmTooLong,
    TranscodeCancelled,
    TruncatedMedia,
    UndecodableMedia,
)
from processors.media.ladder_run import LadderRun, RunPlan
from processors.media.options import Progress, RenditionResult, TranscodeOptions, TranscodeResult
from processors.media.playlists import master_playlist
from processors.media.probe import READABLE_SHARE_MIN, MediaInfo, probe_video
from processors.media.reading import FrameReader, audio_stream, open_media, video_stream
from processors.media.rendition import variant

MASTER_PLAYLIST = "master.m3u8"
THUMBNAIL = "thumbnail.jpg"
_REPORT_EVERY_S = 0.25
_ASK_EVERY_S = 0.1
# What is left for the end of the encoders and the playlists once all is decoded.
_ENCODE_SHARE = 0.98


def transcode(
    source: Path,
    out_dir: Path,
    options: TranscodeOptions,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> TranscodeResult:
    """Write ``master.m3u8``, a playlist and segments a rendition, and ``thumbnail.jpg``.

    ``on_progress`` is called in this thread at each change of stage and else at most four times a
    second; ``should_stop`` is asked at most ten times a second. Raises a ``MediaError`` for a
    source that cannot become a stream (``TruncatedMedia`` also when less than nine tenths of its
    declared duration could be decoded), ``TranscodeCancelled`` when told to stop. Whatever is
    raised, no file is left behind.
    """
    watch = _Watch(on_progress, should_stop)
    watch.enter("probe")
    info = probe_video(source)
    if info.duration_s > options.duration_max_s:
        raise FilmTooLong
    with _staging(out_dir) as folder:
        cores = options.threads or len(os.sched_getaffinity(0))
        plan = RunPlan(info, options, folder, folder / THUMBNAIL, cores)
        watch.enter("encode")
        with open_media(source) as container:
            encoding = _Encoding(plan, watch)
            results = encoding.run(container)
        master = master_playlist([variant(result) for result in results])
        (folder / MASTER_PLAYLIST).write_text(master, encoding="utf-8")
    watch.enter("done", 1.0)
    return _result(out_dir, info, results, encoding)


def _result(
    out_dir: Path,
    info: MediaInfo,
    results: tuple[RenditionResult, ...],
    encoding: _Encoding,
) -> TranscodeResult:
    return TranscodeResult(
        duration_s=float(encoding.duration_s),
        renditions=tuple(result.moved_to(out_dir) for result in results),
        master_playlist=out_dir / MASTER_PLAYLIST,
        thumbnail=out_dir / THUMBNAIL,
        source=info,
        damaged_packets=encoding.damaged_packets,
    )


@contextmanager
def _staging(out_dir: Path) -> Iterator[Path]:
    """Give a hidden folder inside ``out_dir``; move its files up at the end, or remove it all."""
    created = not out_dir.exists()
    out_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".transcode-", dir=out_dir))
    try:
        yield folder
        for file in sorted(folder.iterdir()):
            file.replace(out_dir / file.name)
        folder.rmdir()
    except BaseException:
        shutil.rmtree(out_dir if created else folder, ignore_errors=True)
        raise


class _Watch:
    """Reports progress and asks whether to stop, neither too often."""

    def __init__(
        self, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> None:
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._stage = ""
        self._begun = time.monotonic()
        self._time_s = 0.0
        self._reported = self._asked = float("-inf")

    def enter(self, stage: str, fraction: float = 0.0) -> None:
        """Report a new stage."""
        self._stage = stage
        if stage == "encode":
            self._begun = time.monotonic()
        self._report(fraction)

    def at(self, time_s: Fraction, duration_s: float) -> None:
        """Report the position in the film; raise ``TranscodeCancelled`` if told to stop."""
        now = time.monotonic()
        self._time_s = max(self._time_s, float(time_s))
        if now - self._asked >= _ASK_EVERY_S:
            self._asked = now
            if self._should_stop():
                raise TranscodeCancelled
        if now - self._reported >= _REPORT_EVERY_S and duration_s:
            self._report(min(1.0, self._time_s / duration_s) * _ENCODE_SHARE)

    def _report(self, fraction: float) -> None:
        self._reported = time.monotonic()
        rate = self._time_s / max(self._reported - self._begun, 1e-9)
        self._on_progress(Progress(self._stage, fraction, rate))


class _Encoding:
    """Decodes a film into a ladder and checks that all of the film was there."""

    def __init__(self, plan: RunPlan, watch: _Watch) -> None:
        self.duration_s = Fraction(0)
        self.damaged_packets = 0
        self._plan = plan
        self._watch = watch
        self._run: LadderRun | None = None

    def run(self, container: InputContainer) -> tuple[RenditionResult, ...]:
        """Return the renditions, lowest first."""
        try:
            return self._decode(container)
        except Stopped:
            if self._run is not None:
                self._run.raise_failure()
            raise
        finally:
            if self._run is not None:
                self._run.abort()

    def _decode(self, container: InputContainer) -> tuple[RenditionResult, ...]:
        reader = self._reader(container)
        for frame, start_s, length_s in reader.frames():
            if isinstance(frame, VideoFrame):
                self._run = self._run or LadderRun(self._plan, frame)
                self._run.add_picture(frame, start_s, length_s)
            elif self._run is not None:
                self._run.add_sound(frame, start_s)
            self._watch.at(start_s, self._plan.source.duration_s)
            self._refuse_if_too_long(start_s)
        self.damaged_packets = reader.damaged_packets
        if self._run is None:
            raise UndecodableMedia
        self._require_most_of_it(reader.lead_s + self._run.reached_s)
        self._watch.enter("package", _ENCODE_SHARE)
        results = self._run.finish()
        self.duration_s = self._run.end_s
        return results

    def _reader(self, container: InputContainer) -> FrameReader:
        video = video_stream(container)
        video.thread_type = "AUTO"
        video.thread_count = self._plan.cores
        return FrameReader(container, video, audio_stream(container))

    def _refuse_if_too_long(self, reached_s: Fraction) -> None:
        if reached_s > self._plan.options.duration_max_s:
            raise FilmTooLong

    def _require_most_of_it(self, reached_s: Fraction) -> None:
        if reached_s < self._plan.source.duration_s * READABLE_SHARE_MIN:
            raise TruncatedMedia
