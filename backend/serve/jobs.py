"""A job and what it has said so far.

Owns the record of one request on its way through the worker, and the bound on its events: an event
that a later one makes superfluous may go, what it told is never lost. It decides nothing about when
a job runs; the worker holds its lock around every call.
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
        return tuple(event for _, event in self.numbered(after))

    def numbered(self, after: int) -> list[tuple[int, Event]]:
        """The same, each with its number."""
        return _needed([entry for entry in self._kept if entry[0] >= after], MAX_SHOWN)

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
        return cls(state, error=explain(error).to_json())


def nobody(job: Job) -> None:
    """Nobody is told of its end."""


@dataclass(eq=False)
class Job:
    """One request of one session. Times are of the worker's clock, in seconds.

    `left` says that a person stopped it; `number` counts the jobs of the worker; `looked` is when its owner last
    viewed it and `viewers` how many do so now; `stop` is set once somebody wants it to end. `interrupted` says that it
    was only another model that wanted it to: then it waits in `waits_for`, the name and fingerprint of the model it was
    begun on. `ended` is told when nothing more will happen to it.
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
    ended: Ended = nobody

    @property
    def is_long(self) -> bool:
        """Whether it runs for minutes or hours: others go between its batches, and nobody need look on."""
        return table.row(self.verb).is_long

    @property
    def run_name(self) -> str | None:
        """What its run is called, whose folder has that name; only those of the verb identify have one."""
        return self.request.name if isinstance(self.request, IdentifyRequest) else None

    def end(self, outcome: Outcome, now: float) -> None:
        """Nothing more will happen to it."""
        self.waits_for = None
        self.state, self.outcome, self.finished = outcome.state, outcome, now
        self.ended(self)

    def pause(self, info: ModelInfo) -> None:
        """It waits until the model that it was begun on is loaded again."""
        self.stop.clear()
        self.state, self.interrupted, self.waits_for = "queued", False, (info.name, info.fingerprint)
        self.events.add(StageEvent(stage=f"waiting until {info.name} is loaded again; it goes on by itself then"))

    def resume(self, info: ModelInfo) -> bool:
        """Whether it waited for this model; then it does no longer."""
        if self.waits_for is None or self.waits_for[1] != info.fingerprint:
            return False
        self.waits_for = None
        return True

    def view(self, after: int, position: int) -> JobView:
        """The job as its owner sees it."""
        outcome = self.outcome or Outcome(self.state)
        told = self.events.numbered(after)
        return JobView(
            id=self.id,
            verb=self.verb,
            state=self.state,
            position=position,
            events=tuple(event for _, event in told),
            numbers=tuple(number for number, _ in told),
            next=self.events.next,
            key=outcome.key,
            cached=outcome.cached,
            error=outcome.error,
            waits_for=self.waits_for[0] if self.waits_for is not None else None,
        )


@dataclass(frozen=True)
class JobWatch:
    """The watch of one running job, which tells its worker. See `backend.watch.Watch`."""

    job: Job
    emitted: Callable[[Job, Event], None]
    unwanted: Callable[[Job], bool]
    interlude: Callable[[Job], None]

    def emit(self, event: Event) -> None:
        """Number the event and wake who waits for it."""
        self.emitted(self.job, event)

    def stopped(self) -> bool:
        """Whether the job should end."""
        return self.unwanted(self.job)

    def rest(self) -> None:
        """Let others go first."""
        self.interlude(self.job)

    def goes_on(self) -> bool:
        """A change of model, or the end of the program, breaks a run off; a person leaves it."""
        return not self.job.left


def told(error: Exception, doing: str) -> Outcome:
    """The outcome that `error` makes; a bug goes into the log with its traceback."""
    outcome = Outcome.of(error)
    if outcome.error is not None and outcome.error["code"] == "internal":
        log.error("%s failed.", doing, exc_info=error)
    return outcome
