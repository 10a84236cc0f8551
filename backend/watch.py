"""How a verb reports while it runs, and learns that it should stop.

Owns the `Watch` protocol and its silent form. Refuses transport: the worker, the command line and
tests each bring their own.
"""

from __future__ import annotations

from typing import Protocol

from backend.errors import Stopped
from backend.types import Event


class Watch(Protocol):
    """Told of every event; asked between two tokens whether to stop, and between two batches whether others wait."""

    def emit(self, event: Event) -> None:
        """Something happened. Must return at once."""
        ...

    def stopped(self) -> bool:
        """Whether the person pressed Stop."""
        ...

    def rest(self) -> None:
        """A long run is between two batches: whoever waits may go first. No hook is on, the model is free."""
        ...

    def goes_on(self) -> bool:
        """Whether a long run that is broken off now is taken up again by itself, as nobody pressed Stop."""
        ...


class Silent:
    """A watch that listens to nothing and never stops."""

    def emit(self, event: Event) -> None:
        """Forget the event."""

    def stopped(self) -> bool:
        """Never."""
        return False

    def rest(self) -> None:
        """Nobody waits."""

    def goes_on(self) -> bool:
        """Whoever began it takes it up again."""
        return False


SILENT = Silent()


def check(watch: Watch) -> None:
    """Raises Stopped where Stop was pressed."""
    if watch.stopped():
        raise Stopped


def between(watch: Watch) -> None:
    """Between two batches of a long run: others go first, then raises Stopped where Stop was pressed."""
    watch.rest()
    check(watch)
