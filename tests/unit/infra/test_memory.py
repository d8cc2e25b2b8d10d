"""What a process does with the memory that it gives back, seen in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Takes and gives back ten blocks of a megabyte, and again, and says how many pages that touched.
BLOCKS = """
import resource
from infra.memory import keep_freed_memory

keep_freed_memory()
for round_ in range(50):
    if round_ == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * (1 << 20) for _ in range(10)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_large_blocks_are_not_asked_of_the_system_again_and_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS], capture_output=True, check=True, text=True
    )
    pages_a_round = 10 * (1 << 20) // 4096
    assert int(done.stdout) < pages_a_round, "each round got its pages anew"
