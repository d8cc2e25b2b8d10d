"""Every projection that exists."""

from __future__ import annotations

from projections.accounts import ACCOUNTS
from projections.command_log import COMMAND_LOG
from projections.comments import COMMENT_THREADS
from projections.declaration import Projection, Store
from projections.followers import FOLLOWERS
from projections.hot_counters import HOT_COUNTERS
from projections.moderation_queue import MODERATION_QUEUE
from projections.sessions import SESSIONS
from projections.trending import TRENDING
from projections.video_index import VIDEO_INDEX
from projections.viewing import VIEWING
from projections.watch_page import WATCH_PAGE

PROJECTIONS: tuple[Projection, ...] = (
    ACCOUNTS,
    WATCH_PAGE,
    COMMENT_THREADS,
    FOLLOWERS,
    MODERATION_QUEUE,
    COMMAND_LOG,
    SESSIONS,
    HOT_COUNTERS,
    TRENDING,
    VIDEO_INDEX,
    VIEWING,
)


def of_store(store: Store) -> tuple[Projection, ...]:
    """Return the projections that live in a store."""
    return tuple(projection for projection in PROJECTIONS if projection.store is store)
