"""What PostgreSQL's client raises, as those who use the store hear it."""

from __future__ import annotations

import pytest

from infra.postgres.sink import store_errors
from projections.ports import StoreUnavailable


async def test_a_connection_that_just_broke_is_a_store_that_is_away() -> None:
    """R2: a record is not to blame for it; in the words of uvloop, which the client writes to."""
    words = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
    with pytest.raises(StoreUnavailable, match="the handler is closed"):
        async with store_errors():
            raise RuntimeError(words)


async def test_any_other_error_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="no idea"):
        async with store_errors():
            raise RuntimeError("no idea")
