"""Field types that several request bodies share, with their limits."""

from __future__ import annotations

import re
from html import unescape
from typing import Annotated
from uuid import UUID

import nh3
from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints

#: What a browser would take for a tag or a comment; "1 < 2" is none.
_TAG = re.compile(r"<[/!?A-Za-z][^<>]*>")
#: Passes after which a text must be free of markup; honest texts need two.
_MAX_NESTED_HTML = 5
#: A text may come with so many times its own length, markup included. Anybody can send one, and
#: to take markup out of it costs time that grows with the square of its length.
_MARKUP_SHARE = 2
#: All that bcrypt looks at.
_PASSWORD_BYTES = 72


def _strip_html(text: str) -> str:
    """Return the text without any tag or attribute (SH-149); what is not markup stays as it is.

    Escaped markup beside a tag becomes markup when the tag goes, hence more than one pass.
    """
    if _TAG.search(text) is None:
        return text
    for _ in range(_MAX_NESTED_HTML):
        plain = unescape(nh3.clean(text, tags=set()))
        if plain == text:
            return text
        text = plain
    raise ValueError("must not contain nested HTML")


def _without_html(maximum: int) -> BeforeValidator:
    """Return what takes markup out of a text that may have so many characters without it."""

    def strip(value: object) -> object:
        if not isinstance(value, str):
            return value
        if len(value) > _MARKUP_SHARE * maximum:
            raise ValueError(
                f"must have at most {maximum} characters, {_MARKUP_SHARE * maximum} with markup"
            )
        return _strip_html(value)

    return BeforeValidator(strip)


def _fits_bcrypt(password: str) -> str:
    if len(password.encode()) > _PASSWORD_BYTES:
        raise ValueError(f"must have at most {_PASSWORD_BYTES} bytes in UTF-8")
    return password


def _reject_html(text: str) -> str:
    if _TAG.search(text):
        raise ValueError("must not contain HTML")
    return text


def _no_control(text: str) -> str:
    if any(ord(character) < 32 and character not in "\n\t\r" for character in text):
        raise ValueError("must not contain control characters")
    return text


def _text(minimum: int, maximum: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=minimum, max_length=maximum)


#: A UUID in a path or a body, in its canonical text form.
EntityId = Annotated[UUID, PlainSerializer(str)]

Username = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9_.-]{3,50}$")
]
#: What somebody types who signs in: no address is refused that was once accepted.
SignInEmail = Annotated[
    str, StringConstraints(min_length=3, max_length=255), AfterValidator(_no_control)
]
Password = Annotated[
    str, StringConstraints(min_length=8, max_length=72), AfterValidator(_fits_bcrypt)
]
Title = Annotated[str, _text(3, 200), AfterValidator(_no_control), AfterValidator(_reject_html)]
Description = Annotated[
    str,
    _text(0, 5000),
    _without_html(5000),
    AfterValidator(_no_control),
]
Tag = Annotated[str, _text(1, 50), AfterValidator(_no_control), AfterValidator(_reject_html)]
Category = Annotated[str, _text(1, 50), AfterValidator(_no_control), AfterValidator(_reject_html)]
CommentText = Annotated[
    str,
    _text(1, 2000),
    _without_html(2000),
    AfterValidator(_no_control),
]
ShortText = Annotated[str, _text(0, 500), AfterValidator(_no_control)]
Device = Annotated[str, _text(1, 50), AfterValidator(_no_control)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
