"""The one place that imports ``opensearchpy``.

Its optional event-driven metrics import a PyPI package that is named ``events``, as ours is; theirs
is left out of the installation. We use no metrics of the client's, so the module that would import
it is replaced by an empty one before the library looks for it.
"""

from __future__ import annotations

import sys
from types import ModuleType

_METRICS = "opensearchpy.metrics.metrics_events"
if _METRICS not in sys.modules:
    sys.modules[_METRICS] = ModuleType(_METRICS)
    vars(sys.modules[_METRICS])["MetricsEvents"] = object

from opensearchpy import AsyncOpenSearch  # noqa: E402
from opensearchpy.exceptions import (  # noqa: E402
    ConnectionError,  # noqa: A004 - the library's own name
    NotFoundError,
    RequestError,
    TransportError,
)

__all__ = ["AsyncOpenSearch", "ConnectionError", "NotFoundError", "RequestError", "TransportError"]
