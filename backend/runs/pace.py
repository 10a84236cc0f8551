"""How far a long stage is, how long the rest takes, and how large its batches are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
FIRST = 4
"""Rows of the first batch: so few are done within seconds, and the time that the rest takes can be told."""


class Pace:
    """How far a stage is and how long the rest takes at the pace so far.

    Args:
        total: all that the stage is about. done: of these, what an earlier run did.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done, self._before = total, done, done
        self._began = self._last = time.monotonic()
        self._newest = 0.0

    def add(self, count: int) -> None:
        """So many more are done."""
        now = time.monotonic()
        self.done += count
        self._newest, self._last = count / max(now - self._last, 1e-9), now

    @property
    def fraction(self) -> float:
        """0..1."""
        return self.done / self.total if self.total else 1.0

    @property
    def seconds(self) -> float | None:
        """What one takes, as far as it was seen; None before the first."""
        fresh = self.done - self._before
        return (self._last - self._began) / fresh if fresh else None

    def told(self, doing: str) -> str:
        """The stage in words, with the time left once it is known."""
        words = f"{doing}: {self.done:,} of {self.total:,}"
        seconds = self.seconds
        if seconds is None:
            return words
        # Batches grow, and a larger one takes less for each row: the newest pace counts where it is the quicker one.
        left = (self.total - self.done) * min(seconds, 1 / max(self._newest, 1e-9))
        return f"{words}, {in_words(left)} left"


def in_words(seconds: float) -> str:
    """A time in the unit that one thinks of it in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def batches(items: Sequence[T], size: int, first: int = FIRST) -> Iterator[Sequence[T]]:
    """All items in order, `first` of them, then twice as many each time, up to `size`."""
    start, count = 0, max(1, min(first, size))
    while start < len(items):
        yield items[start : start + count]
        start, count = start + count, min(2 * count, size)
