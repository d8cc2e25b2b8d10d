"""Every query; fixed paths come before those with an id in their place."""

from __future__ import annotations

from query_api import analytics, commands, comments, moderation, search, trending, users, videos

ROUTERS = tuple(
    part.router
    for part in (search, trending, videos, comments, users, analytics, moderation, commands)
)
