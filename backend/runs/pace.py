"""Progress of a long stage, its remaining time, and the size of its batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
FIRST = 4
"""Rows of the first batch: so few are done within seconds, and then the remaining time can be estimated."""


class Pace:
    """Progress of a stage, and the remaining time at the pace so far.

    Args:
        total: the number of rows of the stage. done: how many of them an earlier run did.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done, self._before = total, done, done
        self._began = self._last = time.monotonic()
        self._newest = 0.0

    def add(self, count: int) -> None:
        """`count` more rows are done."""
        now = time.monotonic()
        self.done += count
        self._newest, self._last = count / max(now - self._last, 1e-9), now

    @property
    def fraction(self) -> float:
        """The part that is done, 0..1."""
        return self.done / self.total if self.total else 1.0

    @property
    def seconds(self) -> float | None:
        """Seconds for each row on average; None before the first."""
        fresh = self.done - self._before
        return (self._last - self._began) / fresh if fresh else None

    def stage_text(self, doing: str) -> str:
        """`doing` with the progress, and the remaining time once it is known."""
        words = f"{doing}: {self.done:,} of {self.total:,}"
        seconds = self.seconds
        if seconds is None:
            return words
        # Batches grow, and a larger batch takes less time for each row: the newest pace is used where it is faster.
        left = (self.total - self.done) * min(seconds, 1 / max(self._newest, 1e-9))
        return f"{words}, {in_words(left)} left"


def in_words(seconds: float) -> str:
    """A duration in seconds, minutes or hours, whichever is natural for its size."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def batches(items: Sequence[T], size: int, first: int = FIRST) -> Iterator[Sequence[T]]:
    """All items in order, `first` of them, then twice as many each time, up to `size`."""
    start, count = 0, max(1, min(first, size))
    while start < len(items):
        yield items[start : start + count]
        start, count = start + count, min(2 * count, size)
