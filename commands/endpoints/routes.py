"""Every command endpoint."""

from __future__ import annotations

from commands.endpoints import auth, comments, engagement, moderation, users, videos

ROUTERS = tuple(part.router for part in (engagement, comments, users, videos, auth, moderation))
