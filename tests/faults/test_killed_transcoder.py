"""The transcoder is killed in the middle of a film: another attempt finishes it, once."""

from __future__ import annotations

from pathlib import Path

from processors.media.clips import make_clip
from tests.support.api import Person, video_in_state
from tests.support.log import check_log, read_log
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage, upload
from tests.support.waiting import eventually


async def test_a_film_survives_its_worker(
    streamhub: StreamHub, person: Person, backstage: Backstage, tmp_path: Path
) -> None:
    """SH-07, SH-114, R4: the attempt that was cut short counts; the film is ready once."""
    film = tmp_path / "film.mp4"
    make_clip(film, 20.0, 1280, 720)
    video = (await upload(person, film)).data["id"]

    async def at_work() -> bool:
        shown = (await person.get(f"/videos/{video}")).data
        return 0.0 < float(shown["progress"]) < 0.9

    await eventually("some progress", at_work, 120.0)
    pid = streamhub.kill("processors")
    await streamhub.wait_ready("processors", but_not=pid)
    await video_in_state(person, video, "ready", 240.0)
    await settled(backstage.core)
    log = await read_log(backstage.core.places.kafka)
    check_log(log)
    told = [entry.type for entry in log.events if entry.stream == f"video-{video}"]
    assert told.count("video.ready.v1") == 1
    assert told.count("video.transcode_started.v1") == 2
    scores = [entry for entry in log.events if entry.stream == f"moderation-{video}"]
    assert len(scores) == 1, "the video was judged twice"
    leftovers = list((streamhub.settings.data_dir / "scratch").glob("*/transcode-*"))
    assert leftovers == [], "temporary files were left behind"
