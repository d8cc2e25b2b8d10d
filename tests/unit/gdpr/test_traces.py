"""What the log holds of a person, and the commands that follow from it."""

from __future__ import annotations

from datetime import timedelta

from commands.comments import DeleteComment, EraseReport
from commands.follows import UnfollowUser
from commands.moderation import EraseReviewNote
from commands.sessions import RevokeSession
from commands.users import EraseUser
from commands.videos import DeleteVideo
from events.base import Event
from events.comments import CommentPosted, CommentReported, ReportReason
from events.follows import UserFollowed, UserUnfollowed
from events.moderation import ContentReviewed, ReviewDecision, SubjectType
from events.sessions import SessionStarted
from events.users import Role, UserRegistered
from events.videos import UploadRequested
from infra.gdpr.traces import Traces
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import (
    ADA,
    BEN,
    CLEO,
    COMMENT,
    LATER,
    NOW,
    REPLY,
    SESSION,
    VIDEO,
    log_record,
    recorded,
)

REGISTERED = UserRegistered(user_id=ADA, username="ada", email="ada@x.org", password_hash="hash")
STARTED = SessionStarted(
    session_id=SESSION,
    user_id=ADA,
    role=Role.VIEWER,
    device="phone",
    ip_address="192.0.2.7",
    expires_at=LATER,
)
REQUESTED = UploadRequested(
    video_id=VIDEO,
    owner_id=ADA,
    filename="holiday.mp4",
    content_type="video/mp4",
    size=1,
    source_key="uploads/x/source",
    expires_at=NOW,
)
POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text="Hello"
)
REPORTED = CommentReported(
    comment_id=REPLY, video_id=VIDEO, reporter_id=ADA, reason=ReportReason.SPAM, note="Look"
)
REVIEWED = ContentReviewed(
    subject_id=VIDEO,
    subject_type=SubjectType.VIDEO,
    video_id=VIDEO,
    reviewer_id=ADA,
    decision=ReviewDecision.APPROVE,
    note="Seen",
)
FOLLOWED = UserFollowed(follower_id=ADA, creator_id=BEN)
BACK = UserFollowed(follower_id=BEN, creator_id=ADA)
LEFT = UserUnfollowed(follower_id=ADA, creator_id=CLEO)


def traces_of(*events: Event) -> Traces:
    traces = Traces(ADA)
    for event in events:
        traces.take(recorded(event))
    return traces


def test_every_text_of_the_person_is_known_with_its_field() -> None:
    traces = traces_of(REGISTERED, STARTED, REQUESTED, POSTED, REPORTED, REVIEWED)
    assert traces.texts == {
        "ada": {"user.registered.username"},
        "ada@x.org": {"user.registered.email"},
        "hash": {"user.registered.password_hash"},
        "phone": {"session.started.device"},
        "192.0.2.7": {"session.started.ip_address"},
        "holiday.mp4": {"video.upload_requested.filename"},
        "Hello": {"comment.posted.text"},
        "Look": {"comment.reported.note"},
        "Seen": {"content.reviewed.note"},
    }


def test_texts_of_others_and_erased_ones_are_none_of_theirs() -> None:
    bens = POSTED.model_copy(update={"author_id": BEN})
    erased = POSTED.model_copy(update={"text": f"erased:{ADA}"})
    assert not traces_of(bens, erased).texts


def test_everything_that_must_go_is_wished_away_the_account_first() -> None:
    traces = traces_of(
        REGISTERED, STARTED, REQUESTED, POSTED, REPORTED, REVIEWED, FOLLOWED, BACK, LEFT
    )
    assert list(traces.wishes(NOW)) == [
        EraseUser(user_id=ADA),
        RevokeSession(session_id=SESSION, user_id=ADA),
        DeleteVideo(video_id=VIDEO, actor_id=ADA, actor_role=Role.ADMIN),
        DeleteComment(comment_id=COMMENT, video_id=VIDEO, actor_id=ADA, actor_role=Role.ADMIN),
        EraseReport(comment_id=REPLY, video_id=VIDEO, reporter_id=ADA),
        EraseReviewNote(
            subject_id=VIDEO, subject_type=SubjectType.VIDEO, video_id=VIDEO, reviewer_id=ADA
        ),
        *(
            UnfollowUser(follower_id=follower, creator_id=creator)
            for follower, creator in sorted([(ADA, BEN), (BEN, ADA)])
        ),
    ]
    assert traces.media_prefixes() == [f"uploads/{VIDEO}/", f"videos/{VIDEO}/"]


def test_a_session_that_has_ended_needs_no_revoking() -> None:
    wishes = traces_of(STARTED).wishes(LATER + timedelta(seconds=1))
    assert list(wishes) == [EraseUser(user_id=ADA)]


def test_only_records_that_may_speak_of_the_person_are_decoded() -> None:
    keys = MemoryKeyRing.loaded(ADA, BEN)
    traces = Traces(ADA)
    bens = POSTED.model_copy(update={"author_id": BEN})
    assert traces.concern(log_record(POSTED, keys))
    assert traces.concern(log_record(BACK, keys))
    assert not traces.concern(log_record(bens, keys))
    assert not traces.concern(log_record(UserFollowed(follower_id=BEN, creator_id=CLEO), keys))
