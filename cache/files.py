"""Files that are there whole or not at all, one writer after another, and for their owner's eyes alone.

Owns how anything of the program's own comes to disk: the folder, the name that a file has until it is whole, and the
turn that writers take, threads and processes alike. Refuses to say what a failure means to the person: an OSError is
the caller's (`cache.errors.remedy` has what can be done about one).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER, FILE = 0o700, 0o600
"""Rights of what is made here: prompts, answers and verdicts are nobody else's business."""
TURN = 30.0
"""Seconds that a short piece of writing waits for its turn: each takes milliseconds, so dozens fit."""
STALE = 3600.0
"""Seconds after which a half-written file belongs to a program that was killed."""
PART = ".part"


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
def whole(path: Path) -> Iterator[Path]:
    """The place to write `path` to: moved there behind the block, and gone where the block failed. Raises OSError.

    The place is this writer's own, whoever else writes `path` at the same time: the last one that is done stands.
    Only its owner may read it.
    """
    _sweep(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PART}")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


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


def _sweep(path: Path) -> None:
    """Drop what programs that were killed left of the same file."""
    oldest = time.time() - STALE
    with suppress(OSError):
        for left in path.parent.glob(f".{escape(path.name)}.*{PART}"):
            with suppress(OSError):
                if left.stat().st_mtime < oldest:
                    left.unlink()
