"""The jars of a Java server: locked by SHA-256, fetched once, shared by all data folders.

``jars/<name>/jgo.toml`` says what is wanted, ``jgo.lock.toml`` beside it which files that came to.
Where they come from is jgo's affair: Maven Central, or the ``[repositories]`` of the user's own jgo
settings. ``python -m infra.native.jar_sets NAME…`` writes the locks anew after a change.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import EnvironmentSpec, LockedDependency, LockFile
from jgo.maven import Dependency, MavenContext

from events.errors import ErrorKind, StreamHubError

JAR_SETS = Path(__file__).parent / "jars"
DOWNLOADS_AT_ONCE = 8
ATTEMPTS_MAX = 3
TIMEOUT_S = 60


class JarsUnavailable(StreamHubError):
    """A jar could not be fetched, or is not the one that was locked."""

    kind = ErrorKind.UNAVAILABLE
    code = "JARS_UNAVAILABLE"


def fetch_jars(name: str, cache_dir: Path, on_progress: Callable[[str], None]) -> list[Path]:
    """Return the class path of a jar set, fetching what the cache lacks.

    Every file is checked against its lock once; a note in the cache spares that the next time.
    Raises ``JarsUnavailable``.
    """
    lock_path = JAR_SETS / name / "jgo.lock.toml"
    dependencies = LockFile.load(lock_path).dependencies
    context = _maven(cache_dir)
    paths = [_path(context, dependency) for dependency in dependencies]
    digest = hashlib.sha256(lock_path.read_bytes()).hexdigest()[:16]
    note = cache_dir / "checked" / f"{name}-{digest}"
    if note.exists() and all(path.exists() for path in paths):
        return paths
    note.parent.mkdir(parents=True, exist_ok=True)
    # One for all sets: they have jars in common, and their servers start side by side.
    with _locked(note.parent / "fetching.lock"):
        _fetch_all(context, dependencies, on_progress)
        note.touch()
    return paths


def _fetch_all(
    context: MavenContext,
    dependencies: list[LockedDependency],
    on_progress: Callable[[str], None],
) -> None:
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        fetched = pool.map(lambda dependency: _fetch(context, dependency), dependencies)
        for count, _ in enumerate(fetched, start=1):
            on_progress(f"fetching jars {count}/{len(dependencies)}")


def _fetch(context: MavenContext, dependency: LockedDependency) -> None:
    """Have one jar in the cache, whole and as locked; a download cut short is taken up anew."""
    path = _path(context, dependency)
    reason = "its SHA-256 differs from the lock"
    for _ in range(ATTEMPTS_MAX):
        if path.exists() and _sha256(path) == dependency.sha256:
            return
        path.unlink(missing_ok=True)
        try:
            _dependency(context, dependency).artifact.resolve()
        except (OSError, RuntimeError) as error:
            reason = str(error)
    if path.exists() and _sha256(path) == dependency.sha256:
        return
    path.unlink(missing_ok=True)
    raise JarsUnavailable(f"{dependency.artifactId} {dependency.version}: {reason}")


def _maven(cache_dir: Path) -> MavenContext:
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(
        repo_cache=cache_dir / "maven", remote_repos=repositories, timeout=TIMEOUT_S
    )


def _dependency(context: MavenContext, locked: LockedDependency) -> Dependency:
    project = context.project(locked.groupId, locked.artifactId)
    artifact = project.at_version(locked.version).artifact(
        locked.classifier or "", locked.packaging
    )
    return Dependency(artifact)


def _path(context: MavenContext, locked: LockedDependency) -> Path:
    path = _dependency(context, locked).artifact.cached_path
    if path is None:
        raise JarsUnavailable(f"{locked.artifactId} has no place in the cache")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one at a time, of whatever process and thread, fetch into a shared cache."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_jars(name: str, cache_dir: Path) -> int:
    """Resolve ``jgo.toml`` of a set, write its lock, and return the number of jars."""
    spec = EnvironmentSpec.load(JAR_SETS / name / "jgo.toml")
    context = _maven(cache_dir)
    excluded = [context.project(*text.split(":")) for text in spec.exclusions]
    wanted = [context.create_dependency(text, excluded) for text in spec.coordinates]
    inputs, transitive = context.resolver.resolve(wanted)
    used = [item for item in transitive if item.scope in {"compile", "runtime"}]
    lock = LockFile.from_resolved_dependencies([*inputs, *used], environment_name=name)
    lock.save(JAR_SETS / name / "jgo.lock.toml")
    return len(lock.dependencies)


def main() -> None:
    """Write the locks of the named sets."""
    cache_dir = Path.home() / ".cache" / "streamhub"
    for name in sys.argv[1:]:
        sys.stdout.write(f"{name}: {lock_jars(name, cache_dir)} jars locked\n")


if __name__ == "__main__":
    main()
