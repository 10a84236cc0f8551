"""How a verb reports progress while it runs, and learns that it should stop.

Owns the `Watch` protocol and its silent implementation. Where events are sent is not decided here:
the worker, the command line and tests each have an implementation of their own.
"""

from __future__ import annotations

from typing import Protocol

from backend.errors import Stopped
from backend.types import Event


class Watch(Protocol):
    """Receives every event; asked between two tokens whether to stop, and between two batches to yield to others."""

    def emit(self, event: Event) -> None:
        """Receive an event. Must return at once."""
        ...

    def stopped(self) -> bool:
        """Whether the person pressed Stop."""
        ...

    def rest(self) -> None:
        """Yield to others: called by a long run between two batches, when no hook is set and the model is free."""
        ...

    def goes_on(self) -> bool:
        """Whether a long run that is interrupted now will be resumed automatically, since nobody pressed Stop."""
        ...


class Silent:
    """A watch that ignores all events and never stops the run."""

    def emit(self, event: Event) -> None:
        """Ignore the event."""

    def stopped(self) -> bool:
        """Never."""
        return False

    def rest(self) -> None:
        """Return at once: nobody waits."""

    def goes_on(self) -> bool:
        """False: the caller has to resume the run."""
        return False


SILENT = Silent()


def check(watch: Watch) -> None:
    """Raises Stopped if Stop was pressed."""
    if watch.stopped():
        raise Stopped


def between(watch: Watch) -> None:
    """Call between two batches of a long run: yields to others, then raises Stopped if Stop was pressed."""
    watch.rest()
    check(watch)
