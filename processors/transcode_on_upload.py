"""A confirmed upload is transcoded: source and ladder in object storage, facts in the log.

Each attempt is a command; an error that the same bytes must bring again is final at once, any
other is tried three times with back-off. Whatever happens, the temporary files go.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from commands.videos import (
    MAX_TRANSCODE_ATTEMPTS,
    CompleteTranscode,
    FailTranscode,
    ReportTranscodeProgress,
    StartTranscode,
)
from events import clock
from events.base import Recorded
from events.errors import Unavailable
from events.outcomes import CommandDecided
from events.videos import Rendition, VideoCreated, VideoStatus
from processors.media.errors import MediaError
from processors.media.options import Progress, TranscodeOptions, TranscodeResult
from processors.media.transcoding import transcode
from processors.ports import CommandSender, MediaFiles
from processors.reactions import Reaction, patiently
from processors.remove_deleted_media import remove_media
from schemas.media_keys import ladder_key

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 2.0
#: Progress is told in steps of this size.
PROGRESS_STEP = 0.05
_UPLOADS_AT_ONCE = 8


class SourceMissing(MediaError):
    """The upload is not in object storage any more."""

    code = "MEDIA_SOURCE_MISSING"
    sentence = "The uploaded file could not be found."


class WorkerLost(MediaError):
    """Each attempt ended with the end of its worker."""

    code = "TRANSCODE_WORKER_LOST"
    sentence = "Processing was interrupted too often."


@dataclass(frozen=True, slots=True)
class TranscodeOnUpload:
    """The rule with what it needs."""

    files: MediaFiles
    commands: CommandSender
    options: TranscodeOptions
    scratch: Path

    def reaction(self, concurrency: int) -> Reaction:
        return Reaction("transcode_on_upload", (VideoCreated,), self.react, concurrency)

    async def react(self, recorded: Recorded) -> None:
        event = recorded.event
        if not isinstance(event, VideoCreated):
            return
        attempt = 0
        while attempt < MAX_TRANSCODE_ATTEMPTS:
            attempt = await self._begin(event, recorded, attempt)
            if attempt == 0 or await self._attempt(event, recorded, attempt):
                return
            await asyncio.sleep(FIRST_RETRY_S * 2 ** (attempt - 1))

    async def _begin(self, event: VideoCreated, recorded: Recorded, failed: int) -> int:
        """Return the number of the attempt that begins now; 0 when nothing is left to do.

        An attempt that a crash cut short counts: what kills its worker must not do so for ever.
        That is why this command's id is new each time, not made from the event alone.
        """
        run = clock.new_id()
        for attempt in range(failed + 1, MAX_TRANSCODE_ATTEMPTS + 1):
            start = StartTranscode(video_id=event.video_id, attempt=attempt)
            outcome = await self._decide(start, recorded, f"start:{attempt}:{run}")
            if outcome.answer["status"] != VideoStatus.PROCESSING:
                return 0
            if outcome.event_count:
                return attempt
        await self._fail(event, recorded, MAX_TRANSCODE_ATTEMPTS, WorkerLost(), permanent=True)
        return 0

    async def _attempt(self, event: VideoCreated, recorded: Recorded, attempt: int) -> bool:
        """Transcode once; say whether the matter is closed."""
        log.info("transcode_started", video_id=event.video_id, attempt=attempt)
        try:
            command = await self._transcode(event, recorded, attempt)
        except Exception as error:
            log.exception("processing_failed", video_id=event.video_id, attempt=attempt)
            permanent = isinstance(error, MediaError)
            await self._fail(event, recorded, attempt, error, permanent=permanent)
            return permanent or attempt >= MAX_TRANSCODE_ATTEMPTS
        await self._decide(command, recorded, f"complete:{attempt}")
        log.info("transcode_completed", video_id=event.video_id, attempt=attempt)
        return True

    async def _fail(
        self,
        event: VideoCreated,
        recorded: Recorded,
        attempt: int,
        error: Exception,
        *,
        permanent: bool,
    ) -> None:
        readable = isinstance(error, MediaError)
        command = FailTranscode(
            video_id=event.video_id,
            attempt=attempt,
            code=error.code if isinstance(error, MediaError) else "TRANSCODE_FAILED",
            message=str(error) if readable else "The video could not be processed.",
            permanent=permanent,
        )
        await self._decide(command, recorded, f"fail:{attempt}")

    async def _decide(
        self,
        command: StartTranscode | CompleteTranscode | FailTranscode,
        recorded: Recorded,
        purpose: str,
    ) -> CommandDecided:
        """Have a command decided; the work behind it is not done again while Kafka is away.

        Files that this or an earlier attempt put behind the deletion of their video go here:
        nobody else knows of them.
        """
        outcome = await patiently(lambda: self.commands.decide(command, recorded, purpose))
        if outcome.answer["status"] == VideoStatus.DELETED:
            await remove_media(self.files, command.video_id)
        return outcome

    async def _transcode(
        self, event: VideoCreated, recorded: Recorded, attempt: int
    ) -> CompleteTranscode:
        with tempfile.TemporaryDirectory(prefix="transcode-", dir=self.scratch) as folder:
            source, out_dir = Path(folder) / "source", Path(folder) / "hls"
            if not await patiently(lambda: self.files.download(event.source_key, source)):
                raise SourceMissing
            result = await self._encode(event, recorded, attempt, source, out_dir)
            await self._upload(event.video_id, out_dir)
        return completed(event.video_id, result)

    async def _encode(
        self, event: VideoCreated, recorded: Recorded, attempt: int, source: Path, out_dir: Path
    ) -> TranscodeResult:
        """Run the transcode in a thread; it stops when this task is cancelled."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        reporter = _Reporter(self.commands, event, recorded, attempt)

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(reporter.report, progress)

        working = asyncio.create_task(
            asyncio.to_thread(transcode, source, out_dir, self.options, report, stop.is_set)
        )
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.gather(working, return_exceptions=True)
            raise
        finally:
            await reporter.finish()

    async def _upload(self, video_id: str, out_dir: Path) -> None:
        """Put everything, playlists last: a playlist never names a segment that is missing."""
        files = sorted(path for path in out_dir.rglob("*") if path.is_file())
        playlists = [path for path in files if path.suffix == ".m3u8"]
        at_once = asyncio.Semaphore(_UPLOADS_AT_ONCE)

        async def put(path: Path) -> None:
            async with at_once:
                key = ladder_key(video_id, path.relative_to(out_dir).as_posix())
                await patiently(lambda: self.files.upload(path, key))

        await asyncio.gather(*(put(path) for path in files if path.suffix != ".m3u8"))
        await asyncio.gather(*(put(path) for path in playlists))


