"""Every command endpoint, under one router."""

from __future__ import annotations

from fastapi import APIRouter

from commands.endpoints import auth, comments, engagement, moderation, users, videos

router = APIRouter()
for part in (auth, users, videos, engagement, comments, moderation):
    router.include_router(part.router)
