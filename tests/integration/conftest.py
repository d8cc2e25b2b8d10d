"""The StreamHub of the run, shared by integration, end-to-end and fault tests."""

from __future__ import annotations

import pytest

from tests.support import fixtures


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures once: each folder's own copy would start a StreamHub of its own."""
    if not config.pluginmanager.is_registered(fixtures):
        config.pluginmanager.register(fixtures)
