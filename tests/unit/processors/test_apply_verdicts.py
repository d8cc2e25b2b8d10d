"""What was judged is acted upon."""

from __future__ import annotations

import pytest

from commands.comments import HideComment, RestoreComment
from commands.videos import BlockVideo, UnblockVideo
from events.base import Command, Event
from events.comments import HiddenBy
from events.moderation import (
    ContentReviewed,
    ContentScored,
    ModerationAction,
    ReviewDecision,
    SubjectType,
)
from events.videos import VideoBlocked
from processors.apply_verdicts import ApplyVerdicts, consequence
from tests.unit.commands.known_videos import CREATED, REQUESTED
from tests.unit.events.known import ADA, COMMENT, VIDEO, recorded
from tests.unit.processors.world import MemoryCommands


def scored(kind: SubjectType, action: ModerationAction) -> ContentScored:
    return ContentScored(
        subject_id=VIDEO if kind is SubjectType.VIDEO else COMMENT,
        subject_type=kind,
        video_id=VIDEO,
        model="model",
        score=0.95,
        flagged=True,
        action=action,
    )


def reviewed(
    kind: SubjectType, decision: ReviewDecision, video_id: str | None = VIDEO
) -> ContentReviewed:
    return ContentReviewed(
        subject_id=VIDEO if kind is SubjectType.VIDEO else COMMENT,
        subject_type=kind,
        video_id=video_id,
        reviewer_id=ADA,
        decision=decision,
        note="",
    )


HIDE = HideComment(comment_id=COMMENT, video_id=VIDEO, hidden_by=HiddenBy.REVIEWER)
CASES: list[tuple[Event, Command | None]] = [
    (
        scored(SubjectType.VIDEO, ModerationAction.BLOCK),
        BlockVideo(video_id=VIDEO, reason="nsfw"),
    ),
    (scored(SubjectType.VIDEO, ModerationAction.REVIEW), None),
    (scored(SubjectType.VIDEO, ModerationAction.ALLOW), None),
    (scored(SubjectType.COMMENT, ModerationAction.BLOCK), None),
    (scored(SubjectType.TEXT, ModerationAction.BLOCK), None),
    (
        reviewed(SubjectType.VIDEO, ReviewDecision.REJECT),
        BlockVideo(video_id=VIDEO, reason="review"),
    ),
    (reviewed(SubjectType.VIDEO, ReviewDecision.APPROVE), UnblockVideo(video_id=VIDEO)),
    (reviewed(SubjectType.COMMENT, ReviewDecision.REJECT), HIDE),
    (
        reviewed(SubjectType.COMMENT, ReviewDecision.APPROVE),
        RestoreComment(comment_id=COMMENT, video_id=VIDEO),
    ),
    (reviewed(SubjectType.COMMENT, ReviewDecision.REJECT, video_id=None), None),
    (reviewed(SubjectType.TEXT, ReviewDecision.REJECT), None),
]


@pytest.mark.parametrize(("event", "command"), CASES)
def test_each_verdict_has_its_consequence(event: Event, command: Command | None) -> None:
    assert consequence(recorded(event)) == command


async def test_a_verdict_is_carried_out_once() -> None:
    commands = MemoryCommands(REQUESTED, CREATED)
    rule = ApplyVerdicts(commands)
    verdict = recorded(scored(SubjectType.VIDEO, ModerationAction.BLOCK))
    for _ in range(2):
        await rule.react(verdict)
    assert commands.events == [VideoBlocked(video_id=VIDEO, creator_id=ADA, reason="nsfw")]


async def test_without_a_consequence_nothing_is_sent() -> None:
    commands = MemoryCommands()
    await ApplyVerdicts(commands).react(recorded(scored(SubjectType.TEXT, ModerationAction.BLOCK)))
    assert not commands.sent
