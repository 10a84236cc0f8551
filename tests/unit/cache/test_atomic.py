"""What is written is there whole or not at all, and reaches the disk in an order that a power cut cannot turn round."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cache import atomic
from tests.places import REPOSITORY

OLD, NEW = b"old " * 5_000, b"new " * 5_000


def by_path(target: Path, payload: bytes) -> None:
    with atomic.path(target) as part:
        part.write_bytes(payload)


def by_stream(target: Path, payload: bytes) -> None:
    with atomic.stream(target) as file:
        file.write(payload)


def by_text(target: Path, payload: bytes) -> None:
    atomic.write_text(target, payload.decode())


Writer = Callable[[Path, bytes], None]
WRITERS = [by_path, by_stream, by_text, atomic.write_bytes, atomic.export]
each_writer = pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@each_writer
def test_each_way_to_write_replaces_the_whole_file(tmp_path: Path, write: Writer) -> None:
    write(tmp_path / "a", OLD)
    write(tmp_path / "a", NEW[:10])
    assert (tmp_path / "a").read_bytes() == NEW[:10]
    assert names(tmp_path) == ["a"]


def test_nothing_is_under_the_name_before_it_is_whole(tmp_path: Path) -> None:
    with atomic.path(tmp_path / "a") as part, atomic.folder(tmp_path / "b") as filled:
        part.write_bytes(NEW)
        assert filled.is_dir() and not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    assert names(tmp_path) == ["a", "b"]


@each_writer
@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_disk_that_is_full_at_any_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, write: Writer, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", OLD)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == OLD
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_found_full_while_writing_is_told_before_the_old_file_is_touched(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "a", OLD)
    with pytest.raises(OSError) as refused, atomic.path(tmp_path / "a") as part:
        part.unlink()
        part.symlink_to("/dev/full")
        part.write_bytes(NEW)
    assert refused.value.errno == errno.ENOSPC
    assert (tmp_path / "a").read_bytes() == OLD and names(tmp_path) == ["a"]


def test_the_bytes_are_on_disk_before_the_name_and_the_name_before_the_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def replaced(*names: Any) -> None:
        steps.append("name")
        replace(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    atomic.write_bytes(tmp_path / "a", NEW)
    assert steps == ["file", "name", "folder"]
    steps.clear()
    with atomic.folder(tmp_path / "b") as part:
        (part / "inner").mkdir()
        (part / "inner" / "x").write_bytes(NEW)
    assert sorted(steps[:-2]) == ["file", "folder", "folder"] and steps[-2:] == ["name", "folder"]


def test_a_system_that_cannot_sync_folders_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def refused(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refused)
    atomic.write_bytes(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt])
def test_whatever_ends_the_block_the_target_is_as_it_was(tmp_path: Path, raised: type[BaseException]) -> None:
    atomic.write_bytes(tmp_path / "a", OLD)
    with pytest.raises(raised), atomic.stream(tmp_path / "a") as file:
        file.write(NEW)
        raise raised
    with pytest.raises(raised), atomic.folder(tmp_path / "b") as part:
        (part / "x").write_bytes(NEW)
        raise raised
    assert (tmp_path / "a").read_bytes() == OLD
    assert names(tmp_path) == ["a"]


def test_half_a_character_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        atomic.write_text(tmp_path / "a", "\ud800")
    assert names(tmp_path) == []


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a", "ä\r\nb\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa4\r\nb\n"


def test_rights_are_the_owners_alone_and_follow_the_mask_where_a_person_named_the_place(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "own", NEW)
        (tmp_path / "own").chmod(0o644)
        atomic.write_bytes(tmp_path / "own", NEW)
        atomic.export(tmp_path / "named", NEW)
        for name, mode in (("own folder", 0o700), ("named folder", atomic.OPEN_FOLDER)):
            with atomic.folder(tmp_path / name, mode):
                pass
    finally:
        os.umask(before)
    told = {path.name: oct(rights(path)) for path in tmp_path.iterdir()}
    assert told == {"own": "0o600", "named": "0o640", "own folder": "0o700", "named folder": "0o750"}


def test_a_link_is_replaced_and_a_person_s_is_followed(tmp_path: Path) -> None:
    for name in ("own", "named"):
        (tmp_path / f"{name} target").write_bytes(OLD)
        (tmp_path / name).symlink_to(tmp_path / f"{name} target")
    atomic.write_bytes(tmp_path / "own", NEW)
    atomic.export(tmp_path / "named", NEW)
    assert not (tmp_path / "own").is_symlink() and (tmp_path / "own target").read_bytes() == OLD
    assert (tmp_path / "named").is_symlink() and (tmp_path / "named target").read_bytes() == NEW


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_person_may_name_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    atomic.export(tmp_path / "pipe", NEW)
    reader.join(10)
    assert read == [NEW] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["n" * 250, "ä" * 120, "字" * 80])
def test_a_name_as_long_as_a_system_allows_can_be_written(tmp_path: Path, name: str) -> None:
    atomic.write_bytes(tmp_path / name, NEW)
    assert names(tmp_path) == [name]


def test_what_a_killed_program_left_half_written_is_swept_and_what_another_writes_now_is_not(tmp_path: Path) -> None:
    old, folder, new = (tmp_path / f".a[1].{letter * 12}.part" for letter in "0ab")
    other, foreign = tmp_path / f".b.{'0' * 12}.part", tmp_path / ".a[1].mine.part"
    for path in (old, new, other, foreign):
        path.write_text("half")
    folder.mkdir()
    past = time.time() - atomic.STALE - 60
    for path in (old, other, folder, foreign):
        os.utime(path, (past, past))
    atomic.write_text(tmp_path / "a[1]", "1")
    assert names(tmp_path) == sorted([new.name, other.name, foreign.name, "a[1]"])
    assert atomic.is_unfinished(new.name) and not atomic.is_unfinished("a[1]")


def test_a_folder_takes_the_place_of_the_old_one_with_none_of_its_files(tmp_path: Path) -> None:
    for number in (1, 2):
        with atomic.folder(tmp_path / "a") as part:
            (part / f"{number}").write_text("x")
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["2"]


def test_a_folder_that_cannot_be_moved_into_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.folder(tmp_path / "a") as part:
        (part / "1").write_text("x")
    replace = os.replace

    def refused(source: Path, target: Path) -> None:
        if Path(source).suffix == atomic.PART:
            raise OSError(errno.EACCES, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="Permission denied"), atomic.folder(tmp_path / "a") as part:
        (part / "2").write_text("x")
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["1"]


def test_who_holds_a_lock_sweeps_a_half_filled_folder_at_once(tmp_path: Path) -> None:
    left = tmp_path / f".a.{'0' * 12}.part"
    left.mkdir()
    (left / "weights").write_bytes(OLD)
    with atomic.folder(tmp_path / "a", stale=0):
        pass
    assert names(tmp_path) == ["a"]


KILLED = """
import os, sys
from pathlib import Path
from cache import atomic
os.replace = lambda *_: os._exit(9)
atomic.write_bytes(Path(sys.argv[1]), b"new")
"""


def test_a_program_killed_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "a", OLD)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "a")], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert killed.returncode == 9, killed.stderr.decode()
    assert (tmp_path / "a").read_bytes() == OLD
    assert len(names(tmp_path)) == 2 and atomic.is_unfinished(min(names(tmp_path)))
