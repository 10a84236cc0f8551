"""How long work on a model tells where it stands.

Owns the `Progress` callback and the two ways of handing a part of it on. A fraction counts the whole
of the work, from 0 to 1, and never falls.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Told the stage, in words for a person, and the fraction of the whole that is done."""


def silent(stage: str, fraction: float) -> None:
    """A progress that tells nobody."""


def rising(progress: Progress | None) -> Progress:
    """`progress`, held between 0 and 1 and kept from falling."""
    if progress is None:
        return silent
    heard, best = progress, 0.0

    def tell(stage: str, fraction: float) -> None:
        nonlocal best
        best = max(best, min(1.0, fraction))
        heard(stage, best)

    return tell


def part(progress: Progress, start: float, end: float) -> Progress:
    """A progress whose 0..1 fills the piece from `start` to `end` of another."""
    return lambda stage, fraction: progress(stage, start + (end - start) * min(1.0, max(0.0, fraction)))
