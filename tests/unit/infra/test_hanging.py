"""Who hangs is ended and says where; who is only slow, or over, is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LIMIT_S = 1.5


def ended(work: str) -> subprocess.CompletedProcess[str]:
    """Run work under the guard in a process of its own."""
    program = (
        "import asyncio, threading, time\n"
        "from infra.hanging import ended_if_it_hangs\n"
        "async def main():\n"
        f"    async with ended_if_it_hangs({_LIMIT_S}):\n"
        f"        {work}\n"
        f"    time.sleep({2 * _LIMIT_S})\n"
        "    print('came to its end')\n"
        "asyncio.run(main())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "work", ["time.sleep(50)", "lock = threading.Lock(); [lock.acquire(), lock.acquire()]"]
)
def test_a_process_that_hangs_ends_and_says_where(work: str) -> None:
    process = ended(f"await asyncio.sleep(0); {work}")
    assert process.returncode == 1
    assert "in main" in process.stderr
    assert process.stdout == ""


def test_a_process_that_is_only_slow_comes_to_its_end() -> None:
    """Longer than the limit in all, and longer than that once the guard is off."""
    pieces = (
        f"[(await asyncio.sleep({_LIMIT_S / 10}), time.sleep({_LIMIT_S / 10})) for _ in range(8)]"
    )
    process = ended(pieces)
    assert (process.returncode, process.stdout) == (0, "came to its end\n"), process.stderr
