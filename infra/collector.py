"""The garbage collector of a process that serves for long."""

from __future__ import annotations

import gc

#: More than a batch of records makes: between batches there is little to look at.
_COLLECT_AFTER_OBJECTS = 200_000


def relieve_collector() -> None:
    """Let the collector pass over what stays, and look less often at what comes and goes.

    To be called when everything is loaded. A batch is tens of thousands of objects without a
    cycle, and the routes and schemas of the API are hundreds of thousands that never go: the usual
    settings walk them over and over.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 20)
