"""What runs and what waits: the jobs of a worker that have not ended, each in one place.

Owns `Line`: the queue, the jobs that run together, the one that has the model to itself, the long run behind it, and
the long runs that wait for their model. It decides nothing about a change of model, and has no lock: the worker holds
its own around every call.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.serve.changing import Change
from backend.serve.jobs import Job
from backend.serve.queue import FairQueue
from backend.serve.together import Sharing, Together
from backend.types import ModelInfo


class Line:
    """Jobs that have not ended."""

    def __init__(self) -> None:
        self.queue: FairQueue[Job] = FairQueue()
        self.together = Together()
        self.running: Job | None = None
        self.long: Job | None = None
        self.paused: list[Job] = []

    @property
    def began(self) -> list[Job]:
        """Those that were begun and go on."""
        alone = [job for job in dict.fromkeys((self.running, self.long)) if job is not None]
        return [*alone, *self.together.jobs]

    @property
    def long_runs(self) -> dict[str, str]:
        """Name of each run with a folder that is queued, running or waits for its model -> its job."""
        jobs = [job for job in (self.long, *self.queue, *self.paused) if job is not None]
        return {job.run_name: job.id for job in jobs if job.run_name is not None}

    def pop(self, engine: Sharing, allowed: Callable[[Job], bool] = lambda job: True) -> Job | None:
        """The next job that may begin beside those that run."""
        if self.together.jobs and not engine.has_room:
            return None
        return self.queue.pop(lambda job: allowed(job) and self.together.takes(job))

    def position(self, job: Job, change: Change | None) -> int:
        """How many jobs run before `job`."""
        if job.state != "queued" or job.waits_for is not None:
            return 0
        waiting = list(self.queue)
        if change is not None:
            waiting.sort(key=lambda other: other.number >= change.before)
        return waiting.index(job) + bool(self.began)

    def take_out(self, job: Job) -> bool:
        """Let a job go that was not begun, or that waits for its model; whether it did."""
        if job in self.paused:
            self.paused = [other for other in self.paused if other is not job]
            return True
        return self.queue.remove(job)

    def take_all(self) -> list[Job]:
        """Let all go that were not begun, or that wait for their model."""
        waiting = [*self.queue, *self.paused]
        for job in waiting:
            self.take_out(job)
        return waiting

    def pause(self, job: Job, info: ModelInfo) -> None:
        """A long run waits until the model that it was begun on is loaded again."""
        job.pause(info)
        self.paused.append(job)

    def pause_queued(self, info: ModelInfo) -> None:
        """The long runs that were not begun wait for their model as well."""
        for job in [job for job in self.queue if job.is_long]:
            self.queue.remove(job)
            self.pause(job, info)

    def resume(self, info: ModelInfo) -> None:
        """Long runs that waited for this model are queued again."""
        for job in [job for job in self.paused if job.resume(info)]:
            self.paused.remove(job)
            self.queue.push(job.session, job)
