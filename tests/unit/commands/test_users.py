"""Accounts: who may open, edit and promote them."""

from __future__ import annotations

from commands.aggregate import UniqueValue
from commands.users import USER, ChangeRole, EraseUser, RegisterUser, UpdateProfile
from events.users import ProfileUpdated, Role, RoleChanged, UserErased, UserRegistered
from tests.unit.commands.given import given
from tests.unit.events.known import ADA, BEN

REGISTER = RegisterUser(user_id=ADA, username="Ada", email="Ada@Example.org", password_hash="hash")
REGISTERED = UserRegistered(
    user_id=ADA, username="Ada", email="Ada@Example.org", password_hash="hash", role=Role.VIEWER
)


def test_an_account_is_opened_as_a_viewer() -> None:
    assert given(USER).when(REGISTER).then(REGISTERED) == {"id": ADA, "role": "viewer"}


def test_opening_an_account_again_adds_nothing() -> None:
    given(USER, REGISTERED).when(REGISTER).then_nothing()


def test_username_and_email_are_claimed_whatever_their_case() -> None:
    assert set(USER.unique(REGISTER)) == {
        UniqueValue("username", "ada"),
        UniqueValue("email", "ada@example.org"),
    }


def test_other_commands_claim_nothing() -> None:
    assert not USER.unique(ChangeRole(user_id=ADA, role=Role.ADMIN))


def test_a_user_edits_their_own_profile() -> None:
    command = UpdateProfile(user_id=ADA, bio="Engines", actor_id=ADA, actor_role=Role.VIEWER)
    given(USER, REGISTERED).when(command).then(
        ProfileUpdated(user_id=ADA, bio="Engines", avatar_url=None)
    )


def test_an_admin_edits_anyones_profile() -> None:
    command = UpdateProfile(user_id=ADA, avatar_url="https://x", actor_id=BEN, actor_role="admin")
    given(USER, REGISTERED).when(command).then(ProfileUpdated(user_id=ADA, avatar_url="https://x"))


def test_nobody_else_edits_a_profile() -> None:
    command = UpdateProfile(user_id=ADA, bio="No", actor_id=BEN, actor_role=Role.CREATOR)
    given(USER, REGISTERED).when(command).then_refused("PERMISSION_DENIED")


def test_an_edit_without_a_change_adds_nothing() -> None:
    command = UpdateProfile(user_id=ADA, actor_id=ADA, actor_role=Role.VIEWER)
    given(USER, REGISTERED).when(command).then_nothing()


def test_a_role_is_given_once() -> None:
    command = ChangeRole(user_id=ADA, role=Role.ADMIN)
    changed = RoleChanged(user_id=ADA, role=Role.ADMIN)
    told = given(USER, REGISTERED).when(command).then(changed)
    assert told == {"id": ADA, "role": "admin"}
    given(USER, REGISTERED, changed).when(command).then_nothing()


def test_a_profile_edit_leaves_the_role_alone() -> None:
    changed = RoleChanged(user_id=ADA, role=Role.ADMIN)
    edited = ProfileUpdated(user_id=ADA, bio="Engines")
    command = ChangeRole(user_id=ADA, role=Role.ADMIN)
    given(USER, REGISTERED, changed, edited).when(command).then_nothing()


def test_who_was_never_registered_has_no_profile_and_no_role() -> None:
    edit = UpdateProfile(user_id=ADA, bio="Engines", actor_id=ADA, actor_role=Role.VIEWER)
    given(USER).when(edit).then_refused("USER_NOT_FOUND")
    given(USER).when(ChangeRole(user_id=ADA, role=Role.ADMIN)).then_refused("USER_NOT_FOUND")


def test_an_account_is_erased_once_and_for_ever() -> None:
    erase, erased = EraseUser(user_id=ADA), UserErased(user_id=ADA)
    promoted = RoleChanged(user_id=ADA, role=Role.ADMIN)
    told = given(USER, REGISTERED, promoted).when(erase).then(erased)
    assert told == {"id": ADA, "role": "viewer"}
    gone = given(USER, REGISTERED, promoted, erased)
    gone.when(erase).then_nothing()
    gone.when(REGISTER).then_nothing()
    gone.when(ChangeRole(user_id=ADA, role=Role.ADMIN)).then_refused("USER_NOT_FOUND")
    edit = UpdateProfile(user_id=ADA, bio="Back", actor_id=ADA, actor_role=Role.VIEWER)
    gone.when(edit).then_refused("USER_NOT_FOUND")


def test_who_was_never_registered_cannot_be_erased() -> None:
    given(USER).when(EraseUser(user_id=ADA)).then_refused("USER_NOT_FOUND")
