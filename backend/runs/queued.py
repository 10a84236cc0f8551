"""Requested runs that wait for their turn, kept on disk so that none is lost when the program ends.

Owns the folder `queued` of the data folder: one file for each request, with the model that it is for, from when it is
asked for until its run has a folder of its own, or a person cancels it. Does not decide which request is next.
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
from cache.files import FILE, LOOKING, Taken, content, is_held, own_folder, turn, written
from cache.paths import home

log = logging.getLogger(__name__)

TRIES = 3
"""A request that crashes the program each time is begun automatically at most so often."""


class Queued(Frozen):
    """A request that waits. `fingerprint` is that of its model, '' where it was not loaded yet; `tries` counts how
    often it was begun automatically."""

    request: IdentifyRequest
    model: str
    fingerprint: str = ""
    tries: int = 0

    def is_for(self, info: ModelInfo) -> bool:
        """Whether it waits for this model."""
        if self.fingerprint:
            return self.fingerprint == info.fingerprint
        # `model` is what the person typed; a model from a directory or a file is named after it once it is loaded.
        return info.name in (self.model, Path(self.model).name, Path(self.model).stem)


class Queue:
    """The requests that this program keeps: no other program begins them while it runs."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[FileLock, int]] = {}

    def keep(self, entry: Queued) -> bool:
        """Keep a request until `drop`. False where another program keeps a request of the same name.

        Where nothing can be written the request still runs, but is lost when the program ends.
        """
        name = entry.request.name
        lock, count = self._locks.get(name, (None, 0))
        try:
            own_folder(folder())
            if lock is None:
                lock = FileLock(folder() / f"{name}.lock", timeout=0, mode=FILE, thread_local=False)
                with turn(folder() / LOOKING):
                    lock.acquire()
            self._locks[name] = (lock, count + 1)
            atomic.write_text(_file(name), entry.model_dump_json())
        except (Timeout, Taken):
            return False
        except OSError as error:
            log.warning("The run %s is not kept until its turn: %s; %s.", name, error, remedy(error))
        return True

    def drop(self, name: str) -> None:
        """Stop keeping a request."""
        lock, count = self._locks.pop(name, (None, 0))
        if lock is not None and count > 1:
            self._locks[name] = (lock, count - 1)
        elif lock is not None:
            with suppress(OSError):
                Path(lock.lock_file).with_suffix(".json").unlink(missing_ok=True)
            lock.release()

    def close(self) -> None:
        """The program ends: the next program may begin the requests that still wait."""
        for lock, _ in self._locks.values():
            lock.release()
        self._locks.clear()


def folder() -> Path:
    """The folder of waiting requests."""
    return home() / "queued"


def _file(name: str) -> Path:
    return folder() / f"{name}.json"


def forget(name: str) -> None:
    """Delete the request: its run has a folder of its own now."""
    with suppress(OSError):
        _file(name).unlink(missing_ok=True)


def orphaned() -> Iterator[tuple[Path, Queued]]:
    """Requests that no living program keeps: their programs ended before the run began. The oldest first; a file that
    cannot be read is named in the log."""
    paths = sorted((written(path), path) for path in folder().glob("*.json") if path.name[0] != ".")
    if not paths:
        return
    try:
        with turn(folder() / LOOKING):
            read = [(path, _read_orphaned(path)) for _, path in paths]
    except (OSError, Taken) as error:
        log.warning("The runs that wait for their turn cannot be read: %s", error)
        return
    yield from ((path, entry) for path, entry in read if entry is not None and entry.request.name == path.stem)


def _read_orphaned(path: Path) -> Queued | None:
    """The request in a file, unless a living program keeps it."""
    try:
        with turn(path.with_suffix(".lock"), 0):
            return Queued.model_validate_json(content(path))
    except (Taken, FileNotFoundError):
        return None
    except (OSError, ValidationError) as error:
        log.warning("The run %s, which waited for its turn, cannot be read: %s", path.stem, error)
        return None


def cancel_resume(name: str) -> bool:
    """A person pressed Stop while the request of that name, which no living program keeps, waited for its model: it
    stays with its questions, but is not begun automatically. Returns whether there is such a request. Raises OSError.
    """
    path, entry = _file(name), waiting(name)
    if entry is None:
        return False
    try:
        with turn(folder() / LOOKING), turn(path.with_suffix(".lock"), 0):
            # Its run may have begun since it was read.
            if path.exists():
                atomic.write_text(path, entry.model_copy(update={"tries": TRIES}).model_dump_json())
                return True
    except Taken:
        pass
    return False


def is_kept(name: str) -> bool:
    """Whether a living program keeps a request of that name. Raises OSError."""
    path = _file(name)
    return path.exists() and is_held(path.with_suffix(".lock"))


def waiting(name: str) -> Queued | None:
    """The request of that name that no living program keeps."""
    return next((entry for _, entry in orphaned() if entry.request.name == name), None)
