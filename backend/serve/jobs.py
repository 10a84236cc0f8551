"""A job and what it has said so far.

Owns the record of one request on its way through the worker, and the bound on its events: an event
that a later one makes superfluous may go, what it told is never lost. It decides nothing about when
a job runs; the worker holds its lock around every call.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from backend.errors import Stopped
from backend.serve.failures import explain, parts
from backend.types import Event, JobState, JobView, Request, StageEvent, TokenEvent, Verb

MAX_EVENTS = 4096
"""Most events kept of one job."""
MAX_SHOWN = 500
"""Most events in one view, where later ones tell the same."""


class EventLog:
    """Events by number. The text of a TokenEvent is its row's whole answer, so the last one tells all."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, Event]] = []
        self.next = 0

    def add(self, event: Event) -> None:
        """Number and keep `event`; a stage takes the place of the same stage just before it."""
        if self._kept and isinstance(event, StageEvent):
            last = self._kept[-1][1]
            if isinstance(last, StageEvent) and last.stage == event.stage:
                self._kept.pop()
        self._kept.append((self.next, event))
        self.next += 1
        if len(self._kept) > MAX_EVENTS:
            self.trim(MAX_EVENTS // 2)

    def since(self, after: int) -> tuple[Event, ...]:
        """Events numbered `after` or later, oldest first."""
        found = [entry for entry in self._kept if entry[0] >= after]
        return tuple(event for _, event in _needed(found, MAX_SHOWN))

    def trim(self, size: int = 0) -> None:
        """Let superfluous events go, oldest first, until `size` are left."""
        self._kept = _needed(self._kept, size)


def _needed(events: list[tuple[int, Event]], size: int) -> list[tuple[int, Event]]:
    """`events` without the oldest superfluous ones, as many as it takes to come down to `size`."""
    surplus = len(events) - size
    if surplus <= 0:
        return events
    last = {_subject(event): number for number, event in events}
    kept = []
    for number, event in events:
        if surplus > 0 and last[_subject(event)] != number:
            surplus -= 1
        else:
            kept.append((number, event))
    return kept


def _subject(event: Event) -> object:
    """What an event speaks of: a later one on the same subject makes it superfluous."""
    if isinstance(event, TokenEvent):
        return event.row
    return event.type if isinstance(event, StageEvent) else id(event)


@dataclass(frozen=True)
class Outcome:
    """How a job ended: done with its result's `key`, or failed or stopped with the `error`'s parts."""

    state: JobState
    key: str | None = None
    cached: bool = False
    error: dict[str, Any] | None = None

    @classmethod
    def of(cls, error: Exception) -> Outcome:
        """Stopped where `error` says so, else failed."""
        state: JobState = "stopped" if isinstance(error, Stopped) else "failed"
        return cls(state, error=parts(explain(error)))


@dataclass(eq=False)
class Job:
    """One request of one session. Times are of the worker's clock, in seconds.

    `left` says that a person stopped it; `number` counts the jobs of the worker; `looked` is when its owner
    last viewed it and `viewers` how many do so now; `stop` is set once somebody wants it to end.
    """

    verb: Verb
    request: Request
    session: str
    number: int
    looked: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: JobState = "queued"
    events: EventLog = field(default_factory=EventLog)
    stop: threading.Event = field(default_factory=threading.Event)
    left: bool = False
    viewers: int = 0
    finished: float | None = None
    outcome: Outcome | None = None

    def end(self, outcome: Outcome, now: float) -> None:
        """Nothing more will happen to it."""
        self.state, self.outcome, self.finished = outcome.state, outcome, now

    def view(self, after: int, position: int) -> JobView:
        """The job as its owner sees it."""
        outcome = self.outcome or Outcome(self.state)
        return JobView(
            id=self.id,
            verb=self.verb,
            state=self.state,
            position=position,
            events=self.events.since(after),
            next=self.events.next,
            key=outcome.key,
            cached=outcome.cached,
            error=outcome.error,
        )
