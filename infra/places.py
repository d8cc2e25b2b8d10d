"""Where every server is: as the settings say, or as the native stack started it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from events.errors import StreamHubError
from infra.native.stack import NativeStack
from infra.settings import MIN_SECRET_CHARACTERS, Settings

_SETTING_OF = {
    "kafka": "kafka_bootstrap",
    "postgres": "postgres_url",
    "redis": "redis_url",
    "clickhouse": "clickhouse_url",
    "opensearch": "opensearch_url",
    "s3": "s3_url",
}


class ServerMissing(StreamHubError):
    """A server has no URL and was not started natively."""

    code = "SERVER_MISSING"


@dataclass(frozen=True, slots=True)
class Places:
    """URLs of all servers, and the two secrets."""

    kafka: str
    postgres: str
    redis: str
    clickhouse: str
    opensearch: str
    s3: str
    jwt_secret: str
    master_key: str


def native_servers(settings: Settings) -> list[str]:
    """Return the servers whose URL is not set: ours to start."""
    return [name for name in _SETTING_OF if not _configured(settings, name)]


def native_stack(settings: Settings) -> NativeStack:
    """Return the native stack of the data folder."""
    return NativeStack(settings.data_dir, settings.cache_dir, ports=settings.native_ports)


def start_servers(settings: Settings, on_progress: Callable[[str, str], None]) -> dict[str, str]:
    """Start the native servers that are needed and do not run; return their URLs."""
    needed = native_servers(settings)
    return native_stack(settings).up(needed, on_progress) if needed else {}


def find_places(settings: Settings) -> Places:
    """Return where everything is.

    Raises:
        ServerMissing: a server was neither configured nor started.
    """
    urls = {name: _configured(settings, name) for name in _SETTING_OF}
    native = {status.name: status.url for status in native_stack(settings).status()}
    for name, url in urls.items():
        if not url:
            if name not in native:
                raise ServerMissing(
                    f"{name} has no URL and does not run: set STREAMHUB_{_SETTING_OF[name].upper()}"
                    " or run 'streamhub infra up'"
                )
            urls[name] = native[name]
    return Places(
        **urls,
        jwt_secret=_secret(settings, "jwt_secret"),
        master_key=_secret(settings, "master_key"),
    )


def _configured(settings: Settings, name: str) -> str:
    value = getattr(settings, _SETTING_OF[name])
    return value if isinstance(value, str) else value.get_secret_value()


def _secret(settings: Settings, name: str) -> str:
    """Return a secret: the configured one, or in native mode one kept in the data folder."""
    configured: str = getattr(settings, name).get_secret_value()
    if configured or not settings.is_native:
        return configured
    path = settings.data_dir / "secrets.json"
    if not path.exists():
        _generate_secrets(path)
    kept: dict[str, str] = json.loads(path.read_text())
    return kept[name]


def _generate_secrets(path: Path) -> None:
    """Write the file whole or not at all; the first of several processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    generated = {
        name: secrets.token_urlsafe(MIN_SECRET_CHARACTERS) for name in ("jwt_secret", "master_key")
    }
    draft.write_text(json.dumps(generated))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
