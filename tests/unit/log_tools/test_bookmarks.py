from __future__ import annotations

from pathlib import Path

import pytest

from events.base import TopicPartition
from infra.log_tools.bookmarks import bookmark_name, open_bookmark
from infra.log_tools.errors import BadBookmark

SELECTION = {"topics": ["events.videos"]}
PLACE = TopicPartition("events.videos", 3)


def test_a_bookmark_remembers_positions(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "export.json"
    bookmark = open_bookmark(path, SELECTION)
    assert bookmark.positions == {}
    bookmark.positions[PLACE] = 7
    bookmark.save()
    assert open_bookmark(path, SELECTION).positions == {PLACE: 7}
    assert [each.name for each in path.parent.iterdir()] == ["export.json"]


def test_a_bookmark_belongs_to_a_selection(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    open_bookmark(path, SELECTION).save()
    with pytest.raises(BadBookmark, match="another selection"):
        open_bookmark(path, {"topics": []})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 1, "selection": {"topics": ["events.videos"]}, "positions": {"a": 1}}',
        '{"format": 2, "selection": {"topics": ["events.videos"]}, "positions": {}}',
    ],
)
def test_what_is_no_bookmark_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(content)
    with pytest.raises(BadBookmark):
        open_bookmark(path, SELECTION)


@pytest.mark.parametrize("text", ["", "../up", "a/b", "A", ".hidden", "x" * 65])
def test_names_cannot_leave_the_folder(text: str) -> None:
    with pytest.raises(BadBookmark):
        bookmark_name(text)
    assert bookmark_name("nightly-2") == "nightly-2"
