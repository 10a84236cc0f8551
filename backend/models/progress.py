"""Progress reports of long work on a model.

Owns the `Progress` callback and two functions that make one from another. A fraction is that of the whole
work, from 0 to 1, and never decreases.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the stage, in words for a person, and the fraction of the whole work that is done."""


def silent(stage: str, fraction: float) -> None:
    """A progress callback that does nothing."""


def rising(progress: Progress | None) -> Progress:
    """A callback that passes fractions to `progress`, limited to at most 1 and never decreasing."""
    if progress is None:
        return silent
    report, best = progress, 0.0

    def tell(stage: str, fraction: float) -> None:
        nonlocal best
        best = max(best, min(1.0, fraction))
        report(stage, best)

    return tell


def part(progress: Progress, start: float, end: float) -> Progress:
    """A callback that maps its fractions 0..1 to the range `start`..`end` of `progress`."""
    return lambda stage, fraction: progress(stage, start + (end - start) * min(1.0, max(0.0, fraction)))
