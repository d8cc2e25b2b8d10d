"""The process that helps a rebuild, called by hand."""

from __future__ import annotations

import asyncio
import sys


async def test_without_a_share_it_says_so_in_a_line() -> None:
    """So does one whose caller was killed before it could say what to do."""
    helper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.rebuild.helpers"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await helper.communicate()
    assert helper.returncode == 1
    assert complaint.startswith(b"streamhub: no share")
    assert complaint.count(b"\n") == 1
