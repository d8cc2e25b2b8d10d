"""Libraries that repeat themselves are heard now and then."""

from __future__ import annotations

import logging
import time

import pytest

from infra import logs
from infra.logs import Seldom


def _record(sentence: str, *parts: object, name: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, sentence, parts, None)


def test_a_sentence_is_said_once_whatever_is_filled_in() -> None:
    seldom = Seldom()
    assert seldom.filter(_record("Unable to connect to %s", "one"))
    assert not seldom.filter(_record("Unable to connect to %s", "two"))
    assert seldom.filter(_record("Unable to connect to %s", "one", name="another"))
    assert seldom.filter(_record("Connected to %s", "one"))


def test_it_is_said_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom = Seldom()
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert seldom.filter(_record("away"))
    now[0] += logs.REPEAT_AFTER_S
    assert seldom.filter(_record("away"))
