"""A comment that was posted or edited is scored; a toxic one is hidden (SH-68)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from commands.comments import HideComment
from commands.moderation import RecordScore
from events.base import Recorded
from events.comments import CommentEdited, CommentPosted, HiddenBy
from events.moderation import ModerationAction, SubjectType
from processors.moderation.text import TextModerator
from processors.moderation.verdict import should_hide
from processors.ports import CommandSender
from processors.reactions import Reaction

MODEL = "text"


@dataclass(frozen=True, slots=True)
class ModerateComments:
    """The rule with what it needs."""

    commands: CommandSender
    moderator: TextModerator
    threshold: float

    def reaction(self) -> Reaction:
        return Reaction("moderate_comments", (CommentPosted, CommentEdited), self.react)

    async def react(self, recorded: Recorded) -> None:
        event = recorded.event
        if not isinstance(event, CommentPosted | CommentEdited):
            return
        [score] = await asyncio.to_thread(self.moderator.score, [event.text])
        toxic = should_hide(score, self.threshold)
        command = RecordScore(
            subject_id=event.comment_id,
            subject_type=SubjectType.COMMENT,
            video_id=event.video_id,
            model=MODEL,
            score=round(score, 6),
            flagged=toxic,
            action=ModerationAction.BLOCK if toxic else ModerationAction.ALLOW,
        )
        await self.commands.send(command, recorded, "score")
        if toxic:
            hide = HideComment(
                comment_id=event.comment_id,
                video_id=event.video_id,
                hidden_by=HiddenBy.MODEL,
                score=round(score, 6),
            )
            await self.commands.decide(hide, recorded, "hide")
