"""Atomic writing: how every file and folder of the program is put on disk.

Owns the temporary name, the order of the steps and `os.replace`, which no other module calls. Files that grow in
place are protected in other ways: journals (`cache.journal`) drop a torn last line, arrays that are filled in blocks
(`cache.arrays`) have a checksum for each block. An OSError is passed to the caller, who explains it to the person
(`cache.errors.remedy`).

The steps are: create a temporary file beside the target, write it, fsync it, rename it onto the target, fsync the
folder. The choices, and what they cost:

- Each writer has a temporary name of its own, in the same folder: a rename across disks is a copy, which can be torn.
  So several writers of one file need no lock, and the last one to finish wins. The folder must be writable, and holds
  old and new together for a moment: a file of 1 GB needs 1 GB more.
- The file is fsynced before the rename. Otherwise a power cut could leave the new name with no bytes behind it, and
  a disk that reports only then that it is full would replace the old file by an empty one. It costs 5 to 8 ms for a
  small file on a virtual ext4 disk, the disk's own speed for a large one, and 0.1 s and more while others write. That
  is nothing compared with one token of a model, and too much for thousands of files in a loop. (`folder` pays it for
  each file too; so features that are exported for others are written without it, their list of ids last.)
- The folder is fsynced after the rename, so that the new name survives a power cut. Systems that cannot do it
  (Windows, some network disks) are accepted: the file is complete all the same, but may be the old or the new one.
- On a full disk, a missing permission, an exception or Ctrl+C inside the block the temporary file is removed, and the
  target stays as it was. A kill leaves the temporary file; the next writer of the same target removes it once it is
  older than `STALE`.
- Only the owner may read and write the result, whatever the umask and the permissions of the replaced file. At places
  that a person named, the umask decides (`OPEN`, `OPEN_FOLDER`). Owner, hard links and extended attributes of the
  replaced file are lost. A symbolic link at the target is replaced, not followed; only `export` follows it.
- A folder cannot be renamed onto one that is not empty: the old one is renamed first. A kill between the two renames
  leaves the old folder under a temporary name, and nothing at the target.
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
"""Permissions before the umask is applied: for files that a person asked to have written at a place of their choice."""
STALE = 3600.0
"""Seconds after which a half-written file is taken to be of a program that was killed."""
PART = ".part"
_RANDOM_PART = "[0-9a-f]" * 12
"""Glob pattern of the random part of a temporary name, so that no file of another program is removed."""
LONGEST = 200
"""Bytes of the target's name that its temporary name repeats: file systems allow 255 in all."""


@contextmanager
def path(target: Path, mode: int = FILE) -> Iterator[Path]:
    """A temporary path to write: renamed to `target` after the block, removed if the block fails. Raises OSError.

    For writers that need a path (Parquet, mapped arrays, copies); others use `stream`, `write_bytes`, `write_text`.
    """
    _remove_abandoned(target, STALE)
    part = _temporary_path(target)
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
    """A stream whose bytes become `target` after the block; if the block fails, nothing changes. Raises OSError."""
    with path(target, mode) as part, part.open("wb") as file:
        yield file


def write_bytes(target: Path, payload: bytes, mode: int = FILE) -> None:
    """Write `payload` to `target`. Raises OSError."""
    with stream(target, mode) as file:
        file.write(payload)


def write_text(target: Path, text: str, mode: int = FILE) -> None:
    """Write `text` to `target` as UTF-8, line ends unchanged.

    Raises OSError, and UnicodeEncodeError for an unpaired surrogate before anything is written.
    """
    write_bytes(target, text.encode(), mode)


def export(target: Path, payload: bytes) -> None:
    """Write a file at a place that a person named. A symbolic link is followed; a pipe or a device is written directly.

    Raises OSError.
    """
    resolved = target.resolve()
    if resolved.exists() and not resolved.is_file():
        with resolved.open("wb") as file:
            file.write(payload)
    else:
        write_bytes(resolved, payload, OPEN)


@contextmanager
def folder(target: Path, mode: int = FOLDER, stale: float = STALE) -> Iterator[Path]:
    """A new folder to fill: renamed to `target` after the block, removed if the block fails. Raises OSError.

    Args:
        stale: seconds after which half-written folders of the same target are removed; 0 if the caller holds a lock,
            so that no other writer can be at work.
    """
    _remove_abandoned(target, stale)
    part = _temporary_path(target)
    try:
        part.mkdir(mode)
        yield part
        for entry in part.rglob("*"):
            if entry.is_file():
                _sync_file(entry)
            else:
                sync_folder(entry)
        sync_folder(part)
        _replace_folder(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(target.parent)


def aside(target: Path) -> Path:
    """Rename a file or folder that is to be deleted, and return its new path.

    So it disappears from its place in one step, even if deleting it is interrupted. Raises OSError.
    """
    renamed = target.with_name(f".deleted-{secrets.token_hex(6)}")
    os.replace(target, renamed)
    return renamed


def is_unfinished(name: str) -> bool:
    """Whether this is the name of a file or folder that a writer has not finished."""
    return name.startswith(".") and name.endswith(PART)


def sync_folder(place: Path) -> None:
    """Flush the names in a folder to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file(place: Path) -> None:
    with place.open("rb+") as file:
        os.fsync(file.fileno())


def _replace_folder(part: Path, target: Path) -> None:
    if not target.exists():
        os.replace(part, target)
        return
    old = aside(target)
    try:
        os.replace(part, target)
    except BaseException:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _temporary_prefix(target: Path) -> str:
    """The beginning of every temporary name of `target`."""
    return f".{os.fsdecode(os.fsencode(target.name)[:LONGEST])}."


def _temporary_path(target: Path) -> Path:
    return target.with_name(f"{_temporary_prefix(target)}{secrets.token_hex(6)}{PART}")


def _remove_abandoned(target: Path, stale: float) -> None:
    """Remove temporary files of the same target that killed programs left behind."""
    oldest = time.time() - stale
    with suppress(OSError):
        for abandoned in target.parent.glob(f"{escape(_temporary_prefix(target))}{_RANDOM_PART}{PART}"):
            with suppress(OSError):
                if abandoned.stat().st_mtime <= oldest:
                    shutil.rmtree(abandoned) if abandoned.is_dir() else abandoned.unlink()
