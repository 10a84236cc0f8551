"""The one way in which a file or a folder of the program's own comes to be on disk: whole, or not at all.

Owns the temporary name, the order of the steps and `os.replace`, which stands in no other module. What grows in place
is not written so and is guarded otherwise: journals (`cache.journal`, a torn last line is dropped) and arrays that are
filled in blocks (`cache.arrays`, with a checksum a block). Refuses to say what a failure means to a person: an OSError
is the caller's (`cache.errors.remedy`).

The steps are: make a temporary one beside the target, write, fsync it, rename it onto the target, fsync the folder.
What was chosen, and what it costs:

- The temporary name is the writer's own and lies in the same folder: a rename across disks is a copy, which can be
  torn. So many writers of one file need no lock, and the last one that is done stands. The folder must be writable,
  and holds old and new together for a moment: a file of 1 GB needs 1 GB more.
- The file's fsync comes before the rename. Without it a power cut can leave the new name with no bytes behind it, and
  a disk that is only found to be full when the bytes reach it would lose the old file for an empty one. It costs 5 to
  8 ms for a small file on a virtual ext4 disk, the disk's own speed for a large one, and 0.1 s and more while others
  write: nothing beside a token of a model, too much for thousands of files in a loop (`folder` pays once a file as
  well; the features that are exported for others are therefore written plainly, their list of ids last).
- The folder's fsync comes behind the rename and makes the new name outlast a power cut. Systems that cannot do it
  (Windows, some network disks) are let pass: the file is whole all the same, only which of the two it is stays open.
- A full disk, a refused right, an exception or Ctrl+C inside the block: the temporary one goes, the target is as it
  was. A kill leaves the temporary one, which the next writer of the same target sweeps once it is `STALE`.
- Rights are for the owner alone, whatever the mask and whatever the file that is replaced had. Places that a person
  named follow the mask (`OPEN`, `OPEN_FOLDER`). Another owner, hard links and extended attributes of the file that is
  replaced are lost; a link in the target's place is replaced and not followed, but by `export`.
- A folder cannot be renamed onto one that holds something: the old one steps aside first. A kill in between leaves
  neither name, and the old one under a temporary one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

from cache.files import FILE, FOLDER

OPEN, OPEN_FOLDER = 0o666, 0o777
"""Rights that the mask of the process is taken from: for what a person asked to have written somewhere."""
STALE = 3600.0
"""Seconds after which what is half written belongs to a program that was killed."""
PART = ".part"
_ANY = "[0-9a-f]" * 12
"""What stands in the middle of a temporary name, as a pattern: nobody else's file is swept."""
LONGEST = 200
"""Bytes of a target's name that its temporary name repeats: a system allows 255 in all."""


@contextmanager
def path(target: Path, mode: int = FILE) -> Iterator[Path]:
    """The place to write `target` to: moved there behind the block, and gone where the block failed. Raises OSError.

    For writers that want a path (Parquet, mapped arrays, copies); others have `stream`, `write_bytes`, `write_text`.
    """
    _sweep(target, STALE)
    part = _beside(target)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield part
        _sync_file(part)
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


@contextmanager
def stream(target: Path, mode: int = FILE) -> Iterator[BinaryIO]:
    """A stream whose bytes become `target` behind the block, and nothing where the block failed. Raises OSError."""
    with path(target, mode) as part, part.open("wb") as file:
        yield file


def write_bytes(target: Path, payload: bytes, mode: int = FILE) -> None:
    """`target` with this content. Raises OSError."""
    with stream(target, mode) as file:
        file.write(payload)


def write_text(target: Path, text: str, mode: int = FILE) -> None:
    """`target` with this text as UTF-8, line ends as they are. Raises OSError, UnicodeEncodeError for half a
    character, before anything is written."""
    write_bytes(target, text.encode(), mode)


def export(target: Path, payload: bytes) -> None:
    """A file at the place that a person named: a link is followed, and a pipe or a device takes the bytes as they
    come. Raises OSError."""
    place = target.resolve()
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            file.write(payload)
    else:
        write_bytes(place, payload, OPEN)


@contextmanager
def folder(target: Path, mode: int = FOLDER, stale: float = STALE) -> Iterator[Path]:
    """A new folder to fill: moved to `target` behind the block, and gone where the block failed. Raises OSError.

    Args:
        stale: seconds after which what others left half written of the same target is swept; 0 where the caller
            holds a lock and there are no others.
    """
    _sweep(target, stale)
    part = _beside(target)
    try:
        part.mkdir(mode)
        yield part
        for held in part.rglob("*"):
            if held.is_file():
                _sync_file(held)
            else:
                sync_folder(held)
        sync_folder(part)
        _exchange(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(target.parent)


def aside(target: Path) -> Path:
    """The other name that a file or folder has from now on: what is to be deleted is gone at once and whole, whatever
    ends the deleting. Raises OSError."""
    gone = target.with_name(f".deleted-{secrets.token_hex(6)}")
    os.replace(target, gone)
    return gone


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name is what a writer has not finished."""
    return name.startswith(".") and name.endswith(PART)


def sync_folder(place: Path) -> None:
    """See names in a folder to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file(place: Path) -> None:
    with place.open("rb+") as file:
        os.fsync(file.fileno())


def _exchange(part: Path, target: Path) -> None:
    if not target.exists():
        os.replace(part, target)
        return
    gone = aside(target)
    try:
        os.replace(part, target)
    except BaseException:
        os.replace(gone, target)
        raise
    shutil.rmtree(gone, ignore_errors=True)


def _beginning(target: Path) -> str:
    """What every temporary name of `target` begins with."""
    return f".{os.fsdecode(os.fsencode(target.name)[:LONGEST])}."


def _beside(target: Path) -> Path:
    return target.with_name(f"{_beginning(target)}{secrets.token_hex(6)}{PART}")


def _sweep(target: Path, stale: float) -> None:
    """Drop what programs that were killed left of the same target."""
    oldest = time.time() - stale
    with suppress(OSError):
        for left in target.parent.glob(f"{escape(_beginning(target))}{_ANY}{PART}"):
            with suppress(OSError):
                if left.stat().st_mtime <= oldest:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
