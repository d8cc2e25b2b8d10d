"""Comments, moderation and search, over HTTP."""

from __future__ import annotations

from typing import Any

from commands.moderation import RecordScore
from commands.users import ChangeRole
from events.base import Command
from events.moderation import ModerationAction, SubjectType
from events.users import Role
from tests.support.api import Api, Person, sign_up
from tests.support.videos import Backstage
from tests.support.waiting import eventually

TOXIC = "you are a stupid fucking idiot"


async def admin(api: Api, backstage: Backstage) -> Person:
    """Return somebody who is an admin from this sign-in on."""
    person = await sign_up(api, "admin")
    promote: Command = ChangeRole(user_id=person.id, role=Role.ADMIN)
    await backstage.decide(promote, person)
    await person.get(f"/users/{person.id}")
    return await person.sign_in()


async def posted(person: Person, video: str, text: str = "What a lovely light.") -> str:
    answer = await person.post("/comments", {"videoId": video, "text": text})
    assert answer.status == 201
    return str(answer.data["id"])


async def test_comments_form_threads(person: Person, other: Person, video: str) -> None:
    """SH-59, SH-60, SH-63, SH-64: newest first, replies below their comment."""
    first = await posted(person, video, "first <i>one</i>")
    other.saw(person.seen)
    second = await posted(other, video, "second")
    reply = await other.post(f"/comments/{first}/reply", {"text": "I agree"})
    assert reply.data["parentCommentId"] == first
    thread = await other.get(f"/videos/{video}/comments")
    assert [entry["id"] for entry in thread.data] == [second, first]
    assert thread.data[1]["text"] == "first one"
    assert thread.data[1]["replyCount"] == 1
    assert thread.meta["total"] == 2
    replies = await other.get(f"/comments/{first}/replies")
    assert [entry["id"] for entry in replies.data] == [reply.data["id"]]
    found = (await other.get(f"/comments/{first}")).data
    assert found["author"]["username"] == person.username
    assert (await other.get(f"/videos/{video}")).data["comments"] == 3


async def test_only_the_author_edits_and_deletes(person: Person, other: Person, video: str) -> None:
    """SH-61, SH-62: an edit shows, a deletion keeps the replies."""
    comment = await posted(person, video)
    other.saw(person.seen)
    assert (await other.put(f"/comments/{comment}", {"text": "mine"})).status == 403
    assert (await other.delete(f"/comments/{comment}")).status == 403
    await person.put(f"/comments/{comment}", {"text": "better"})
    found = (await person.get(f"/comments/{comment}")).data
    assert (found["text"], found["isEdited"]) == ("better", True)
    await person.post(f"/comments/{comment}/reply", {"text": "still here"})
    assert (await person.delete(f"/comments/{comment}")).data["isDeleted"] is True
    gap = (await person.get(f"/videos/{video}/comments")).data
    assert [(entry["isDeleted"], entry["text"], entry["replyCount"]) for entry in gap] == [
        (True, "", 1)
    ]


async def test_a_comment_is_liked_and_reported_once(
    api: Api, backstage: Backstage, person: Person, other: Person, video: str
) -> None:
    """SH-65, SH-66: a report brings the comment before the moderators."""
    comment = await posted(person, video)
    other.saw(person.seen)
    for _ in range(2):
        assert (await other.post(f"/comments/{comment}/like")).data["liked"] is True
        reported = await other.post(f"/comments/{comment}/report", {"reason": "spam"})
        assert reported.status == 201
    assert (await other.get(f"/comments/{comment}")).data["likes"] == 1
    moderator = await admin(api, backstage)
    moderator.saw(other.seen)
    case = await case_of(moderator, comment)
    assert (case["subjectType"], case["reportCount"], case["isOpen"]) == ("comment", 1, True)
    word = {"decision": "reject", "subjectType": "comment", "note": "spam indeed"}
    assert (await moderator.post(f"/moderation/review/{comment}", word)).status == 200

    async def hidden() -> bool:
        assert (await other.get(f"/comments/{comment}")).status == 404
        return True

    await eventually("the comment hidden", hidden, 30)
    assert (await person.get(f"/comments/{comment}")).data["isHidden"] is True
    refused = await person.get("/moderation/queue")
    assert (refused.status, refused.code) == (403, "PERMISSION_DENIED")


async def case_of(moderator: Person, subject: str) -> Any:
    """Return the case of a subject from the queue."""

    async def look() -> Any:
        queue = await moderator.get("/moderation/queue", state="all", limit=50, sort="-openedAt")
        [case] = [entry for entry in queue.data if entry["id"] == subject]
        return case

    return await eventually("the case", look, 30)


