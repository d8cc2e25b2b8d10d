"""Uploads that can be no video, and films that the image model objects to."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.media.clips import ClipOptions, make_clip
from tests.support.api import Answer, Api, Person, video_in_state
from tests.support.videos import upload
from tests.support.waiting import eventually
from tests.unit.moderation.clips import Clip, Colour, write_clip

_DONE_S = 180.0
RED, GREEN = (255, 0, 0), (0, 215, 0)


def _sound(path: Path) -> Path:
    make_clip(path, 2.0, 320, 180, options=ClipOptions(video_codec=None))
    return path


def _cut_off(path: Path) -> Path:
    """An MP4 whose index comes last, and never came."""
    make_clip(path, 3.0, 320, 180)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize(("make", "suffix"), [(_sound, ".mp3"), (_cut_off, ".mp4")])
async def test_what_has_no_pictures_fails_with_a_reason(
    api: Api, person: Person, tmp_path: Path, make: object, suffix: str
) -> None:
    """SH-43, SH-114: failed, for its owner with a code and a sentence, for nobody else."""
    assert callable(make)
    made = await upload(person, make(tmp_path / f"film{suffix}"))
    video = await video_in_state(person, made.data["id"], "failed", _DONE_S)
    assert video["failure"]["code"].startswith("MEDIA_")
    assert video["failure"]["message"]
    shown = await api.call("GET", f"/videos/{video['id']}", seen=person.seen)
    assert shown.data["failure"] is None
    stream = await person.get(f"/videos/{video['id']}/stream-url")
    assert (stream.status, stream.code) == (409, "VIDEO_NOT_READY")


def _film(path: Path, colour: Colour) -> Path:
    return write_clip(path, lambda _time_s: colour, Clip(seconds=2.0))


async def test_a_film_that_the_model_blocks_is_gone_until_a_person_approves_it(
    api: Api, person: Person, admin: Person, tmp_path: Path
) -> None:
    """SH-102, SH-103: above the upper threshold it is taken away; an admin gives it back."""
    made = await upload(person, _film(tmp_path / "red.mp4", RED))
    video = made.data["id"]

    async def blocked() -> bool:
        return bool((await person.get(f"/videos/{video}")).data["blocked"])

    await eventually("the block", blocked, _DONE_S)
    assert (await api.call("GET", f"/videos/{video}", seen=person.seen)).status == 404
    word = {"decision": "approve", "subjectType": "video"}
    assert (await person.post(f"/moderation/review/{video}", word)).status == 403
    assert (await admin.post(f"/moderation/review/{video}", word)).status == 200

    async def given_back() -> bool:
        return (await api.call("GET", f"/videos/{video}")).status == 200

    await eventually("the end of the block", given_back, _DONE_S)


async def test_a_film_that_the_model_doubts_waits_for_a_person_and_stays(
    api: Api, person: Person, admin: Person, tmp_path: Path
) -> None:
    """SH-103: between the thresholds it is queued for review and not taken away."""
    made = await upload(person, _film(tmp_path / "green.mp4", GREEN))
    video = made.data["id"]

    async def queued() -> Answer | None:
        answer = await admin.get("/moderation/queue", subject_type="video", limit=50)
        return answer if any(case["id"] == video for case in answer.data) else None

    queue = await eventually("the case in the queue", queued, _DONE_S)
    [case] = [case for case in queue.data if case["id"] == video]
    assert (case["action"], case["flagged"], case["isOpen"]) == ("review", True, True)
    assert 0.7 < case["score"] <= 0.9
    assert (await api.call("GET", f"/videos/{video}", seen=person.seen)).status == 200
    word = {"decision": "reject", "subjectType": "video"}
    assert (await admin.post(f"/moderation/review/{video}", word)).status == 200

    async def gone() -> bool:
        return (await api.call("GET", f"/videos/{video}")).status == 404

    await eventually("the rejected film is gone", gone, _DONE_S)
