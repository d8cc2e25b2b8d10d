"""What was judged is acted upon: a blocked video goes, a reviewer's word is carried out."""

from __future__ import annotations

from dataclasses import dataclass

from commands.comments import HideComment, RestoreComment
from commands.videos import BlockVideo, UnblockVideo
from events.base import Command, Recorded
from events.comments import HiddenBy
from events.moderation import (
    ContentReviewed,
    ContentScored,
    ModerationAction,
    ReviewDecision,
    SubjectType,
)
from processors.ports import CommandSender
from processors.reactions import Reaction


@dataclass(frozen=True, slots=True)
class ApplyVerdicts:
    """The rule with what it needs."""

    commands: CommandSender

    def reaction(self) -> Reaction:
        return Reaction("apply_verdicts", (ContentScored, ContentReviewed), self.react)

    async def react(self, recorded: Recorded) -> None:
        command = consequence(recorded)
        if command is not None:
            await self.commands.decide(command, recorded, "verdict")


def consequence(recorded: Recorded) -> Command | None:
    """Return the command that carries a verdict out, if any does."""
    match recorded.event:
        case ContentScored(
            subject_type=SubjectType.VIDEO, action=ModerationAction.BLOCK, subject_id=video_id
        ):
            return BlockVideo(video_id=video_id, reason="nsfw")
        case ContentReviewed(subject_type=SubjectType.VIDEO, subject_id=video_id, decision=word):
            if word is ReviewDecision.REJECT:
                return BlockVideo(video_id=video_id, reason="review")
            return UnblockVideo(video_id=video_id)
        case ContentReviewed(
            subject_type=SubjectType.COMMENT,
            subject_id=comment_id,
            video_id=str(video_id),
            decision=word,
        ):
            if word is ReviewDecision.REJECT:
                return HideComment(
                    comment_id=comment_id, video_id=video_id, hidden_by=HiddenBy.REVIEWER
                )
            return RestoreComment(comment_id=comment_id, video_id=video_id)
        case _:
            return None
