"""What browsers need and we do not write: hls.js, from its webjar, unpacked into the cache.

The version is the one in ``native/jars/web/jgo.lock.toml``; the jar is fetched and checked like the
jars of the servers. ``python -m infra.web_assets`` prepares the files ahead, for an image.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from events.errors import ErrorKind, StreamHubError

_LOCK = Path(__file__).parent / "native" / "jars" / "web" / "jgo.lock.toml"
#: The files taken from the webjar; the licence stays with the code that it covers.
PLAYER_FILES = ("dist/hls.min.js", "dist/hls.worker.js", "LICENSE")


class WebAssetsBroken(StreamHubError):
    """The webjar does not hold what it should."""

    kind = ErrorKind.UNAVAILABLE
    code = "WEB_ASSETS_BROKEN"


def player_version() -> str:
    """Return the version of hls.js that is locked."""
    dependencies = tomllib.loads(_LOCK.read_text())["dependencies"]
    return str(dependencies[0]["version"])


def web_assets_folder(cache_dir: Path) -> Path:
    """Return where the files of the locked version lie once they are prepared."""
    return cache_dir / "web" / f"hls.js-{player_version()}"


def prepare_web_assets(cache_dir: Path) -> Path:
    """Have the files in the cache and return their folder, which appears whole or not at all.

    Raises:
        JarsUnavailable: the webjar cannot be fetched, or is not the one that was locked.
        WebAssetsBroken: it lacks a file.
    """
    folder = web_assets_folder(cache_dir)
    if folder.is_dir():
        return folder
    # Serving the files does not need what fetches them, so an image without it can.
    from infra.native.jar_sets import fetch_jars

    [jar] = fetch_jars("web", cache_dir, lambda _what: None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as draft:
        unpacked = Path(draft) / folder.name
        _unpack(jar, unpacked)
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process was faster; anything else is an error.
            if not folder.is_dir():
                raise
    return folder


def _unpack(jar: Path, target: Path) -> None:
    target.mkdir()
    root = f"META-INF/resources/webjars/hls.js/{player_version()}"
    with zipfile.ZipFile(jar) as archive:
        for name in PLAYER_FILES:
            try:
                source = archive.open(f"{root}/{name}")
            except KeyError as error:
                raise WebAssetsBroken(f"{jar.name} holds no {name}") from error
            with source, (target / Path(name).name).open("wb") as file:
                shutil.copyfileobj(source, file)


def main() -> None:
    """Prepare the files in the cache of the settings, and say where they are."""
    from infra.settings import Settings

    sys.stdout.write(f"{prepare_web_assets(Settings().cache_dir)}\n")


if __name__ == "__main__":
    main()
