"""What the log holds of one person: their texts, and the things that must go with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from commands.comments import DeleteComment, EraseReport
from commands.follows import UnfollowUser
from commands.moderation import EraseReviewNote
from commands.sessions import RevokeSession
from commands.users import EraseUser
from commands.videos import DeleteVideo
from events.base import Command, Event, Recorded
from events.codec import LogRecord
from events.comments import CommentPosted, CommentReported
from events.follows import UserFollowed, UserUnfollowed
from events.moderation import ContentReviewed, SubjectType
from events.privacy import ERASED_PREFIX, personal_fields
from events.sessions import SessionStarted
from events.users import Role, UserRegistered
from events.videos import UploadRequested
from schemas.media_keys import media_prefixes


@dataclass(frozen=True, slots=True, order=True)
class Judged:
    """Something that the person reviewed."""

    subject_id: str
    subject_type: SubjectType
    video_id: str | None


@dataclass(slots=True)
class Traces:
    """A fold of the log over what speaks of a person.

    ``texts`` maps every personal text of theirs to the fields in which it stood, such as
    ``user.registered.email``; a text whose key is gone is unknown and not among them.
    """

    person_id: str
    texts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    registrations: set[str] = field(default_factory=set)
    sessions: dict[str, datetime] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)
    comments: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    reviews: set[Judged] = field(default_factory=set)
    follows: set[tuple[str, str]] = field(default_factory=set)

    def concern(self, record: LogRecord) -> bool:
        """Say whether a record may speak of the person, without decoding it."""
        if self.person_id in record.persons():
            return True
        return record.source.topic == "events.follows" and self.person_id.encode() in record.value

    def take(self, recorded: Recorded) -> None:
        """Take an event in."""
        event = recorded.event
        self._take_texts(event)
        match event:
            case UserRegistered():
                self.registrations.add(recorded.metadata.command_id)
            case SessionStarted():
                self.sessions[event.session_id] = event.expires_at
            case UploadRequested():
                self.videos.add(event.video_id)
            case CommentPosted():
                self.comments[event.comment_id] = event.video_id
            case CommentReported():
                self.reports[event.comment_id] = event.video_id
            case _:
                self._take_relation(event)

    def _take_relation(self, event: Event) -> None:
        match event:
            case ContentReviewed():
                self.reviews.add(Judged(event.subject_id, event.subject_type, event.video_id))
            case UserFollowed():
                self.follows.add((event.follower_id, event.creator_id))
            case UserUnfollowed():
                self.follows.discard((event.follower_id, event.creator_id))

    def _take_texts(self, event: Event) -> None:
        for name, person_field in personal_fields(type(event)).items():
            text = getattr(event, name)
            if getattr(event, person_field) != self.person_id or not text:
                continue
            if text != ERASED_PREFIX + self.person_id:
                self.texts[text].add(f"{event.name}.{name}")

    def wishes(self, now: datetime) -> Iterator[Command]:
        """Yield the commands that bring every read model to the form without the person.

        Each adds nothing where its wish is fulfilled already.
        """
        person = self.person_id
        yield EraseUser(user_id=person)
        for session_id, expires_at in self.sessions.items():
            if expires_at > now:
                yield RevokeSession(session_id=session_id, user_id=person)
        for video_id in sorted(self.videos):
            yield DeleteVideo(video_id=video_id, actor_id=person, actor_role=Role.ADMIN)
        for comment_id, video_id in self.comments.items():
            yield DeleteComment(
                comment_id=comment_id, video_id=video_id, actor_id=person, actor_role=Role.ADMIN
            )
        yield from self._wishes_beyond()

    def _wishes_beyond(self) -> Iterator[Command]:
        """Yield what concerns things of other people."""
        person = self.person_id
        for comment_id, video_id in self.reports.items():
            yield EraseReport(comment_id=comment_id, video_id=video_id, reporter_id=person)
        for judged in sorted(self.reviews):
            yield EraseReviewNote(
                subject_id=judged.subject_id,
                subject_type=judged.subject_type,
                video_id=judged.video_id,
                reviewer_id=person,
            )
        for follower_id, creator_id in sorted(self.follows):
            yield UnfollowUser(follower_id=follower_id, creator_id=creator_id)

    def media_prefixes(self) -> list[str]:
        """Return where the films of the person lie in object storage."""
        return [prefix for video_id in sorted(self.videos) for prefix in media_prefixes(video_id)]