async def test_a_toxic_comment_is_hidden_by_the_model(
    person: Person, other: Person, video: str
) -> None:
    """SH-68: a score above the threshold hides it from all but its author."""
    kind = await posted(person, video)
    toxic = await posted(person, video, TOXIC)
    other.saw(person.seen)

    async def hidden() -> bool:
        assert (await other.get(f"/comments/{toxic}")).status == 404
        return True

    await eventually("the comment hidden", hidden, 30)
    assert (await person.get(f"/comments/{toxic}")).data["isHidden"] is True
    assert (await other.get(f"/comments/{kind}")).status == 200


async def test_a_text_can_be_judged(person: Person) -> None:
    """SH-98: the verdict is recorded, the text is not."""
    bad = (await person.post("/moderation/check-text", {"text": TOXIC})).data
    assert (bad["flagged"], bad["action"]) == (True, "block")
    good = (await person.post("/moderation/check-text", {"text": "A lovely day."})).data
    assert (good["flagged"], good["action"]) == (False, "allow")
    assert 0 <= good["score"] < bad["score"] <= 1


async def test_a_blocked_video_goes_until_a_reviewer_gives_it_back(
    api: Api, backstage: Backstage, person: Person, other: Person, video: str
) -> None:
    """SH-102, SH-103: block takes it away; a person's word stands above the model's."""
    score = RecordScore(
        subject_id=video,
        subject_type=SubjectType.VIDEO,
        video_id=video,
        model="image",
        score=0.95,
        flagged=True,
        action=ModerationAction.BLOCK,
    )
    await backstage.decide(score, person)
    other.saw(person.seen)

    async def gone() -> bool:
        assert (await other.get(f"/videos/{video}")).status == 404
        return True

    await eventually("the video blocked", gone, 30)
    assert (await person.get(f"/videos/{video}")).data["blocked"] is True
    moderator = await admin(api, backstage)
    word = {"decision": "approve", "subjectType": "video"}
    assert (await moderator.post(f"/moderation/review/{video}", word)).status == 200

    async def back() -> bool:
        assert (await other.get(f"/videos/{video}")).status == 200
        return True

    await eventually("the video back", back, 30)


async def test_search_ranks_filters_and_completes(person: Person, backstage: Backstage) -> None:
    """SH-41, SH-69, SH-70, SH-72, SH-73, SH-74: title before tags before description."""
    word = person.username.replace("_", "")
    titled = await backstage.ready_video(person)
    described = await backstage.ready_video(person)
    await person.put(f"/videos/{titled}", {"title": f"All about {word}", "category": "music"})
    await person.put(f"/videos/{described}", {"description": f"Something on {word}"})
    for path in ("/search", "/videos/search"):
        found = await person.get(path, q=word)
        assert [card["id"] for card in found.data] == [titled, described]
        assert (found.meta["query"], found.meta["total"], found.meta["totalPages"]) == (word, 2, 1)
    body = {"q": word, "category": "music"}
    narrowed = await person.post("/videos/search", body)
    assert [card["id"] for card in narrowed.data] == [titled]
    assert narrowed.data[0]["creator"]["username"] == person.username
    completed = await person.get("/search/autocomplete", q=f"about {word[:-2]}")
    assert titled in [entry["videoId"] for entry in completed.data]
    await person.delete(f"/videos/{titled}")
    assert [card["id"] for card in (await person.get("/search", q=word)).data] == [described]


async def test_a_reply_stays_in_its_thread_when_all_above_it_are_deleted(
    person: Person, video: str
) -> None:
    """SH-62: whatever is deleted above it, it can be found; and nothing of a thread without one."""
    thread = [await posted(person, video, "first")]
    for text in ("second", "third"):
        answer = await person.post(f"/comments/{thread[-1]}/reply", {"text": text})
        thread.append(answer.data["id"])
    first, second, third = thread
    for comment in (second, first):
        assert (await person.delete(f"/comments/{comment}")).status == 200
    shown = (await person.get(f"/videos/{video}/comments")).data
    assert [(entry["id"], entry["isDeleted"]) for entry in shown] == [(first, True)]
    for above, below in ((first, second), (second, third)):
        replies = (await person.get(f"/comments/{above}/replies")).data
        assert [entry["id"] for entry in replies] == [below]
    await person.delete(f"/comments/{third}")
    assert (await person.get(f"/videos/{video}/comments")).data == []
    assert (await person.get(f"/comments/{first}")).status == 404
