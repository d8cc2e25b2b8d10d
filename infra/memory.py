"""What becomes of the memory that a process gives back."""

from __future__ import annotations

import ctypes

#: Names and numbers are those of glibc's ``malloc.h``.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: Blocks up to here come from the heap: what a fetch brings, what a batch of records unpacks to.
_FROM_HEAP_BYTES = 8 << 20
#: So much at the end of the heap stays, though nobody uses it.
_KEPT_BYTES = 32 << 20


def keep_freed_memory() -> None:
    """Have large blocks come from what was given back, not from the system each time.

    A reader of the log asks for blocks of some hundred kilobytes by the thousand. From the system
    each comes as pages that are cleared one by one when they are first touched, which costs more
    than decompressing a batch into them. Where the C library knows no such setting nothing changes.
    """
    setting = getattr(ctypes.CDLL(None), "mallopt", None)
    if setting is not None:
        setting(_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        setting(_TRIM_THRESHOLD, _KEPT_BYTES)
