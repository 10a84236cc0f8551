"""A job and the events it has sent so far.

Owns the record of one request on its way through the worker, and the bound on its events: an event that a later one
supersedes may be dropped, since the later one holds all its information. It decides nothing about when a job runs; the
worker holds its lock around every call.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend.errors import Stopped
from backend.serve.failures import explain
from backend.types import Event, IdentifyRequest, JobState, JobView, ModelInfo, Request, StageEvent, TokenEvent, Verb
from backend.verbs import table

log = logging.getLogger(__name__)

Ended = Callable[["Job"], None]
MAX_EVENTS = 4096
"""Most events kept of one job."""
MAX_SHOWN = 500
"""Most events in one view, if later ones hold the same information."""


class EventLog:
    """Events by number. A TokenEvent has its row's whole answer so far, so the last one of a row is enough."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, Event]] = []
        self.next = 0

    def add(self, event: Event) -> None:
        """Number and keep `event`; a stage takes the place of the same stage just before it."""
        if self._entries and isinstance(event, StageEvent):
            last = self._entries[-1][1]
            if isinstance(last, StageEvent) and last.stage == event.stage:
                self._entries.pop()
        self._entries.append((self.next, event))
        self.next += 1
        if len(self._entries) > MAX_EVENTS:
            self.trim(MAX_EVENTS // 2)

    def since(self, after: int) -> tuple[Event, ...]:
        """Events numbered `after` or later, oldest first."""
        return tuple(event for _, event in self.numbered(after))

    def numbered(self, after: int) -> list[tuple[int, Event]]:
        """The same, each with its number."""
        return _needed([entry for entry in self._entries if entry[0] >= after], MAX_SHOWN)

    def trim(self, size: int = 0) -> None:
        """Drop superseded events, oldest first, until `size` are left or none is superseded."""
        self._entries = _needed(self._entries, size)


def _needed(events: list[tuple[int, Event]], size: int) -> list[tuple[int, Event]]:
    """`events` without the oldest superseded ones: as many are dropped as needed to reach `size`."""
    surplus = len(events) - size
    if surplus <= 0:
        return events
    last = {_subject(event): number for number, event in events}
    needed = []
    for number, event in events:
        if surplus > 0 and last[_subject(event)] != number:
            surplus -= 1
        else:
            needed.append((number, event))
    return needed


def _subject(event: Event) -> object:
    """What an event is about: a later event on the same subject supersedes it."""
    if isinstance(event, TokenEvent):
        return event.row
    return event.type if isinstance(event, StageEvent) else id(event)


@dataclass(frozen=True)
class Outcome:
    """How a job ended: done with its result's `key`, or failed or stopped with the parts of its `error`."""

    state: JobState
    key: str | None = None
    cached: bool = False
    error: dict[str, Any] | None = None

    @classmethod
    def from_error(cls, error: Exception) -> Outcome:
        """Stopped if `error` is Stopped, else failed."""
        state: JobState = "stopped" if isinstance(error, Stopped) else "failed"
        return cls(state, error=explain(error).to_json())


def ignore_end(job: Job) -> None:
    """The default callback for the end of a job: does nothing."""


@dataclass(eq=False)
class Job:
    """One request of one session. Times are seconds on the worker's clock.

    number: counts the worker's jobs.
    looked: when its owner last viewed it; `viewers`: how many are viewing it now.
    stop: set once somebody wants it to end; `left`: a person stopped it.
    interrupted: it was stopped only because another model is to be loaded. It then waits in the queue; `waits_for` is
        the name and fingerprint of the model that it began on.
    ended: called when the job has ended for good.
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
    interrupted: bool = False
    waits_for: tuple[str, str] | None = None
    finished: float | None = None
    outcome: Outcome | None = None
    ended: Ended = ignore_end

    @property
    def is_long(self) -> bool:
        """Whether it runs for minutes or hours: other jobs run between its batches, and it goes on without viewers."""
        return table.row(self.verb).is_long

    @property
    def run_name(self) -> str | None:
        """The name of its run and of the folder; None except for the verb identify."""
        return self.request.name if isinstance(self.request, IdentifyRequest) else None

    def end(self, outcome: Outcome, now: float) -> None:
        """End the job for good with this outcome."""
        self.waits_for = None
        self.state, self.outcome, self.finished = outcome.state, outcome, now
        self.ended(self)

    def pause(self, info: ModelInfo) -> None:
        """Make it wait until the model that it began on is loaded again."""
        self.stop.clear()
        self.state, self.interrupted, self.waits_for = "queued", False, (info.name, info.fingerprint)
        self.events.add(StageEvent(stage=f"waiting until {info.name} is loaded again; it continues by itself then"))

    def resume(self, info: ModelInfo) -> bool:
        """If it waits for this model, let it run again. Returns whether it did."""
        if self.waits_for is None or self.waits_for[1] != info.fingerprint:
            return False
        self.waits_for = None
        return True

    def view(self, after: int, position: int) -> JobView:
        """The job as its owner sees it."""
        outcome = self.outcome or Outcome(self.state)
        numbered = self.events.numbered(after)
        return JobView(
            id=self.id,
            verb=self.verb,
            state=self.state,
            position=position,
            events=tuple(event for _, event in numbered),
            numbers=tuple(number for number, _ in numbered),
            next=self.events.next,
            key=outcome.key,
            cached=outcome.cached,
            error=outcome.error,
            waits_for=self.waits_for[0] if self.waits_for is not None else None,
        )


@dataclass(frozen=True)
class JobWatch:
    """The watch of one running job, which reports to its worker. See `backend.watch.Watch`."""

    job: Job
    emitted: Callable[[Job, Event], None]
    unwanted: Callable[[Job], bool]
    interlude: Callable[[Job], None]

    def emit(self, event: Event) -> None:
        """Number the event and wake the viewers that wait for it."""
        self.emitted(self.job, event)

    def stopped(self) -> bool:
        """Whether the job should end."""
        return self.unwanted(self.job)

    def rest(self) -> None:
        """Let others go first."""
        self.interlude(self.job)

    def goes_on(self) -> bool:
        """Whether the run resumes by itself when it is interrupted: unless a person stopped it."""
        return not self.job.left


def logged_outcome(error: Exception, doing: str) -> Outcome:
    """The outcome for `error`; an unexpected error is logged with its traceback. `doing` names the work in the log."""
    outcome = Outcome.from_error(error)
    if outcome.error is not None and outcome.error["code"] == "internal":
        log.error("%s failed.", doing, exc_info=error)
    return outcome
