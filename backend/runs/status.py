"""How a run stands: at work, broken off, failed and why, and what is to be expected of its answers.

Owns the small files beside a run's answers that say so (`RunFolder` has their names), for whoever looks later:
that it is at work or was broken off and goes on by itself, why it failed, what is to be expected of its answers, and
the seconds that a greedy answer and a question's samples took. Refuses to begin or end a run.
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
from cache.files import Taken, content, turn

FEW = 10
"""Fewer answers say nothing of how long one takes."""
LOOK = 0.2
"""Seconds between two looks whether another program wants a run to stop."""
PATIENCE = 10.0
"""Seconds in which a run at work is to have heeded that: a token of a large model takes one or two."""
TRIES = 3
"""A run that ends its program each time is taken up so often by itself."""


class Askable:
    """The watch of a run at work that other programs may ask to stop as well (`stop`)."""

    def __init__(self, watch: Watch, mark: Path) -> None:
        self._watch, self._mark = watch, mark
        self._asked, self._looked = False, -math.inf

    def emit(self, event: Event) -> None:
        """Something happened."""
        self._watch.emit(event)

    def stopped(self) -> bool:
        """Whether anybody wants it to stop. Called at each token, so the disk is looked at now and then."""
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            # Taken away, so that the next run of this name goes on.
            with suppress(OSError):
                self._mark.unlink()
                self._asked = True
        return self._asked or self._watch.stopped()

    def rest(self) -> None:
        """Others may go first."""
        self._watch.rest()

    def goes_on(self) -> bool:
        """Not by itself, where somebody asked it to stop."""
        return not self._asked and self._watch.goes_on()


@contextmanager
def told(folder: Path, watch: Watch) -> Iterator[Watch]:
    """Keep how the run in `folder` stands while the block works on it, and how it ended. The block goes by the watch
    that this yields, which other programs reach too."""
    watch = Askable(watch, RunFolder(folder).stop)
    tries = _tries(folder) or 0
    RunFolder(folder).failed.unlink(missing_ok=True)
    if watch.goes_on():
        write_text(RunFolder(folder).going, json.dumps({"tries": tries + 1}))
        queued.begun(folder.name)
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
        # The reason itself is what the person must see, whether or not it can be kept.
        with suppress(HNeuronsError):
            write_text(RunFolder(folder).failed, json.dumps(in_tree(error).to_json()))
        raise
    RunFolder(folder).going.unlink(missing_ok=True)


def failure(folder: Path) -> dict[str, Any] | None:
    """Why the run in `folder` failed when it was last at work, as an error's parts; None where it did not."""
    return _small_file(RunFolder(folder).failed) or None


def broken_off(folder: Path) -> bool:
    """Whether the run was broken off, nobody having stopped it, and goes on by itself when its model is there."""
    tries = _tries(folder)
    return tries is not None and tries < TRIES and not at_work(folder)


def leave(folder: Path, wait: float = 0.5) -> bool:
    """A person pressed Stop while the run in `folder` waited: it does not go on by itself. Whether it is so; one that
    another program works on stays as it is. Waits `wait` seconds for whoever only looks. Raises OSError."""
    try:
        with turn(RunFolder(folder).lock, wait):
            RunFolder(folder).going.unlink(missing_ok=True)
    except Taken:
        return False
    return True


def stop(folder: Path) -> bool:
    """Ask whoever works on the run in `folder`, in whichever program, to stop; whether that was heeded before
    `PATIENCE` was over. Raises OSError."""
    mark, until = RunFolder(folder).stop, time.monotonic() + PATIENCE
    atomic.write_text(mark, "")
    try:
        while time.monotonic() < until:
            if leave(folder, LOOK / 2):
                return True
        # Whoever took it is on the way out.
        return not mark.exists()
    finally:
        mark.unlink(missing_ok=True)


def _tries(folder: Path) -> int | None:
    """How often the run was begun without coming to an end; None where it is not under way."""
    tries = _small_file(RunFolder(folder).going).get("tries")
    return tries if isinstance(tries, int) and not isinstance(tries, bool) else None


def at_work(folder: Path) -> bool:
    """Whether a program works on the run now."""
    try:
        with turn(RunFolder(folder).lock, 0):
            return False
    except Taken:
        return True
    except OSError:
        return False


def expect(folder: Path, outlook: Outlook, watch: Watch) -> None:
    """Keep what is to be expected of the run's answers, and say so where that has turned."""
    before = _small_file(RunFolder(folder).outlook)
    if before.get("short") != outlook.short or not before:
        watch.emit(NoteEvent(text=outlook.words))
    if before.get("words") != outlook.words:
        write_text(RunFolder(folder).outlook, json.dumps({"short": outlook.short, "words": outlook.words}))


def expected(folder: Path) -> tuple[str, bool]:
    """(what is to be expected, in words; whether that is too little). '' where nothing is known."""
    held = _small_file(RunFolder(folder).outlook)
    return str(held.get("words", "")), bool(held.get("short", False))


@contextmanager
def timed(folder: Path, stage: Literal["greedy", "drawn"], count: int) -> Iterator[None]:
    """Keep what each of `count` took that the block does; of a few too little is known."""
    began = time.monotonic()
    yield
    if count >= FEW:
        held = {name: value for name, value in _small_file(RunFolder(folder).speed).items() if _is_speed(value)}
        write_text(RunFolder(folder).speed, json.dumps({**held, stage: (time.monotonic() - began) / count}))


def speed(folder: Path) -> tuple[float, float] | None:
    """(seconds that a greedy answer took, seconds that a question's samples took); None where not both are known."""
    held = _small_file(RunFolder(folder).speed)
    greedy, drawn = held.get("greedy"), held.get("drawn")
    return (greedy, drawn) if _is_speed(greedy) and _is_speed(drawn) else None


def _is_speed(value: Any) -> TypeGuard[float]:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _small_file(path: Path) -> dict[str, Any]:
    """What a small file says; nothing where it is not there, or cannot be what was written."""
    try:
        held = json.loads(content(path))
        # What cannot be written again would fail the whole list that it is told in.
        json.dumps(held, ensure_ascii=False, allow_nan=False).encode()
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
