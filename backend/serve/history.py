"""Which jobs and results the worker remembers.

Owns the bounds on both, in number and in time. Does no queueing or running; the worker holds its lock
around every call.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from backend.errors import Unknown
from backend.serve.jobs import Job, Outcome
from backend.types import Result
from backend.verbs import table

MAX_RECENT = 16
"""Results kept in memory, whether or not they could be stored."""
WHOLE_EVENTS = 20
"""The last this many finished jobs keep all their events; older ones keep only what is needed to show them."""


class Records:
    """Every queued and running job, and the last finished ones.

    Args:
        keep, keep_seconds: how many finished jobs are remembered, and how long.
    """

    def __init__(self, keep: int, keep_seconds: float) -> None:
        self._keep, self._keep_seconds = keep, keep_seconds
        self._jobs: dict[str, Job] = {}
        self._finished: deque[Job] = deque()
        self._recent: OrderedDict[str, Result] = OrderedDict()

    def add(self, job: Job) -> None:
        """Remember a new job."""
        self._jobs[job.id] = job

    def job(self, job_id: str) -> Job:
        """The job of that id. Raises Unknown."""
        job = self._jobs.get(job_id)
        if job is None:
            raise Unknown(
                "This run is not known here", "it ended long ago, or the program was restarted", "run it again"
            )
        return job

    def sessions(self, since: float) -> set[str]:
        """Sessions whose questions were viewed at or after `since`, on the worker's clock.

        What a page looks up by itself does not count.
        """
        asked = [job for job in self._jobs.values() if table.row(job.verb).is_question]
        return {job.session for job in asked if job.looked >= since}

    def end(self, job: Job, outcome: Outcome, now: float) -> None:
        """End the job with this outcome, and forget the oldest finished jobs."""
        job.end(outcome, now)
        self._finished.append(job)
        if len(self._finished) > WHOLE_EVENTS:
            self._finished[-WHOLE_EVENTS - 1].events.trim()
        while self._finished and self._is_forgotten(self._finished[0], now):
            del self._jobs[self._finished.popleft().id]

    def _is_forgotten(self, oldest: Job, now: float) -> bool:
        assert oldest.finished is not None, "only ended jobs are in this list"
        return len(self._finished) > self._keep or now - oldest.finished > self._keep_seconds

    def remember(self, key: str, result: Result) -> None:
        """Keep a result, newest last."""
        self._recent[key] = result
        self._recent.move_to_end(key)
        while len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def result(self, key: str) -> Result | None:
        """A recent result."""
        return self._recent.get(key)
