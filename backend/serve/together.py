"""The jobs whose rows run in one batch.

Owns which jobs do, and how each of them ends; the engine owns the batch. Refuses the queue and the worker's lock: all
of it is called in the worker's thread, but for `jobs`, which may be read anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backend.serve.jobs import Job, Outcome, logged_outcome
from backend.types import Request, Result, Verb
from backend.watch import Watch


class Begun(Protocol):
    """A request that runs beside others. Once `done`, it has its key and result, or its error."""

    done: bool
    result: tuple[str, Result] | None
    error: Exception | None


class Sharing(Protocol):
    """The part of an engine (`backend.serve.opening.Answering`) that running together needs."""

    @property
    def has_room(self) -> bool:
        """Whether what is begun now would not wait for memory behind what was begun before."""
        ...

    def begin(self, verb: Verb, request: Request, watch: Watch) -> Begun | None:
        """Let a request begin beside those that run; None where it needs the model for itself."""
        ...

    def step(self) -> object:
        """One more token of all that was begun. Raises where none of it can go on."""
        ...

    def leave(self) -> object:
        """Let go of all that was begun and has not ended."""
        ...


class Together:
    """Jobs that run side by side on one engine."""

    def __init__(self) -> None:
        self._begun: list[tuple[Begun, Job]] = []

    @property
    def jobs(self) -> list[Job]:
        """Those that have not ended."""
        return [job for _, job in list(self._begun)]

    def takes(self, job: Job) -> bool:
        """Whether a job may begin now: not beside one that asks the very same, whose result it will have soon."""
        return not any(other.verb == job.verb and other.request == job.request for other in self.jobs)

    def begin(self, engine: Sharing, job: Job, watch: Watch) -> bool:
        """Let a job run with the others; False where its verb cannot. Raises what its beginning raises."""
        begun = engine.begin(job.verb, job.request, watch)
        if begun is not None:
            self._begun.append((begun, job))
        return begun is not None

    def advance(
        self, engine: Sharing, remember: Callable[[str, Result], None]
    ) -> tuple[list[tuple[Job, Outcome]], list[Job]]:
        """One more token of all: (jobs that have ended, jobs that have to be run one by one).

        Where a forward fails for all of them together, as when memory runs out, each may still run by itself.
        """
        failure: Exception | None = None
        try:
            engine.step()
        except Exception as error:
            failure = error
        ended = [(begun, job) for begun, job in self._begun if begun.done]
        self._begun = [(begun, job) for begun, job in self._begun if not begun.done]
        outcomes = [(job, _outcome(begun, job, remember)) for begun, job in ended]
        if failure is None:
            return outcomes, []
        left, self._begun = self.jobs, []
        engine.leave()
        if len(left) > 1:
            return outcomes, left
        return outcomes + [(job, logged_outcome(failure, f"The {job.verb} job {job.id}")) for job in left], []


def _outcome(begun: Begun, job: Job, remember: Callable[[str, Result], None]) -> Outcome:
    if begun.error is not None:
        return logged_outcome(begun.error, f"The {job.verb} job {job.id}")
    assert begun.result is not None, "what is done has a result or an error"
    key, result = begun.result
    remember(key, result)
    return Outcome("done", key)
