"""How a verb reports while it runs, and learns that it should stop.

Owns the `Watch` protocol and its silent form. Refuses transport: the worker, the command line and
tests each bring their own.
"""

from __future__ import annotations

from typing import Protocol

from backend.errors import Stopped
from backend.types import Event


class Watch(Protocol):
    """Told of every event; asked between two tokens whether to stop."""

    def emit(self, event: Event) -> None:
        """Something happened. Must return at once."""
        ...

    def stopped(self) -> bool:
        """Whether the person pressed Stop."""
        ...


class Silent:
    """A watch that listens to nothing and never stops."""

    def emit(self, event: Event) -> None:
        """Forget the event."""

    def stopped(self) -> bool:
        """Never."""
        return False


SILENT = Silent()


def check(watch: Watch) -> None:
    """Raises Stopped where Stop was pressed."""
    if watch.stopped():
        raise Stopped
