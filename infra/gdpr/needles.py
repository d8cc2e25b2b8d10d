"""Looking for texts of a person in whatever a store holds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

#: A shorter text must be the whole of a value: ``ada`` stands in many words.
CONTAINED_CHARACTERS = 8
_WORD = re.compile(r"\w+")
_HEX = re.compile(r"^\\x((?:[0-9a-f]{2})+)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """A text of the person in a place; ``kind`` is the field that it came from, not the text."""

    place: str
    kind: str

    def sentence(self) -> str:
        return f"{self.place}: {self.kind}"


class Needles:
    """Texts to look for, whatever the case of their letters.

    A long text counts wherever it stands between other words, a short one only as a whole value.
    Looking takes time by the length of what is looked into, not by the number of texts: each is
    tried only where its first word stands.
    """

    def __init__(self, texts: Mapping[str, Collection[str]]) -> None:
        self.kinds = {
            text.strip().casefold(): sorted(kinds) for text, kinds in texts.items() if text.strip()
        }
        #: First word -> the long texts that begin with it, and what stands before it in them.
        self._by_word: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._wordless: list[str] = []
        self._first_words: set[str] = set()
        self._any_wordless = False
        for text in self.kinds:
            self._index(text)

    def _index(self, text: str) -> None:
        first, long = _WORD.search(text), len(text) >= CONTAINED_CHARACTERS
        if first is None:
            self._any_wordless = True
            self._wordless += [text] if long else []
            return
        self._first_words.add(first[0])
        if long:
            self._by_word[first[0]].append((text, first.start()))

    def __len__(self) -> int:
        return len(self.kinds)

    def texts(self) -> list[str]:
        """Return the texts, case folded."""
        return list(self.kinds)

    def may_be_in(self, raw: str) -> bool:
        """Say whether it is worth looking into what is written as ``raw``, quickly.

        False is certain for JSON and plain text without escapes; a backslash makes it True.
        """
        if self._any_wordless or "\\" in raw:
            return True
        return not self._first_words.isdisjoint(_WORD.findall(raw.casefold()))

    def in_text(self, value: str) -> Iterator[str]:
        """Yield the texts that stand in a value."""
        folded = value.casefold()
        whole = folded.strip()
        if whole in self.kinds:
            yield whole
        yield from (text for text in self._wordless if text in folded)
        for word in _WORD.finditer(folded):
            for text, before in self._by_word.get(word[0], ()):
                begins = word.start() - before
                if begins >= 0 and folded.startswith(text, begins) and _ends(folded, text, begins):
                    yield text

    def in_value(self, value: Any) -> set[str]:
        """Return the texts that stand anywhere in a value made of mappings and sequences."""
        return {found for leaf in leaves(value) for found in self.in_text(leaf)}


def _ends(folded: str, text: str, begins: int) -> bool:
    """Say whether a text that ends with a word ends where a word ends."""
    behind = folded[begins + len(text) : begins + len(text) + 1]
    return not (_WORD.match(text[-1]) and behind and _WORD.match(behind))


def leaves(value: Any) -> Iterator[str]:
    """Yield every text in a value: of keys, of members, of JSON and bytes that it holds."""
    match value:
        case None | bool():
            return
        case str():
            yield from _of_text(value)
        case bytes():
            yield from _of_text(value.decode("utf-8", "replace"))
        case Mapping():
            for key, member in value.items():
                yield from leaves(key)
                yield from leaves(member)
        case list() | tuple() | set() | frozenset():
            for member in value:
                yield from leaves(member)
        case _:
            yield str(value)


def _of_text(text: str) -> Iterator[str]:
    """Yield a text, and what is inside where it is JSON or bytes in PostgreSQL's notation."""
    yield text
    found = _HEX.match(text)
    if found:
        yield from leaves(bytes.fromhex(found[1]))
    elif text[:1] in {"{", "["}:
        try:
            inside = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        yield from leaves(inside)
