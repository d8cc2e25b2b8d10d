"""Folding and pruning what py-spy saw, and the table of it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.profiles import page
from benchmarks.profiles.stacks import EVENT_LOOP, Stack, fold, package, prune

TREE = "/somewhere/streamhub"
LIBRARIES = f"{TREE}/.venv/lib/python3.11/site-packages"
LOOP = "<module> (/usr/bin/x.py:1);Runner.run (/usr/lib/python3.11/asyncio/runners.py:118)"
READ = f"read ({TREE}/events/codec.py"


def test_functions_merge_whatever_line_they_were_at() -> None:
    folded = fold([f"{LOOP};{READ}:12) 3", f"{LOOP};{READ}:15) 4"], TREE)
    assert folded.stacks == {("read (events/codec.py)",): 7}


def test_files_are_named_as_their_packages_are() -> None:
    [stack] = fold(
        [
            f"{READ}:1);fetch ({LIBRARIES}/asyncpg/pool.py:2);"
            "wait_for (/usr/lib/python3.11/asyncio/tasks.py:3);f.<locals>.g (<string>:4) 1"
        ],
        TREE,
    ).stacks
    assert stack == (
        "read (events/codec.py)",
        "fetch (asyncpg/pool.py)",
        "wait_for (python/asyncio/tasks.py)",
        "f.<locals>.g (python/<string>)",
    )
    assert [package(frame) for frame in stack] == ["events", "asyncpg", "python", "python"]


def test_no_folder_of_the_machine_is_told() -> None:
    raw = ["f (/elsewhere/tool.py:2);g (/another/benchmarks/load.py:1) 1"]
    assert list(fold(raw, TREE, "/another").stacks) == [
        ("f (python/tool.py)", "g (benchmarks/load.py)")
    ]


def test_a_library_of_one_file_is_a_package() -> None:
    [[frame]] = fold([f"f ({LIBRARIES}/six.py:2) 1"], TREE).stacks
    assert package(frame) == "six"


def test_what_the_loop_does_itself_has_a_name() -> None:
    assert fold([f"{LOOP} 5"], TREE).stacks == {(EVENT_LOOP,): 5}


def test_imports_and_threads_without_frames_are_left_out() -> None:
    importing = "_find_and_load (<frozen importlib._bootstrap>:1178)"
    folded = fold([f"{LOOP};{importing};<module> ({TREE}/a.py:1) 9", " 2", f"{READ}:1) 1"], TREE)
    assert (folded.samples, folded.left_out) == (1, 9)


def test_trifles_are_counted_for_their_callers() -> None:
    folded: dict[Stack, int] = {
        ("a",): 10,
        ("a", "b"): 900,
        ("a", "c"): 2,
        ("a", "d", "e"): 2,
        ("a", "d", "f"): 2,
        ("g",): 2,
        ("a", "h"): 82,
    }
    assert prune(folded, 0.003) == {("a",): 12, ("a", "b"): 900, ("a", "d"): 4, ("a", "h"): 82}


def test_a_profile_is_what_was_written(tmp_path: Path) -> None:
    written = profile("before", {("a (x/a.py)", "b (y/b.py)"): 3, ("a (x/a.py)",): 1})
    page.write(written, tmp_path)
    assert page.read("rebuild", "before", tmp_path) == written
    assert page.read("rebuild", "after", tmp_path) is None


def test_a_table_has_shares_of_what_ran_itself() -> None:
    before = profile("before", {("a (x/a.py)", "b (y/b.py)"): 3, ("a (x/a.py)",): 1})
    after = profile("after", {("a (x/a.py)",): 4})
    assert page.table([before, after]).splitlines() == [
        "| Share of the samples | before | after |",
        "|---|---|---|",
        "| package x | 25.0% | 100.0% |",
        "| package y | 75.0% | 0.0% |",
        "| `a`, x/a.py | 25.0% | 100.0% |",
        "| `b`, y/b.py | 75.0% | 0.0% |",
        "| Processor time, each event | 12.5 µs | 12.5 µs |",
    ]


def profile(side: str, stacks: dict[Stack, int]) -> page.Profile:
    return page.Profile("rebuild", side, "abc", {"cores": 2}, 4, "event", 12.5, stacks)
