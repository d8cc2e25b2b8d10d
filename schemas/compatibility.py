"""Whether a changed schema still reads every record, and is still read by every reader.

Records are kept for ever and readers are upgraded one by one, so under a stored name a schema
may grow by optional fields and nothing else: compatible backward (what was written can be read)
and forward (a reader one release behind can read what is written). Anything more is a new version
of the event, with an upcaster from the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

#: Words that only explain what stands there; they may change at any time.
_EXPLANATIONS = frozenset(
    {
        "$schema",
        "$id",
        "$defs",
        "$comment",
        "title",
        "description",
        "deprecated",
        "x-deprecated",
    }
)
#: Words with rules of their own.
_SPECIAL = frozenset({"properties", "required", "enum"})
_NULL = {"type": "null"}


def breaking_changes(published: Schema, current: Schema) -> list[str]:
    """Return a sentence for each change that breaks a record or a reader; none is fine.

    Both are JSON Schemas (draft 2020-12) of an object, with references into their own ``$defs``.
    """
    return list(_Comparison(published, current).schemas("", published, current))


class _Comparison:
    """Two documents, walked side by side; ``path`` names the place such as ``renditions[].width``.

    References are followed without end: event types never contain themselves.
    """

    def __init__(self, published: Schema, current: Schema) -> None:
        self._published = published
        self._current = current

    def schemas(self, path: str, published: Schema, current: Schema) -> Iterator[str]:
        old, new = _plain(published, self._published), _plain(current, self._current)
        yield from self._properties(path, old, new)
        yield from _enumeration(path, old.get("enum"), new.get("enum"))
        words = (old.keys() | new.keys()) - _EXPLANATIONS - _SPECIAL
        for word in sorted(words):
            yield from self._word(path, word, old.get(word), new.get(word))

    def _properties(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = old.get("required", ()), new.get("required", ())
        for name in sorted(before.keys() | after.keys()):
            place = f"{path}.{name}" if path else name
            if name not in after:
                yield f"{place}: was removed, and readers rely on it"
                continue
            if name in needed_after and name not in needed_before:
                yield f"{place}: is required now, and older records lack it"
            if name in needed_before and name not in needed_after:
                yield f"{place}: is optional now, and older readers need it"
            if name in before:
                yield from self.schemas(place, before[name], after[name])

    def _word(self, path: str, word: str, old: Any, new: Any) -> Iterator[str]:
        place = f"{path}[]" if word == "items" else path
        match old, new:
            case Mapping(), Mapping():
                yield from self.schemas(place, old, new)
            case [Mapping(), *_], [Mapping(), *_] if len(old) == len(new):
                for before, after in zip(old, new, strict=True):
                    yield from self.schemas(place, before, after)
            case _:
                if old != new:
                    yield f"{path or 'the whole'}: '{word}' changed from {old!r} to {new!r}"


def _plain(schema: Schema, document: Schema) -> dict[str, Any]:
    """Return a schema without references, its being nullable as a word of its own."""
    plain = dict(schema)
    while "$ref" in plain:
        target = document["$defs"][plain.pop("$ref").removeprefix("#/$defs/")]
        plain = {**target, **plain}
    variants = [variant for variant in plain.get("anyOf", ()) if variant != _NULL]
    if len(variants) == 1 and len(plain["anyOf"]) == 2:
        del plain["anyOf"]
        return {**_plain(variants[0], document), **plain, "nullable": True}
    return plain


def _enumeration(path: str, old: list[Any] | None, new: list[Any] | None) -> Iterator[str]:
    if old is None or new is None:
        if old != new:
            yield f"{path}: 'enum' changed from {old!r} to {new!r}"
        return
    for value in (value for value in old if value not in new):
        yield f"{path}: the value {value!r} was removed, and records hold it"
    for value in (value for value in new if value not in old):
        yield f"{path}: the value {value!r} is new, and older readers refuse it"
