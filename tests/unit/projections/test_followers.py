"""Who follows whom: rows after facts."""

from __future__ import annotations

from events.follows import UserFollowed, UserUnfollowed
from projections.followers import FOLLOWERS
from tests.unit.events.known import ADA, BEN, LATER, NOW, recorded
from tests.unit.projections.memory import rows_after

FOLLOWED = UserFollowed(follower_id=ADA, creator_id=BEN)
UNFOLLOWED = UserUnfollowed(follower_id=ADA, creator_id=BEN)


def test_following_and_unfollowing() -> None:
    row = {
        "subscriber_id": ADA,
        "creator_id": BEN,
        "notifications_enabled": True,
        "subscribed_at": NOW,
    }
    followed = rows_after(FOLLOWERS, recorded(FOLLOWED))
    assert followed == {"subscriptions": {(ADA, BEN): row}}
    unfollowed = rows_after(FOLLOWERS, recorded(FOLLOWED), recorded(UNFOLLOWED, 1))
    assert unfollowed == {"subscriptions": {}}


def test_following_again_counts_from_then() -> None:
    rows = rows_after(
        FOLLOWERS, recorded(FOLLOWED), recorded(UNFOLLOWED, 1), recorded(FOLLOWED, 2, LATER)
    )
    assert rows["subscriptions"][ADA, BEN]["subscribed_at"] == LATER


def test_each_direction_is_a_row_of_its_own() -> None:
    back = UserFollowed(follower_id=BEN, creator_id=ADA)
    rows = rows_after(FOLLOWERS, recorded(FOLLOWED), recorded(back))
    assert set(rows["subscriptions"]) == {(ADA, BEN), (BEN, ADA)}
