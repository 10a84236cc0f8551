"""How a run stands: at work, broken off, failed and why, and what is to be expected of its answers.

Owns the small files beside a run's answers that say so, for whoever looks later. Refuses to begin or end a run.

    going.json      a run is at work, or was broken off and goes on by itself
    failed.json     why it failed
    outlook.json    what is to be expected of its answers
    speed.json      seconds that a greedy answer, and a question's samples, took
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeGuard

from backend.errors import HNeuronsError, Stopped
from backend.identify.answers.screen import Outlook
from backend.probes.library import write_text
from backend.runs import queued
from backend.runs.archive import LOCK
from backend.types import NoteEvent
from backend.watch import Watch
from cache.errors import StoreProblem
from cache.files import Taken, content, turn

GOING, FAILED, OUTLOOK, SPEED = "going.json", "failed.json", "outlook.json", "speed.json"
FEW = 10
"""Fewer answers say nothing of how long one takes."""
TRIES = 3
"""A run that ends its program each time is taken up so often by itself."""


@contextmanager
def told(folder: Path, watch: Watch) -> Iterator[None]:
    """Keep how the run in `folder` stands while the block works on it, and how it ended."""
    tries = _tries(folder) or 0
    (folder / FAILED).unlink(missing_ok=True)
    if watch.goes_on():
        write_text(folder / GOING, json.dumps({"tries": tries + 1}))
        queued.begun(folder.name)
    try:
        yield
    except Stopped:
        if watch.goes_on():
            write_text(folder / GOING, json.dumps({"tries": 0}))
        else:
            (folder / GOING).unlink(missing_ok=True)
        raise
    except (HNeuronsError, StoreProblem) as error:
        (folder / GOING).unlink(missing_ok=True)
        # The reason itself is what the person must see, whether or not it can be kept.
        with suppress(HNeuronsError):
            words = error if isinstance(error, HNeuronsError) else HNeuronsError(error.what, error.why, error.instead)
            write_text(folder / FAILED, json.dumps(words.to_json()))
        raise
    (folder / GOING).unlink(missing_ok=True)


def failure(folder: Path) -> dict[str, Any] | None:
    """Why the run in `folder` failed when it was last at work, as an error's parts; None where it did not."""
    return _read(folder / FAILED) or None


def broken_off(folder: Path) -> bool:
    """Whether the run was broken off, nobody having stopped it, and goes on by itself when its model is there."""
    tries = _tries(folder)
    return tries is not None and tries < TRIES and not at_work(folder)


def _tries(folder: Path) -> int | None:
    """How often the run was begun without coming to an end; None where it is not under way."""
    tries = _read(folder / GOING).get("tries")
    return tries if isinstance(tries, int) and not isinstance(tries, bool) else None


def at_work(folder: Path) -> bool:
    """Whether a program works on the run now."""
    try:
        with turn(folder / LOCK, 0):
            return False
    except Taken:
        return True
    except OSError:
        return False


def expect(folder: Path, outlook: Outlook, watch: Watch) -> None:
    """Keep what is to be expected of the run's answers, and say so where that has turned."""
    before = _read(folder / OUTLOOK)
    if before.get("short") != outlook.short or not before:
        watch.emit(NoteEvent(text=outlook.words))
    if before.get("words") != outlook.words:
        write_text(folder / OUTLOOK, json.dumps({"short": outlook.short, "words": outlook.words}))


def expected(folder: Path) -> tuple[str, bool]:
    """(what is to be expected, in words; whether that is too little). '' where nothing is known."""
    held = _read(folder / OUTLOOK)
    return str(held.get("words", "")), bool(held.get("short", False))


@contextmanager
def timed(folder: Path, stage: Literal["greedy", "drawn"], count: int) -> Iterator[None]:
    """Keep what each of `count` took that the block does; of a few too little is known."""
    began = time.monotonic()
    yield
    if count >= FEW:
        held = {name: value for name, value in _read(folder / SPEED).items() if _is_speed(value)}
        write_text(folder / SPEED, json.dumps({**held, stage: (time.monotonic() - began) / count}))


def speed(folder: Path) -> tuple[float, float] | None:
    """(seconds that a greedy answer took, seconds that a question's samples took); None where not both are known."""
    held = _read(folder / SPEED)
    greedy, drawn = held.get("greedy"), held.get("drawn")
    return (greedy, drawn) if _is_speed(greedy) and _is_speed(drawn) else None


def _is_speed(value: Any) -> TypeGuard[float]:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _read(path: Path) -> dict[str, Any]:
    """What a small file says; nothing where it is not there, or cannot be what was written."""
    try:
        held = json.loads(content(path))
        # What cannot be written again would fail the whole list that it is told in.
        json.dumps(held, ensure_ascii=False, allow_nan=False).encode()
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
