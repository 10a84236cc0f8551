"""A queue that is fair between sessions, and first come, first served within one.

Owns only the order: no thread, no lock, no clock. It is start-time fair queueing (Goyal et al. 1996) with runs of cost
1: each run has a virtual start, one after the start of its session's previous run, and the lowest goes first. So a
session that has just been served stands behind those that have not. Virtual time also advances with every run, by the
share that each waiting session has of it, so that newcomers, however many, cannot starve those who wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _QueuedItem(Generic[T]):
    start: float
    number: int
    session: str
    item: T


class FairQueue(Generic[T]):
    """Items by session; iterating gives them in the order in which `pop` would."""

    def __init__(self) -> None:
        self._waiting: list[_QueuedItem[T]] = []
        self._next_start: dict[str, float] = {}
        self._now = 0.0
        self._due = 0.0
        self._count = 0

    def push(self, session: str, item: T) -> None:
        """Append `item` after all other items of its session."""
        start = max(self._now, self._next_start.get(session, 0.0))
        self._waiting.append(_QueuedItem(start, self._count, session, item))
        self._count += 1
        self._next_start[session] = start + 1
        self._sort()

    def pop(self, allowed: Callable[[T], bool] = lambda item: True) -> T | None:
        """Remove and return the next item for which `allowed` is true; None if there is none."""
        for place, waiting in enumerate(self._waiting):
            if allowed(waiting.item):
                # Only now has the previous run used its time.
                self._now = max(self._now + self._due, waiting.start)
                self._due = 1 / len({each.session for each in self._waiting})
                del self._waiting[place]
                self._forget_served()
                return waiting.item
        return None

    def remove(self, item: T) -> bool:
        """Remove `item`; its session's later items move up. Returns whether it was there."""
        entry = next((waiting for waiting in self._waiting if waiting.item is item), None)
        if entry is None:
            return False
        free = entry.start
        for later in self._waiting[self._waiting.index(entry) + 1 :]:
            if later.session == entry.session:
                later.start, free = free, later.start
        self._waiting.remove(entry)
        self._next_start[entry.session] = free
        self._sort()
        return True

    def __iter__(self) -> Iterator[T]:
        return iter([waiting.item for waiting in self._waiting])

    def __len__(self) -> int:
        return len(self._waiting)

    def _sort(self) -> None:
        self._waiting.sort(key=lambda waiting: (waiting.start, waiting.number))

    def _forget_served(self) -> None:
        self._next_start = {name: start for name, start in self._next_start.items() if start > self._now}
