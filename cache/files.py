"""Folders for their owner's eyes alone, one writer after another, and files read with care.

Owns the rights of what is made here, the turn that writers take, threads and processes alike, and what is asked of a
file before it is trusted. How a file is written is `cache.atomic`'s. Refuses to say what a failure means to the
person: an OSError is the caller's (`cache.errors.remedy` has what can be done about one).
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
"""Rights of what is made here: prompts, answers and verdicts are nobody else's business."""
TURN = 30.0
"""Seconds that a short piece of writing waits for its turn: each takes milliseconds, so dozens fit."""


class Taken(Exception):
    """Another writer has not let go within the time that was given."""


def own_folder(path: Path) -> Path:
    """`path`, made where it is not there, its missing parents too, each for its owner alone. Raises OSError.

    A folder that is there keeps its rights: whoever shares one has said so.
    """
    missing = []
    here = path
    while not here.exists() and here != here.parent:
        missing.append(here)
        here = here.parent
    for folder in reversed(missing):
        # Another program may make it in the same moment; a file in its place is an error, told by `mkdir`.
        folder.mkdir(FOLDER, exist_ok=True)
    if not path.is_dir():
        path.mkdir(FOLDER)
    return path


@contextmanager
def turn(path: Path, seconds: float = TURN) -> Iterator[None]:
    """Be the only one who holds the lock file `path` while the block runs; waits for it `seconds` at most.

    Its folder must be there. Raises Taken where another one still has it, OSError where it cannot be made.
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


def content(path: Path) -> bytes:
    """What a regular file holds. Raises OSError, also for a pipe or a device in its place: reading may never end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def signature(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written: its time of change in ns, its size, its number. Raises OSError."""
    held = path.stat()
    return held.st_mtime_ns, held.st_size, held.st_ino


def written(path: Path) -> float:
    """When a file was written, in seconds since 1970; 0 for what is none, or no longer there."""
    try:
        held = path.stat()
    except OSError:
        return 0.0
    return held.st_mtime if stat.S_ISREG(held.st_mode) else 0.0
