"""Private folders, file locks between writers, and safe reading of files.

Owns the permissions of the program's files and folders, the lock that writers take (threads and processes alike) with
the test of it, and the check of a file before it is read. Writing is in `cache.atomic`. An OSError is passed to the
caller, who explains it to the person (`cache.errors.remedy` says what can be done about one).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER, FILE = 0o700, 0o600
"""Permissions of the program's folders and files: prompts, answers and verdicts are private."""
TURN = 30.0
"""Seconds to wait for the lock before a short write: each write takes milliseconds, so dozens fit."""


LOOKING = ".looking.lock"
"""Held while somebody tests the locks of a folder (`is_held`)."""


class Taken(Exception):
    """Another writer still holds the lock after the given time."""


def own_folder(path: Path) -> Path:
    """`path`, created if it is missing, with its missing parents, each readable by its owner alone. Raises OSError.

    A folder that exists keeps its permissions: its owner may share it on purpose.
    """
    missing = []
    ancestor = path
    while not ancestor.exists() and ancestor != ancestor.parent:
        missing.append(ancestor)
        ancestor = ancestor.parent
    for folder in reversed(missing):
        # Another program may create it at the same moment. If a file has that name, `mkdir` below raises the error.
        folder.mkdir(FOLDER, exist_ok=True)
    if not path.is_dir():
        path.mkdir(FOLDER)
    return path


@contextmanager
def turn(path: Path, seconds: float = TURN) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, after waiting for it `seconds` at most.

    Its folder must exist. Raises Taken if another writer still holds it, OSError if it cannot be created.
    """
    lock = FileLock(path, timeout=seconds, mode=FILE, poll_interval=0.02)
    try:
        lock.acquire()
    except Timeout as error:
        raise Taken(str(path)) from error
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock file `path`. Raises OSError.

    A test must take the lock for a moment. Two tests at once would each take the other for a holder, so they wait for
    each other.
    """
    try:
        with turn(path.with_name(LOOKING)), turn(path, 0):
            return False
    except Taken:
        return True


def content(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError, also for a pipe or a device, which could be read for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def signature(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written: (time of change in ns, size in bytes, inode number). Raises OSError."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def written(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 if it is missing or not a regular file."""
    try:
        status = path.stat()
    except OSError:
        return 0.0
    return status.st_mtime if stat.S_ISREG(status.st_mode) else 0.0
