"""The jobs of a worker that have not ended, each in one place: running, queued or paused.

Owns `Line`: the queue, the jobs that run together, the job that has the model to itself, the long run that lets it go
first, and the long runs that wait for their model. It decides nothing about a change of model, and has no lock: the
worker holds its own around every call.
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
        """The jobs that have begun and not ended."""
        alone = [job for job in dict.fromkeys((self.running, self.long)) if job is not None]
        return [*alone, *self.together.jobs]

    @property
    def long_runs(self) -> dict[str, str]:
        """Name of each run with a folder that is queued, running or waits for its model -> its job."""
        jobs = [job for job in (self.long, *self.queue, *self.paused) if job is not None]
        return {job.run_name: job.id for job in jobs if job.run_name is not None}

    def pop(self, engine: Sharing, allowed: Callable[[Job], bool] = lambda job: True) -> Job | None:
        """Take the next job that may begin now, beside those that run; None if there is none."""
        if self.together.jobs and not engine.has_room:
            return None
        return self.queue.pop(lambda job: allowed(job) and self.together.takes(job))

    def position(self, job: Job, change: Change | None) -> int:
        """How many jobs run before `job`."""
        if job.state != "queued" or job.waits_for is not None:
            return 0
        waiting = list(self.queue)
        if change is not None:
            waiting.sort(key=lambda waiting_job: waiting_job.number >= change.before)
        return waiting.index(job) + bool(self.began)

    def take_out(self, job: Job) -> bool:
        """Remove a job that has not begun or waits for its model. Returns whether it was there."""
        if job in self.paused:
            self.paused = [paused_job for paused_job in self.paused if paused_job is not job]
            return True
        return self.queue.remove(job)

    def take_all(self) -> list[Job]:
        """Remove and return all jobs that have not begun or wait for their model."""
        waiting = [*self.queue, *self.paused]
        for job in waiting:
            self.take_out(job)
        return waiting

    def pause(self, job: Job, info: ModelInfo) -> None:
        """Make a long run wait until the model that it began on is loaded again."""
        job.pause(info)
        self.paused.append(job)

    def pause_queued(self, info: ModelInfo) -> None:
        """Make the queued long runs wait for their model too."""
        for job in [job for job in self.queue if job.is_long]:
            self.queue.remove(job)
            self.pause(job, info)

    def resume(self, info: ModelInfo) -> None:
        """Queue the long runs again that waited for this model."""
        for job in [job for job in self.paused if job.resume(info)]:
            self.paused.remove(job)
            self.queue.push(job.session, job)