class _Reporter:
    """Tells the log of progress, a step at a time, without holding the work up."""

    def __init__(
        self, commands: CommandSender, event: VideoCreated, recorded: Recorded, attempt: int
    ) -> None:
        self._commands = commands
        self._event = event
        self._recorded = recorded
        self._attempt = attempt
        self._told = 0.0
        self._sending: set[asyncio.Task[None]] = set()

    def report(self, progress: Progress) -> None:
        fraction = min(progress.fraction, 0.99)
        if fraction < self._told + PROGRESS_STEP:
            return
        self._told = fraction
        task = asyncio.create_task(self._send(fraction))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, fraction: float) -> None:
        command = ReportTranscodeProgress(
            video_id=self._event.video_id, attempt=self._attempt, fraction=round(fraction, 3)
        )
        purpose = f"progress:{self._attempt}:{fraction:.3f}"
        try:
            await self._commands.send(command, self._recorded, purpose)
        except Unavailable as error:
            log.warning("progress_not_told", reason=error.message)

    async def finish(self) -> None:
        await asyncio.gather(*self._sending)


def container_name(names: str) -> str:
    """Return one name of a demuxer that answers to several, such as ``mov,mp4,m4a``."""
    known = names.split(",")
    return "mp4" if "mp4" in known else known[0]


def completed(video_id: str, result: TranscodeResult) -> CompleteTranscode:
    """Return the command that publishes a finished ladder."""
    source = result.source
    return CompleteTranscode(
        video_id=video_id,
        duration_seconds=round(result.duration_s, 3),
        width=source.width,
        height=source.height,
        codec=source.video_codec,
        bitrate=source.bitrate,
        format=container_name(source.container_format),
        file_size=source.file_size,
        master_key=ladder_key(video_id, result.master_playlist.name),
        thumbnail_key=ladder_key(video_id, result.thumbnail.name),
        renditions=tuple(
            Rendition(
                quality=rendition.quality,
                width=rendition.width,
                height=rendition.height,
                bitrate=rendition.bitrate,
                file_size=rendition.file_size,
                playlist_key=ladder_key(video_id, rendition.playlist.name),
            )
            for rendition in result.renditions
        ),
    )
