"""Every query, under one router; fixed paths come before those with an id in their place."""

from __future__ import annotations

from fastapi import APIRouter

from query_api import analytics, commands, comments, moderation, search, trending, users, videos

router = APIRouter()
for part in (search, trending, analytics, videos, users, comments, moderation, commands):
    router.include_router(part.router)
