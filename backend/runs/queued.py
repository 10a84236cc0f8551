"""Runs that wait for their turn and have written nothing yet, kept so that the end of the program loses none.

Owns the folder `queued` of the data folder: a request a file, with the model that it was meant for, from when it is
asked for until its run has a folder of its own, or a person takes it back. Refuses to decide who is next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from backend.types import Frozen, IdentifyRequest, ModelInfo
from cache import atomic
from cache.errors import remedy
from cache.files import FILE, Taken, content, own_folder, turn, written
from cache.paths import home

log = logging.getLogger(__name__)

LOOKING = ".looking.lock"
"""Held by whoever sees which requests are kept: one who looks must not be taken for a program that keeps them."""
TRIES = 3
"""A request that ends its program each time is taken up so often by itself."""


class Queued(Frozen):
    """A request that waits. `fingerprint` is that of its model, '' where it was not loaded yet; `tries` counts how
    often it was taken up by itself."""

    request: IdentifyRequest
    model: str
    fingerprint: str = ""
    tries: int = 0

    def is_for(self, info: ModelInfo) -> bool:
        """Whether it waits for this model."""
        if self.fingerprint:
            return self.fingerprint == info.fingerprint
        # As it was asked for: a directory and a file go by their own names once they are loaded.
        return info.name in (self.model, Path(self.model).name, Path(self.model).stem)


class Queue:
    """The requests that one program keeps. What a living program keeps is no other one's."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[FileLock, int]] = {}

    def keep(self, one: Queued) -> bool:
        """Keep a request until `drop`; whether it is this program's: another one may keep one of the same name.

        Where nothing can be written it is done all the same, and only lost with the program.
        """
        name = one.request.name
        lock, count = self._held.get(name, (None, 0))
        try:
            own_folder(folder())
            if lock is None:
                lock = FileLock(folder() / f"{name}.lock", timeout=0, mode=FILE, thread_local=False)
                with turn(folder() / LOOKING):
                    lock.acquire()
            self._held[name] = (lock, count + 1)
            atomic.write_text(_file(name), one.model_dump_json())
        except (Timeout, Taken):
            return False
        except OSError as error:
            log.warning("The run %s is not kept until its turn: %s; %s.", name, error, remedy(error))
        return True

    def drop(self, name: str) -> None:
        """Keep a request no longer."""
        lock, count = self._held.pop(name, (None, 0))
        if lock is not None and count > 1:
            self._held[name] = (lock, count - 1)
        elif lock is not None:
            with suppress(OSError):
                Path(lock.lock_file).with_suffix(".json").unlink(missing_ok=True)
            lock.release()

    def close(self) -> None:
        """The program ends: who comes next may take up what still waits."""
        for lock, _ in self._held.values():
            lock.release()
        self._held.clear()


def folder() -> Path:
    """Where requests wait."""
    return home() / "queued"


def _file(name: str) -> Path:
    return folder() / f"{name}.json"


def begun(name: str) -> None:
    """The run of that name has a folder of its own now, which keeps it from here on."""
    with suppress(OSError):
        _file(name).unlink(missing_ok=True)


def left() -> Iterator[tuple[Path, Queued]]:
    """What programs that have ended were asked for and did not begin, the first asked first. What cannot be read is
    named in the log."""
    found = sorted((written(path), path) for path in folder().glob("*.json") if path.name[0] != ".")
    if not found:
        return
    try:
        with turn(folder() / LOOKING):
            read = [(path, _left(path)) for _, path in found]
    except (OSError, Taken) as error:
        log.warning("What waits for its turn cannot be looked at: %s", error)
        return
    yield from ((path, one) for path, one in read if one is not None and one.request.name == path.stem)


def _left(path: Path) -> Queued | None:
    """The request in a file, unless a living program keeps it."""
    try:
        with turn(path.with_suffix(".lock"), 0):
            return Queued.model_validate_json(content(path))
    except (Taken, FileNotFoundError):
        return None
    except (OSError, ValidationError) as error:
        log.warning("The run %s, which waited for its turn, cannot be read: %s", path.stem, error)
        return None


def leave(name: str) -> bool:
    """A person pressed Stop while the request of that name waited for its model, kept by no living program: it stays
    with its questions, and is not taken up by itself. Whether there is one. Raises OSError."""
    path, one = _file(name), waiting(name)
    if one is None:
        return False
    try:
        with turn(folder() / LOOKING), turn(path.with_suffix(".lock"), 0):
            # It may have begun meanwhile.
            if path.exists():
                atomic.write_text(path, one.model_copy(update={"tries": TRIES}).model_dump_json())
                return True
    except Taken:
        pass
    return False


def is_kept(name: str) -> bool:
    """Whether a living program keeps a request of that name until its turn. Raises OSError."""
    path = _file(name)
    if not path.exists():
        return False
    try:
        with turn(folder() / LOOKING), turn(path.with_suffix(".lock"), 0):
            return False
    except Taken:
        return True


def waiting(name: str) -> Queued | None:
    """The request of that name that no living program keeps."""
    return next((one for _, one in left() if one.request.name == name), None)
