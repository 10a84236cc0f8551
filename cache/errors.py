"""The base class of every expected error, and the errors of storing bytes on disk.

Owns the three parts in which every error of the program is described, and the exceptions of this layer. It knows
nothing of the layers above, which derive their own classes from this base (`backend.errors`). A damaged entry is no
error: it counts as missing (see `Store.get`).
"""

from __future__ import annotations

import errno
from pathlib import Path

_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class ExpectedError(Exception):
    """A failure that is described to a person in three parts.

    Args:
        what: what is wrong, as a clause without a full stop.
        why: the reason, with the figures that matter.
        instead: what the person can do now.
    """

    def __init__(self, what: str, why: str, instead: str) -> None:
        self.what, self.why, self.instead = what, why, instead
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """One sentence: what, why, what instead."""
        return f"{self.what}: {self.why}; {self.instead}."


class StoreProblem(ExpectedError):
    """An expected failure of the store."""


class BadKey(StoreProblem):
    """A key that is not 64 lowercase hexadecimal characters."""


class BadMeta(StoreProblem):
    """A description that JSON cannot represent exactly, or that is too long."""


class PathEscapes(StoreProblem):
    """A name that leads out of the folder it must stay in."""


class PayloadTooLarge(StoreProblem):
    """A payload that is larger than the limit of the whole store."""


class StoreFull(StoreProblem):
    """No space, or no quota, is left on the disk."""


class StoreUnwritable(StoreProblem):
    """The folder cannot be written to: permission, read-only disk, a file in its place."""


class StoreUnreadable(StoreProblem):
    """An entry exists, but the operating system does not let it be read."""


class JournalDamaged(StoreProblem):
    """A line of a journal is not a record."""


def cause(problem: OSError) -> str:
    """Why the system refused, in its own words."""
    return problem.strerror or str(problem)


def remedy(problem: OSError) -> str:
    """What a person can do about a file that could not be written."""
    if problem.errno in _NO_SPACE:
        return "free some space"
    if problem.errno in _RIGHTS:
        return "make the folder writable, or let HNEURONS_HOME name another one"
    return "look at that folder, or let HNEURONS_HOME name another one"


def not_written(problem: OSError, path: Path) -> StoreProblem:
    """The `StoreFull` or `StoreUnwritable` for an OSError that was raised while `path` was written."""
    reason = cause(problem)
    if problem.errno in _NO_SPACE:
        return StoreFull(
            "The result could not be kept",
            f"the disk that holds {path.parent} is full ({reason})",
            "free some space, or let HNEURONS_HOME name a folder on another disk",
        )
    return StoreUnwritable(
        "The result could not be kept",
        f"{path.parent} cannot be written to ({reason})",
        "make the folder writable, or let HNEURONS_HOME name another one",
    )


def not_read(problem: OSError, path: Path) -> StoreUnreadable:
    """The `StoreUnreadable` for an OSError that was raised while `path` was read."""
    return StoreUnreadable(
        "A kept result could not be read",
        f"{path} cannot be opened ({cause(problem)})",
        "make the file readable, or delete it to have it computed again",
    )
