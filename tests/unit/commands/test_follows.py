"""Following and not following any more."""

from __future__ import annotations

from commands.follows import FOLLOW, FollowUser, UnfollowUser
from events.follows import UserFollowed, UserUnfollowed
from tests.unit.commands.given import given
from tests.unit.events.known import ADA, BEN

FOLLOW_BEN = FollowUser(follower_id=ADA, creator_id=BEN)
UNFOLLOW_BEN = UnfollowUser(follower_id=ADA, creator_id=BEN)
FOLLOWED = UserFollowed(follower_id=ADA, creator_id=BEN)
UNFOLLOWED = UserUnfollowed(follower_id=ADA, creator_id=BEN)


def test_following_once() -> None:
    told = given(FOLLOW).when(FOLLOW_BEN).then(FOLLOWED)
    assert told == {"userId": BEN, "following": True}
    given(FOLLOW, FOLLOWED).when(FOLLOW_BEN).then_nothing()


def test_unfollowing_once() -> None:
    told = given(FOLLOW, FOLLOWED).when(UNFOLLOW_BEN).then(UNFOLLOWED)
    assert told == {"userId": BEN, "following": False}
    given(FOLLOW, FOLLOWED, UNFOLLOWED).when(UNFOLLOW_BEN).then_nothing()
    given(FOLLOW).when(UNFOLLOW_BEN).then_nothing()


def test_following_again_after_unfollowing() -> None:
    given(FOLLOW, FOLLOWED, UNFOLLOWED).when(FOLLOW_BEN).then(FOLLOWED)


def test_nobody_follows_themselves() -> None:
    given(FOLLOW).when(FollowUser(follower_id=ADA, creator_id=ADA)).then_refused("SELF_FOLLOW")
    given(FOLLOW).when(UnfollowUser(follower_id=ADA, creator_id=ADA)).then_refused("SELF_FOLLOW")


def test_each_pair_is_a_stream_of_the_follower() -> None:
    assert FOLLOW_BEN.key() == ADA
    assert FOLLOW_BEN.stream() == UNFOLLOW_BEN.stream()
    assert FOLLOW_BEN.stream() != FollowUser(follower_id=BEN, creator_id=ADA).stream()
