"""A file is there whole, or as it was before, and nothing is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.files import whole


def test_what_was_written_stands_under_its_name_alone(tmp_path: Path) -> None:
    with whole(tmp_path / "a.json") as part:
        part.write_text("new")
        assert not (tmp_path / "a.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and (tmp_path / "a.json").read_text() == "new"


def test_a_writing_that_fails_leaves_what_was_there_and_no_part_of_itself(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(OSError, match="No space"), whole(tmp_path / "a.json") as part:
        part.write_text("ne")
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and (tmp_path / "a.json").read_text() == "old"
