"""A journal keeps whole records through a kill at any byte, and lets one writer in at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.errors import JournalDamaged, StoreFull, StoreProblem, StoreUnwritable
from cache.journal import Journal

RECORDS: list[dict[str, Any]] = [{"id": 1, "text": "a\nb\u2028c"}, {"id": 2, "text": "\u00e9\U0001f600"}, {"id": 3}]


def test_what_was_added_is_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run" / "a.jsonl")
    assert journal.read() == []
    with journal.writing():
        journal.append(RECORDS[:2])
        journal.append(RECORDS[2:])
    assert journal.read() == RECORDS


@given(cut=st.integers(0, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_at_any_byte_loses_at_most_the_record_it_met(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    with journal.writing():
        journal.append(RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert journal.read() == RECORDS[:kept]
    with journal.writing():
        journal.append(RECORDS[kept:])
    assert path.read_bytes() == whole


def test_a_second_writer_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path).writing(), pytest.raises(StoreProblem, match="being worked on"), Journal(path).writing():
        pass
    with Journal(path).writing():
        Journal(path).append(RECORDS[:1])
    assert Journal(path).read() == RECORDS[:1]


@pytest.mark.parametrize("line", [b"{broken\n", b"[1]\n", b"\xff\n"])
def test_a_damaged_line_is_told_with_its_number(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": 1}\n' + line)
    with pytest.raises(JournalDamaged, match=rf"{tmp_path.name}/a.jsonl is damaged: line 2"):
        Journal(path).read()


def test_a_folder_that_cannot_be_written_is_a_problem_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the place of a folder")
    with pytest.raises(StoreUnwritable, match="cannot be written to"), Journal(tmp_path / "file" / "a.jsonl").writing():
        pass
    journal = Journal(tmp_path / "a.jsonl")
    with journal.writing():
        journal.append(RECORDS)

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock._acquire", refused)
    with pytest.raises(StoreUnwritable, match="Read-only file system"), journal.writing():
        pass
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreUnwritable, match="Read-only file system"):
        journal.append(RECORDS)
    with pytest.raises(StoreUnwritable, match="Read-only file system"):
        Journal(tmp_path / "new.jsonl").append(RECORDS)
    monkeypatch.undo()
    assert journal.read() == RECORDS


def test_a_failure_of_the_writer_itself_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), Journal(tmp_path / "a.jsonl").writing():
        raise OSError("mine")
    with Journal(tmp_path / "a.jsonl").writing():
        """The lock is free again."""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    with journal.writing():
        journal.append(RECORDS[:1])

        def full(descriptor: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreFull):
            journal.append(RECORDS[1:])
        monkeypatch.undo()
        assert journal.read() == RECORDS[:1]
        journal.append(RECORDS[1:])
    assert journal.read() == RECORDS


@pytest.mark.parametrize("line", ["[" * 200_000, '{"text": "\\ud800"}', '{"text": "\\uD800"}'])
def test_a_line_that_nobody_can_read_or_pass_on_is_named(line: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run" / "greedy.jsonl")
    with journal.writing():
        journal.append([{"text": "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")}])
    with journal.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(JournalDamaged, match="line 2"):
        journal.read()
