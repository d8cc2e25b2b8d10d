"""Personal data: encrypted for one person, erased with their key."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from types import NoneType
from typing import get_args

import pytest
from cryptography.exceptions import InvalidTag

from events.base import Event
from events.codec import decode
from events.comments import CommentPosted
from events.privacy import (
    decrypt_text,
    encrypt,
    encrypt_text,
    personal_fields,
    persons,
    persons_in_body,
)
from events.registry import EVENT_TYPES
from events.users import ProfileUpdated, UserRegistered
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, log_record

POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text="Secret"
)


def test_a_text_is_readable_with_its_persons_key_only() -> None:
    keys = MemoryKeyRing.loaded(ADA, BEN)
    stored = encrypt_text("Secret", ADA, keys)
    assert stored.startswith(f"pii:1:{ADA}:")
    assert "Secret" not in stored
    assert decrypt_text(stored, keys) == "Secret"
    assert encrypt_text("Secret", ADA, keys) != stored


@pytest.mark.parametrize("place", [0, 11, 12, -17, -16, -1])
def test_a_text_that_was_tampered_with_is_refused(place: int) -> None:
    keys = MemoryKeyRing.loaded(ADA)
    head, _, sealed = encrypt_text("Secret", ADA, keys).rpartition(":")
    body = bytearray(urlsafe_b64decode(sealed))
    body[place] ^= 1
    with pytest.raises(InvalidTag):
        decrypt_text(f"{head}:{urlsafe_b64encode(body).decode()}", keys)


def test_a_text_cannot_be_passed_off_as_somebody_elses() -> None:
    keys = MemoryKeyRing.loaded(ADA, BEN)
    stored = encrypt_text("Secret", ADA, keys)
    with pytest.raises(InvalidTag):
        decrypt_text(stored.replace(ADA, BEN), keys)


def test_another_key_of_the_same_person_does_not_open_it() -> None:
    stored = encrypt_text("Secret", ADA, MemoryKeyRing.loaded(ADA))
    with pytest.raises(InvalidTag):
        decrypt_text(stored, MemoryKeyRing.loaded(ADA))


def test_destroying_the_key_erases_what_was_written() -> None:
    keys = MemoryKeyRing.loaded(ADA)
    record = log_record(POSTED, keys)
    keys.destroy(ADA)
    event = decode(record, keys).event
    assert event == POSTED.model_copy(update={"text": f"erased:{ADA}"})


def test_an_erased_person_has_no_new_data_either() -> None:
    keys = MemoryKeyRing.loaded(ADA)
    keys.destroy(ADA)
    assert encrypt_text("Secret", ADA, keys) == f"erased:{ADA}"
    assert decrypt_text(f"erased:{ADA}", keys) == f"erased:{ADA}"


async def test_erasing_one_person_leaves_the_others() -> None:
    keys = MemoryKeyRing.loaded(ADA, BEN)
    of_ada, of_ben = encrypt_text("Ada's", ADA, keys), encrypt_text("Ben's", BEN, keys)
    keys.destroy(ADA)
    assert decrypt_text(of_ada, keys) == f"erased:{ADA}"
    assert decrypt_text(of_ben, keys) == "Ben's"


def test_a_key_that_was_not_loaded_is_an_error_not_an_erasure() -> None:
    keys = MemoryKeyRing(ADA)
    with pytest.raises(KeyError):
        encrypt_text("Secret", ADA, keys)


def test_only_marked_fields_that_hold_something_are_encrypted() -> None:
    keys = MemoryKeyRing.loaded(ADA)
    event = ProfileUpdated(user_id=ADA, bio="Secret", avatar_url=None)
    data = event.model_dump(mode="json")
    encrypt(event, data, keys)
    assert data["user_id"] == ADA
    assert data["bio"].startswith("pii:1:")
    assert data["avatar_url"] is None
    assert persons_in_body(data) == {ADA}


def test_the_persons_of_a_message_are_those_whose_data_it_holds() -> None:
    assert persons(POSTED) == {ADA}
    assert persons(ProfileUpdated(user_id=ADA)) == frozenset()
    assert personal_fields(UserRegistered) == {
        "username": "user_id",
        "email": "user_id",
        "password_hash": "user_id",
    }


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.stored_name())
def test_a_personal_field_is_a_text_whose_person_the_event_names(event_type: type[Event]) -> None:
    for name, person_field in personal_fields(event_type).items():
        annotation = event_type.model_fields[name].annotation
        assert set(get_args(annotation) or [annotation]) <= {str, NoneType}, (
            f"{name} must be a text without limits: it also has to hold ciphertext"
        )
        assert event_type.model_fields[person_field].annotation is str
