"""Jars are what the lock says, or nothing starts."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.native import jar_sets

JAR = "org/example/small/1.0/small-1.0.jar"
BODY = b"the bytes of a jar"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache that holds one jar, and a repository that nobody serves."""
    settings = tmp_path / "jgo.conf"
    settings.write_text("[repositories]\ncentral = http://127.0.0.1:1\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    monkeypatch.setattr(jar_sets, "JAR_SETS", tmp_path / "sets")
    jar = tmp_path / "cache" / "maven" / JAR
    jar.parent.mkdir(parents=True)
    jar.write_bytes(BODY)
    return tmp_path / "cache"


def lock(digest: str, name: str = "probe") -> None:
    folder = jar_sets.JAR_SETS / name
    folder.mkdir(parents=True)
    (folder / "jgo.lock.toml").write_text(
        '[[dependencies]]\ngroupId = "org.example"\nartifactId = "small"\nversion = "1.0"\n'
        f'packaging = "jar"\nsha256 = "{digest}"\n'
    )


def quiet(what: str) -> None:
    """Report no progress."""


def test_a_jar_that_matches_its_lock_is_used(cache: Path) -> None:
    lock(hashlib.sha256(BODY).hexdigest())
    assert jar_sets.fetch_jars("probe", cache, quiet) == [cache / "maven" / JAR]


def test_a_jar_that_differs_from_its_lock_is_thrown_away_and_refused(cache: Path) -> None:
    lock(hashlib.sha256(b"other bytes").hexdigest())
    with pytest.raises(jar_sets.JarsUnavailable, match=r"small 1\.0"):
        jar_sets.fetch_jars("probe", cache, quiet)
    assert not (cache / "maven" / JAR).exists()


def test_sets_that_share_a_cache_are_fetched_one_after_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have jars in common: two that fetch one of these at a time would spoil it."""
    names = ("probe", "other")
    fetching, most = 0, 0

    def fetch_all(*_: object) -> None:
        nonlocal fetching, most
        fetching += 1
        most = max(most, fetching)
        time.sleep(0.2)
        fetching -= 1

    monkeypatch.setattr(jar_sets, "_fetch_all", fetch_all)
    for name in names:
        lock(hashlib.sha256(BODY).hexdigest(), name)
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: jar_sets.fetch_jars(name, cache, quiet), names))
    assert most == 1


def test_every_set_is_locked_by_digest_and_names_no_address() -> None:
    locks = sorted(Path(jar_sets.__file__).parent.glob("jars/*/jgo.lock.toml"))
    assert {path.parent.name for path in locks} >= {"kafka", "opensearch", "s3"}
    for path in locks:
        text = path.read_text()
        assert "://" not in text
        assert text.count("sha256 = ") == text.count("[[dependencies]]") > 0
