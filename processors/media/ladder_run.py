"""The threads of one transcode, and what they are fed with.

pictures ─▶ deinterlace ─▶ cadence ─▶ 1080p ─▶ 720p ─▶ 480p ─▶ 360p
sound ────▶ sound track ─▶ packets travel along with the next picture
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from processors.media.audio import SAMPLE_RATE, SoundTrack
from processors.media.cadence import Cadence, Timed
from processors.media.ladder import Rendition, choose_renditions
from processors.media.options import RenditionResult, TranscodeOptions
from processors.media.pictures import colours, deinterlacer
from processors.media.probe import MediaInfo
from processors.media.rendition import End, RenditionPlan, RenditionThread, Step
from processors.media.transport_stream import CLOCK_HZ, TIME_BASE, EncodedPacket

# Where a source has no sound for so long while the pictures go on, silence takes its place.
_SOUND_LAG_MAX_S = 10
# Sound that goes on for longer than this after the last picture keeps that picture on screen.
_SOUND_TAIL_S = Fraction(1, 2)
_THUMBNAIL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What one transcode makes, of which source, where, on how many cores."""

    source: MediaInfo
    options: TranscodeOptions
    folder: Path
    thumbnail: Path
    cores: int

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """The renditions, largest first: the order in which pictures are scaled."""
        lowest_first = choose_renditions(self.source.width, self.source.height, self.options.ladder)
        return lowest_first[::-1]

    @property
    def frame_rate(self) -> Fraction:
        """The expected rate of the renditions."""
        return min(self.source.average_rate, Fraction(self.options.frame_rate_max))

    @property
    def thumbnail_at_s(self) -> float:
        """The chosen time, or a tenth into a film that ends before it."""
        at_s, duration_s = self.options.thumbnail_at_s, self.source.duration_s
        return at_s if not duration_s or duration_s > at_s else duration_s * _THUMBNAIL_SHARE


class LadderRun:
    """Takes decoded frames in order; every method raises ``Stopped`` once a thread has failed."""

    def __init__(self, plan: RunPlan, first: VideoFrame) -> None:
        self.end_s = Fraction(0)
        self._stop = threading.Event()
        self._cadence: Cadence[VideoFrame] = Cadence(plan.options.frame_rate_max)
        self._deinterlacer = deinterlacer() if first.interlaced_frame else None
        self._track = SoundTrack(plan.options.audio_bits_per_second) if plan.source.audio else None
        self._sound: list[EncodedPacket] = []
        self._threads = _chain(plan, first, self._stop)
        self._started: list[RenditionThread] = []
        for thread in self._threads:
            thread.start()
            self._started.append(thread)

    def add_picture(self, picture: VideoFrame, start_s: Fraction, length_s: Fraction) -> None:
        """Add a picture that is shown from ``start_s`` for ``length_s`` seconds."""
        self.end_s = max(self.end_s, start_s + length_s)
        picture.pts, picture.time_base = round(start_s * CLOCK_HZ), TIME_BASE
        if self._track and start_s - self._track.position_s > _SOUND_LAG_MAX_S:
            self._sound += self._track.pad_until(start_s - _SOUND_LAG_MAX_S)
        if self._deinterlacer is None:
            self._pass_on(self._cadence.accept(picture, picture.pts))
        else:
            self._pass_on_progressive(picture)

    def add_sound(self, sound: AudioFrame, start_s: Fraction) -> None:
        """Add sound that is heard from ``start_s`` on."""
        if self._track:
            self._sound += self._track.accept(sound, start_s)

    @property
    def reached_s(self) -> Fraction:
        """How far the pictures or the sound go, whichever is longer, in seconds."""
        return max(self.end_s, self._track.position_s if self._track else Fraction(0))

    def finish(self) -> tuple[RenditionResult, ...]:
        """Wait until all is encoded and return the renditions, lowest first."""
        if self._deinterlacer is not None:
            self._pass_on_progressive(None)
        end_s = self._finish_sound()
        self._pass_on(self._cadence.finish(round(end_s * CLOCK_HZ)))
        inbox = self._threads[0].inbox
        inbox.put(End(round(end_s * CLOCK_HZ), tuple(self._sound)))
        inbox.put(None)
        for thread in self._threads:
            thread.join()
        self.raise_failure()
        return tuple(thread.result() for thread in reversed(self._threads))

    def abort(self) -> None:
        """End all threads now; harmless after ``finish``."""
        self._stop.set()
        for thread in self._started:
            thread.join()

    def raise_failure(self) -> None:
        """Raise what ended a thread early, if anything did."""
        for thread in self._threads:
            if thread.failure is not None:
                raise thread.failure

    def _finish_sound(self) -> Fraction:
        """Make the sound as long as the pictures; return the end of both in seconds."""
        if self._track is None:
            return self.end_s
        self._sound += self._track.drain()
        if self._track.position_s > self.end_s + _SOUND_TAIL_S:
            self.end_s = self._track.position_s
        self._sound += self._track.pad_until(self.end_s)
        self._sound += self._track.finish()
        return self.end_s

    def _pass_on_progressive(self, picture: VideoFrame | None) -> None:
        if self._deinterlacer is None:
            return
        for progressive in self._deinterlacer.apply(picture):
            time_s = (progressive.pts or 0) * (progressive.time_base or TIME_BASE)
            self._pass_on(self._cadence.accept(progressive, round(time_s * CLOCK_HZ)))

    def _pass_on(self, pictures: Iterable[Timed[VideoFrame]]) -> None:
        for timed in pictures:
            sound, self._sound = tuple(self._sound), []
            step = Step(timed.picture, timed.pts, timed.starts_segment, sound)
            self._threads[0].inbox.put(step)


def _chain(plan: RunPlan, first: VideoFrame, stop: threading.Event) -> list[RenditionThread]:
    """Return the threads, largest rendition first, each knowing the next one."""
    threads: list[RenditionThread] = []
    renditions = plan.renditions
    for rendition in reversed(renditions):
        largest = rendition is renditions[0]
        details = RenditionPlan(
            rendition=rendition,
            folder=plan.folder,
            frame_rate=plan.frame_rate,
            colours=colours(first),
            rotation=plan.source.rotation if largest else 0,
            sound_rate=SAMPLE_RATE if plan.source.audio else None,
            threads=_thread_share(rendition, renditions, plan.cores),
            thumbnail=plan.thumbnail if largest else None,
            thumbnail_at=round(plan.thumbnail_at_s * CLOCK_HZ),
        )
        threads.insert(
            0, RenditionThread(details, plan.options, stop, threads[0] if threads else None)
        )
    return threads


def _thread_share(rendition: Rendition, all_of_them: tuple[Rendition, ...], cores: int) -> int:
    """Return x264's threads for a rendition: its share of the pixels, one at least."""
    pixels = sum(each.width * each.height for each in all_of_them)
    return max(1, round(cores * rendition.width * rendition.height / pixels))
