"""Accounts and profiles: rows after facts."""

from __future__ import annotations

from events.engagement import VideoViewed
from events.follows import UserFollowed, UserUnfollowed
from events.users import ProfileUpdated, Role, RoleChanged, UserErased, UserRegistered
from events.videos import VideoDeleted
from projections.accounts import ACCOUNTS
from tests.unit.commands.known_videos import CREATED
from tests.unit.events.known import ADA, BEN, LATER, NOW, VIDEO, recorded
from tests.unit.projections.memory import rows_after

REGISTERED = UserRegistered(user_id=ADA, username="ada", email="ada@x.org", password_hash="hash")
VIEWED = VideoViewed(
    video_id=VIDEO,
    creator_id=ADA,
    user_id=None,
    session_id="s",
    watch_duration_seconds=1.0,
    device=None,
    country=None,
    referrer=None,
)


def test_an_account_begins_with_nothing_counted() -> None:
    assert rows_after(ACCOUNTS, recorded(REGISTERED)) == {
        "users": {
            (ADA,): {
                "id": ADA,
                "username": "ada",
                "email": "ada@x.org",
                "password_hash": "hash",
                "role": "viewer",
                "avatar_url": None,
                "bio": None,
                "created_at": NOW,
                "updated_at": NOW,
                "total_views": 0,
                "total_uploads": 0,
                "follower_count": 0,
                "following_count": 0,
            }
        }
    }


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    rows = rows_after(
        ACCOUNTS,
        recorded(REGISTERED),
        recorded(ProfileUpdated(user_id=ADA, bio="Engines", avatar_url="https://x"), 1),
        recorded(ProfileUpdated(user_id=ADA, bio="Looms"), 2, LATER),
    )
    row = rows["users"][ADA,]
    assert (row["bio"], row["avatar_url"]) == ("Looms", "https://x")
    assert (row["created_at"], row["updated_at"]) == (NOW, LATER)


def test_a_new_role_replaces_the_old_one() -> None:
    changed = recorded(RoleChanged(user_id=ADA, role=Role.ADMIN), 1)
    assert rows_after(ACCOUNTS, recorded(REGISTERED), changed)["users"][ADA,]["role"] == "admin"


def test_uploads_views_and_followers_are_counted_in_whatever_order_they_come() -> None:
    facts = [
        recorded(VIEWED),
        recorded(UserFollowed(follower_id=BEN, creator_id=ADA)),
        recorded(CREATED),
        recorded(REGISTERED),
        recorded(VIEWED),
    ]
    for order in (facts, facts[::-1]):
        row = rows_after(ACCOUNTS, *order)["users"][ADA,]
        assert (row["total_views"], row["total_uploads"], row["follower_count"]) == (2, 1, 1)
        assert row["username"] == "ada"


def test_what_is_taken_back_is_counted_down() -> None:
    rows = rows_after(
        ACCOUNTS,
        recorded(CREATED),
        recorded(VideoDeleted(video_id=VIDEO, creator_id=ADA)),
        recorded(UserFollowed(follower_id=BEN, creator_id=ADA)),
        recorded(UserUnfollowed(follower_id=BEN, creator_id=ADA)),
        recorded(UserFollowed(follower_id=BEN, creator_id=ADA)),
    )
    assert rows["users"][ADA,]["total_uploads"] == 0
    assert rows["users"][ADA,]["follower_count"] == 1
    assert rows["users"][BEN,]["following_count"] == 1


def test_of_an_erased_account_only_the_counters_remain() -> None:
    erased = recorded(UserErased(user_id=ADA), 2, LATER)
    for registered in (REGISTERED, REGISTERED.model_copy(update={"username": f"erased:{ADA}"})):
        rows = rows_after(ACCOUNTS, recorded(registered), recorded(VIEWED, 1), erased)
        row = rows["users"][ADA,]
        kept = {name: value for name, value in row.items() if value is not None}
        assert kept == {
            "id": ADA,
            "updated_at": LATER,
            "total_views": 1,
            "total_uploads": 0,
            "follower_count": 0,
            "following_count": 0,
        }
