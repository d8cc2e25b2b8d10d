"""Signed paths of playlists: ``<expiry>.<hmac>``, good for one video."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from events import clock
from events.errors import NotPermitted
from query_api.reading import MediaLink

_DIGEST_BYTES = 16


class HmacMediaLinks:
    """Implements ``query_api.reading.MediaLinks``."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, video_id: str, life: timedelta) -> MediaLink:
        expires_at = clock.now() + life
        seconds = int(expires_at.timestamp())
        return MediaLink(f"{seconds}.{self._digest(video_id, seconds)}", expires_at)

    def check(self, token: str, video_id: str) -> timedelta:
        seconds, _, digest = token.partition(".")
        if not seconds.isdecimal() or not hmac.compare_digest(
            digest, self._digest(video_id, int(seconds))
        ):
            raise NotPermitted("The link is not valid", code="LINK_INVALID")
        left = datetime.fromtimestamp(int(seconds), UTC) - clock.now()
        if left <= timedelta(0):
            raise NotPermitted("The link has expired", code="LINK_EXPIRED")
        return left

    def _digest(self, video_id: str, seconds: int) -> str:
        mac = hmac.digest(self._key, f"{video_id}:{seconds}".encode(), hashlib.sha256)
        return urlsafe_b64encode(mac[:_DIGEST_BYTES]).decode().rstrip("=")
