"""How far a long stage is, and how long the rest takes."""

from __future__ import annotations

import time


class Pace:
    """How far a stage is and how long the rest takes at the pace so far."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.began = total, 0, time.monotonic()

    def add(self, count: int) -> None:
        """So many more are done."""
        self.done += count

    @property
    def fraction(self) -> float:
        """0..1."""
        return self.done / self.total if self.total else 1.0

    def told(self, doing: str) -> str:
        """The stage in words, with the time left once it is known."""
        words = f"{doing}: {self.done:,} of {self.total:,}"
        if not self.done:
            return words
        left = (time.monotonic() - self.began) * (self.total - self.done) / self.done
        return f"{words}, {left / 60:.0f} min left" if left >= 90 else f"{words}, {left:.0f} s left"
