"""Comments: posting, editing, deleting, hiding, liking, reporting."""

from __future__ import annotations

import pytest

from commands.comments import (
    COMMENT,
    COMMENT_LIKE,
    COMMENT_REPORT,
    CommentCommand,
    DeleteComment,
    EditComment,
    EraseReport,
    HideComment,
    LikeComment,
    PostComment,
    ReportComment,
    RestoreComment,
    UnlikeComment,
)
from events.comments import (
    CommentDeleted,
    CommentEdited,
    CommentHidden,
    CommentLiked,
    CommentPosted,
    CommentReported,
    CommentRestored,
    CommentUnliked,
    HiddenBy,
    ReportErased,
    ReportReason,
)
from events.users import Role
from tests.unit.commands.given import given
from tests.unit.events import known
from tests.unit.events.known import ADA, BEN, REPLY, VIDEO
from tests.unit.events.known import COMMENT as COMMENT_ID

PLACE = {"comment_id": COMMENT_ID, "video_id": VIDEO}
POSTED = CommentPosted(**PLACE, author_id=ADA, parent_comment_id=None, text="Fine light")
DELETED = CommentDeleted(**PLACE, parent_comment_id=None)
HIDDEN = CommentHidden(**PLACE, hidden_by=HiddenBy.MODEL, score=0.9)
RESTORED = CommentRestored(**PLACE)
POST = PostComment(**PLACE, author_id=ADA, text="Fine light")
HIDE = HideComment(**PLACE, hidden_by=HiddenBy.MODEL, score=0.9)
RESTORE = RestoreComment(**PLACE)


def edit(actor_id: str = ADA) -> EditComment:
    return EditComment(**PLACE, actor_id=actor_id, text="Finer light")


def delete(actor_id: str = ADA, role: Role = Role.VIEWER) -> DeleteComment:
    return DeleteComment(**PLACE, actor_id=actor_id, actor_role=role)


def test_a_comment_is_posted_once() -> None:
    assert given(COMMENT).when(POST).then(POSTED) == {
        "id": COMMENT_ID,
        "videoId": VIDEO,
        "parentCommentId": None,
        "isDeleted": False,
    }
    given(COMMENT, POSTED).when(POST).then_nothing()


def test_a_reply_names_its_parent() -> None:
    reply = PostComment(
        comment_id=REPLY, video_id=VIDEO, author_id=BEN, parent_comment_id=COMMENT_ID, text="Yes"
    )
    told = given(COMMENT).when(reply).then(CommentPosted(**dict(reply)))
    assert told["parentCommentId"] == COMMENT_ID


def test_its_author_edits_a_comment() -> None:
    edited = CommentEdited(**PLACE, author_id=ADA, text="Finer light")
    given(COMMENT, POSTED).when(edit()).then(edited)


def test_nobody_else_edits_a_comment() -> None:
    given(COMMENT, POSTED).when(edit(BEN)).then_refused("PERMISSION_DENIED")


def test_its_author_or_an_admin_deletes_a_comment() -> None:
    assert given(COMMENT, POSTED).when(delete()).then(DELETED)["isDeleted"] is True
    given(COMMENT, POSTED).when(delete(BEN, Role.ADMIN)).then(DELETED)
    given(COMMENT, POSTED).when(delete(BEN, Role.CREATOR)).then_refused("PERMISSION_DENIED")


def test_deleting_a_reply_names_its_parent() -> None:
    posted = CommentPosted(**PLACE, author_id=ADA, parent_comment_id=REPLY, text="Yes")
    given(COMMENT, posted).when(delete()).then(CommentDeleted(**PLACE, parent_comment_id=REPLY))


def test_a_deleted_comment_stays_deleted() -> None:
    gone = given(COMMENT, POSTED, DELETED)
    gone.when(delete()).then_nothing()
    gone.when(POST).then_nothing()
    gone.when(HIDE).then_nothing()
    gone.when(RESTORE).then_nothing()
    gone.when(edit()).then_refused("COMMENT_NOT_FOUND")


def test_a_comment_is_hidden_and_restored_once_each() -> None:
    given(COMMENT, POSTED).when(HIDE).then(HIDDEN)
    given(COMMENT, POSTED, HIDDEN).when(HIDE).then_nothing()
    given(COMMENT, POSTED, HIDDEN).when(RESTORE).then(RESTORED)
    given(COMMENT, POSTED).when(RESTORE).then_nothing()
    given(COMMENT, POSTED, HIDDEN, RESTORED).when(HIDE).then(HIDDEN)


def test_an_edit_does_not_bring_a_hidden_comment_back() -> None:
    edited = CommentEdited(**PLACE, author_id=ADA, text="Finer light")
    given(COMMENT, POSTED, HIDDEN, edited).when(HIDE).then_nothing()


@pytest.mark.parametrize(
    "command", [edit(), delete(), HIDE, RESTORE], ids=["edit", "delete", "hide", "restore"]
)
def test_nothing_happens_to_a_comment_that_never_was(command: CommentCommand) -> None:
    given(COMMENT).when(command).then_refused("COMMENT_NOT_FOUND")


def test_a_comment_is_liked_once_and_unliked_once() -> None:
    like, unlike = LikeComment(**PLACE, user_id=BEN), UnlikeComment(**PLACE, user_id=BEN)
    liked, unliked = CommentLiked(**PLACE, user_id=BEN), CommentUnliked(**PLACE, user_id=BEN)
    assert given(COMMENT_LIKE).when(like).then(liked) == {"id": COMMENT_ID, "liked": True}
    given(COMMENT_LIKE, liked).when(like).then_nothing()
    assert given(COMMENT_LIKE, liked).when(unlike).then(unliked)["liked"] is False
    given(COMMENT_LIKE).when(unlike).then_nothing()
    given(COMMENT_LIKE, liked, unliked).when(unlike).then_nothing()


def test_a_person_reports_a_comment_once() -> None:
    report = ReportComment(**PLACE, reporter_id=BEN, reason=ReportReason.SPAM, note="Again")
    reported = CommentReported(**PLACE, reporter_id=BEN, reason=ReportReason.SPAM, note="Again")
    told = given(COMMENT_REPORT).when(report).then(reported)
    assert told == {"id": COMMENT_ID, "reported": True}
    other = report.model_copy(update={"reason": ReportReason.HATE})
    given(COMMENT_REPORT, reported).when(other).then_nothing()


def test_a_report_is_erased_once() -> None:
    erase = EraseReport(**PLACE, reporter_id=BEN)
    reported = CommentReported(**PLACE, reporter_id=BEN, reason=ReportReason.SPAM, note="Again")
    erased = ReportErased(**PLACE, reporter_id=BEN)
    given(COMMENT_REPORT).when(erase).then_nothing()
    given(COMMENT_REPORT, reported).when(erase).then(erased)
    given(COMMENT_REPORT, reported, erased).when(erase).then_nothing()


def test_comments_of_a_video_share_its_key_and_each_has_a_stream() -> None:
    streams = {
        POST.stream(),
        LikeComment(**PLACE, user_id=BEN).stream(),
        LikeComment(**PLACE, user_id=ADA).stream(),
        ReportComment(**PLACE, reporter_id=BEN, reason="spam", note="").stream(),
        PostComment(comment_id=REPLY, video_id=VIDEO, author_id=ADA, text="x").stream(),
    }
    assert len(streams) == 5
    assert POST.key() == known.VIDEO
