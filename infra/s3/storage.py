"""Object storage behind one adapter (IR-14): S3, or a folder where no server is wanted."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import urllib3
from minio import Minio
from minio.error import S3Error

from events import clock
from events.errors import Unavailable

T = TypeVar("T")

mimetypes.add_type("application/vnd.apple.mpegurl", ".m3u8")
mimetypes.add_type("video/mp2t", ".ts")

_REGION = "us-east-1"
#: How long a signed URL is given out again, as a share of its life.
_KEPT_SHARE = 0.25
_SIGNED_URLS = 20_000
_MISSING = {"NoSuchKey", "NoSuchObject", "NoSuchBucket"}


class ObjectStorage(Protocol):
    """Where media lies, by key."""

    def upload_url(self, key: str, content_type: str, issued_at: datetime, life: timedelta) -> str:
        """Return a presigned PUT; the same arguments give the same URL."""

    def download_url(self, key: str, life: timedelta) -> str:
        """Return a presigned GET that is good for ``life`` at least.

        For a while it is the same one: clients may keep what they got by it.
        """

    async def size(self, key: str) -> int | None:
        """Return the size in bytes, or None when nothing is there."""

    async def read(self, key: str) -> bytes | None:
        """Return a small object whole, or None when nothing is there."""

    async def download(self, key: str, target: Path) -> bool:
        """Write the object to a file; say whether it was there."""

    async def upload(self, source: Path, key: str) -> None:
        """Put a file."""

    async def remove(self, key: str) -> None:
        """Remove an object; does nothing where there is none."""

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix."""

    async def check(self) -> None:
        """Raise Unavailable unless the storage answers."""


class S3Storage:
    """S3 by the MinIO client; ``public_url`` is the origin under which clients reach it."""

    def __init__(self, url: str, public_url: str = "") -> None:
        parts = urlsplit(url)
        self._bucket = parts.path.strip("/")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._client = _client(parts.scheme, _host(parts), user, password)
        public = urlsplit(public_url) if public_url else parts
        self._public = _client(public.scheme, _host(public), user, password)
        #: A list shows the same pictures again and again, and signing is most of what it costs.
        self._signed = lru_cache(_SIGNED_URLS)(self._sign)

    def upload_url(self, key: str, content_type: str, issued_at: datetime, life: timedelta) -> str:  # noqa: ARG002
        return self._public.get_presigned_url(
            "PUT", self._bucket, key, expires=life, request_date=issued_at.astimezone(UTC)
        )

    def download_url(self, key: str, life: timedelta) -> str:
        kept = life * _KEPT_SHARE
        return self._signed(
            key, life + kept, kept, int(clock.now().timestamp() // kept.total_seconds())
        )

    def _sign(self, key: str, life: timedelta, kept: timedelta, number: int) -> str:
        """Sign as at the beginning of the ``number``-th span of ``kept`` since 1970."""
        signed_at = datetime.fromtimestamp(number * kept.total_seconds(), UTC)
        return self._public.presigned_get_object(
            self._bucket, key, expires=life, request_date=signed_at
        )

    async def size(self, key: str) -> int | None:
        stat = await _call(lambda: self._client.stat_object(self._bucket, key))
        return None if stat is None else stat.size

    async def read(self, key: str) -> bytes | None:
        def read() -> bytes:
            response = self._client.get_object(self._bucket, key)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return await _call(read)

    async def download(self, key: str, target: Path) -> bool:
        found = await _call(lambda: self._client.fget_object(self._bucket, key, str(target)))
        return found is not None

    async def upload(self, source: Path, key: str) -> None:
        content_type = mimetypes.guess_type(source.name)[0] or "application/octet-stream"
        await _call(
            lambda: self._client.fput_object(
                self._bucket, key, str(source), content_type=content_type
            )
        )

    async def remove(self, key: str) -> None:
        await _call(lambda: self._client.remove_object(self._bucket, key))

    async def keys(self, prefix: str) -> list[str]:
        found = await _call(
            lambda: [
                entry.object_name or ""
                for entry in self._client.list_objects(self._bucket, prefix, recursive=True)
            ]
        )
        return found or []

    async def check(self) -> None:
        await _call(lambda: self._client.bucket_exists(self._bucket))


class FolderStorage:
    """A folder on this machine; its URLs are ``file:`` URLs and expire never."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ValueError(f"'{key}' leads out of the storage")
        return path

    def upload_url(self, key: str, content_type: str, issued_at: datetime, life: timedelta) -> str:  # noqa: ARG002
        return self._path(key).as_uri()

    def download_url(self, key: str, life: timedelta) -> str:  # noqa: ARG002
        return self._path(key).as_uri()

    async def size(self, key: str) -> int | None:
        path = self._path(key)
        return path.stat().st_size if path.is_file() else None

    async def read(self, key: str) -> bytes | None:
        path = self._path(key)
        return path.read_bytes() if path.is_file() else None

    async def download(self, key: str, target: Path) -> bool:
        body = await self.read(key)
        if body is not None:
            target.write_bytes(body)
        return body is not None

    async def upload(self, source: Path, key: str) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())

    async def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    async def keys(self, prefix: str) -> list[str]:
        return sorted(
            str(path.relative_to(self._root))
            for path in self._root.rglob("*")
            if path.is_file() and str(path.relative_to(self._root)).startswith(prefix)
        )

    async def check(self) -> None:
        if not self._root.is_dir():
            raise Unavailable(f"{self._root} is no folder")


def _host(parts: Any) -> str:
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _client(scheme: str, host: str, user: str, password: str) -> Minio:
    return Minio(
        host,
        access_key=user,
        secret_key=password,
        secure=scheme == "https",
        region=_REGION,
        http_client=urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=2.0, read=60.0),
            retries=urllib3.Retry(total=2, backoff_factor=0.2),
        ),
    )


async def _call(call: Callable[[], T]) -> T | None:
    """Call in a thread; a missing object is None, a server that is away is Unavailable."""
    try:
        return await asyncio.to_thread(call)
    except S3Error as error:
        if error.code in _MISSING:
            return None
        raise Unavailable(f"object storage: {error.code}") from error
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(f"object storage: {type(error).__name__}") from error
