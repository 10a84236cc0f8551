"""The state of a run: at work, interrupted, or failed and why; and what to expect of its answers.

Owns the small files beside a run's answers that keep this state (`RunFolder` has their names): that the run is at work
or was interrupted and is to be resumed automatically, why it failed, how many usable answers are expected, and the
seconds that a greedy answer and a question's samples took. Does not begin or end a run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeGuard

from backend.errors import HNeuronsError, Stopped, in_tree
from backend.identify.answers.screen import Outlook
from backend.runs import queued
from backend.runs.folder import RunFolder
from backend.runs.records import write_text
from backend.types import Event, NoteEvent
from backend.watch import Watch
from cache import atomic
from cache.errors import ExpectedError
from cache.files import Taken, content, is_held, turn

FEW = 10
"""Fewer answers are too few to measure how long one takes."""
LOOK = 0.2
"""Seconds between two checks whether another program asks the run to stop."""
PATIENCE = 10.0
"""Seconds that a run at work has to stop: a token of a large model takes one or two."""
TRIES = 3
"""A run that crashes the program each time is resumed automatically at most so often."""


class Askable:
    """The watch of a run at work, which other programs can ask to stop too (`stop`)."""

    def __init__(self, watch: Watch, mark: Path) -> None:
        self._watch, self._mark = watch, mark
        self._asked, self._looked = False, -math.inf

    def emit(self, event: Event) -> None:
        """Something happened."""
        self._watch.emit(event)

    def stopped(self) -> bool:
        """Whether anybody asked the run to stop. Called at each token, so the disk is checked only every `LOOK` s."""
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            # Removed, so that it does not stop the next run of this name too.
            with suppress(OSError):
                self._mark.unlink()
                self._asked = True
        return self._asked or self._watch.stopped()

    def rest(self) -> None:
        """Yield to other work."""
        self._watch.rest()

    def goes_on(self) -> bool:
        """Whether the run is to be resumed automatically: not where somebody asked it to stop."""
        return not self._asked and self._watch.goes_on()


@contextmanager
def recorded(folder: Path, watch: Watch) -> Iterator[Watch]:
    """Keep the state of the run in `folder` while the block works on it, and how it ended. The block must use the watch
    that this yields: other programs can stop the run through it."""
    watch = Askable(watch, RunFolder(folder).stop)
    tries = _tries(folder) or 0
    RunFolder(folder).failed.unlink(missing_ok=True)
    if watch.goes_on():
        write_text(RunFolder(folder).going, json.dumps({"tries": tries + 1}))
        queued.forget(folder.name)
    try:
        yield watch
    except Stopped:
        if watch.goes_on():
            write_text(RunFolder(folder).going, json.dumps({"tries": 0}))
        else:
            RunFolder(folder).going.unlink(missing_ok=True)
        raise
    except ExpectedError as error:
        RunFolder(folder).going.unlink(missing_ok=True)
        # The error itself must reach the person, also where it cannot be kept.
        with suppress(HNeuronsError):
            write_text(RunFolder(folder).failed, json.dumps(in_tree(error).to_json()))
        raise
    RunFolder(folder).going.unlink(missing_ok=True)


def failure(folder: Path) -> dict[str, Any] | None:
    """Why the run in `folder` failed when it was last at work, as the parts of an error; None where it did not fail."""
    return _read_small_file(RunFolder(folder).failed) or None


def broken_off(folder: Path) -> bool:
    """Whether the run was interrupted without anybody stopping it, and is to be resumed when its model is loaded."""
    tries = _tries(folder)
    return tries is not None and tries < TRIES and not at_work(folder)


def cancel_resume(folder: Path, wait: float = 0.5) -> bool:
    """A person pressed Stop while the run in `folder` waited: it is not resumed automatically. False where a program
    works on it, which then goes on. Waits `wait` seconds for a program that only tests the lock. Raises OSError."""
    try:
        with turn(RunFolder(folder).lock, wait):
            RunFolder(folder).going.unlink(missing_ok=True)
    except Taken:
        return False
    return True


def ask_to_stop(folder: Path) -> bool:
    """Ask the program that works on the run in `folder` to stop; returns whether it stopped within `PATIENCE`. Raises
    OSError."""
    mark, until = RunFolder(folder).stop, time.monotonic() + PATIENCE
    atomic.write_text(mark, "")
    try:
        while time.monotonic() < until:
            if cancel_resume(folder, LOOK / 2):
                return True
        # A program that removed the mark has seen it and is about to stop.
        return not mark.exists()
    finally:
        mark.unlink(missing_ok=True)


def _tries(folder: Path) -> int | None:
    """How often the run was begun without ending; None where it is not at work and was not interrupted."""
    tries = _read_small_file(RunFolder(folder).going).get("tries")
    return tries if isinstance(tries, int) and not isinstance(tries, bool) else None


def at_work(folder: Path) -> bool:
    """Whether a program works on the run now."""
    try:
        return is_held(RunFolder(folder).lock)
    except OSError:
        return False


def record_outlook(folder: Path, outlook: Outlook, watch: Watch) -> None:
    """Keep what to expect of the run's answers, and emit a note where it changed between enough and too few."""
    before = _read_small_file(RunFolder(folder).outlook)
    if before.get("short") != outlook.short or not before:
        watch.emit(NoteEvent(text=outlook.words))
    if before.get("words") != outlook.words:
        write_text(RunFolder(folder).outlook, json.dumps({"short": outlook.short, "words": outlook.words}))


def read_outlook(folder: Path) -> tuple[str, bool]:
    """(what to expect of the run's answers, in words; whether too few are expected). '' where nothing is known."""
    outlook = _read_small_file(RunFolder(folder).outlook)
    return str(outlook.get("words", "")), bool(outlook.get("short", False))


@contextmanager
def timed(folder: Path, stage: Literal["greedy", "drawn"], count: int) -> Iterator[None]:
    """Keep the seconds that each of the block's `count` answers took; nothing for fewer than `FEW`."""
    began = time.monotonic()
    yield
    if count >= FEW:
        speeds = {name: value for name, value in _read_small_file(RunFolder(folder).speed).items() if _is_speed(value)}
        write_text(RunFolder(folder).speed, json.dumps({**speeds, stage: (time.monotonic() - began) / count}))


def speed(folder: Path) -> tuple[float, float] | None:
    """(seconds that a greedy answer took, seconds that a question's samples took); None where not both are known."""
    speeds = _read_small_file(RunFolder(folder).speed)
    greedy, drawn = speeds.get("greedy"), speeds.get("drawn")
    return (greedy, drawn) if _is_speed(greedy) and _is_speed(drawn) else None


def _is_speed(value: Any) -> TypeGuard[float]:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _read_small_file(path: Path) -> dict[str, Any]:
    """The object in a small file; {} where it is missing or is not what was written."""
    try:
        content_of_file = json.loads(content(path))
        # A value that cannot be encoded would break the whole list that shows it.
        json.dumps(content_of_file, ensure_ascii=False, allow_nan=False).encode()
    except (OSError, ValueError, RecursionError):
        return {}
    return content_of_file if isinstance(content_of_file, dict) else {}
