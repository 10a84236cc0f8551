"""A queue that is fair between sessions and first come, first served inside one.

Owns the order alone: no thread, no lock, no clock. It is start-time fair queueing (Goyal et al. 1996)
with runs of cost 1: each run has a virtual start, one after that of its session's run before it, and the
lowest goes first. So a session that has just been served stands behind those that have not. Virtual time
also moves with every run by the share that each waiting session has of it, so that newcomers, however
many, cannot starve those who wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    start: float
    number: int
    session: str
    item: T


class FairQueue(Generic[T]):
    """Items by session; iterating gives them in the order in which `pop` would."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting[T]] = []
        self._next_start: dict[str, float] = {}
        self._now = 0.0
        self._due = 0.0
        self._count = 0

    def push(self, session: str, item: T) -> None:
        """Put `item` behind everything of its session."""
        start = max(self._now, self._next_start.get(session, 0.0))
        self._waiting.append(_Waiting(start, self._count, session, item))
        self._count += 1
        self._next_start[session] = start + 1
        self._sort()

    def pop(self, allowed: Callable[[T], bool] = lambda item: True) -> T | None:
        """Take the next item among those `allowed`; None where there is none."""
        for place, waiting in enumerate(self._waiting):
            if allowed(waiting.item):
                # The run before this one has had its time only now.
                self._now = max(self._now + self._due, waiting.start)
                self._due = 1 / len({each.session for each in self._waiting})
                del self._waiting[place]
                self._forget_served()
                return waiting.item
        return None

    def remove(self, item: T) -> bool:
        """Take `item` out; its session's later items move up. Whether it was there."""
        found = next((waiting for waiting in self._waiting if waiting.item is item), None)
        if found is None:
            return False
        free = found.start
        for later in self._waiting[self._waiting.index(found) + 1 :]:
            if later.session == found.session:
                later.start, free = free, later.start
        self._waiting.remove(found)
        self._next_start[found.session] = free
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
