"""Options that several commands share: the fields of a dataclass, written down once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

Command = Callable[..., None]


def takes(group: Any, name: str) -> Callable[[Command], Command]:
    """Give a command the options of a dataclass beside its own; it gets them as ``name``."""
    shared = get_type_hints(group, include_extras=True)
    added = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=shared[each.name],
        )
        for each in fields(group)
    ]

    def give(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[known], kind=inspect.Parameter.KEYWORD_ONLY)
            for known, parameter in inspect.signature(command).parameters.items()
            if known != name
        ]

        @functools.wraps(command)
        def with_options(**given: Any) -> None:
            options = group(**{each.name: given.pop(each.name) for each in added})
            command(**given, **{name: options})

        parameters = [*own, *added]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return give
