"""The outcome of one job that runs by itself: looked up, or computed.

Owns the way from an engine's result or error to an `Outcome`. Knows nothing of the queue or of jobs that run together
(`backend.serve.together`).
"""

from __future__ import annotations

from collections.abc import Callable

from backend.errors import Stopped
from backend.forward.templating import one_moment
from backend.serve.jobs import Job, JobWatch, Outcome, logged_outcome
from backend.serve.opening import Answering
from backend.types import Request, Result, Verb

Remember = Callable[[str, Result], None]


@one_moment()
def compute(engine: Answering, job: Job, watch: JobWatch, remember: Remember) -> Outcome:
    """Run a job that has the model to itself."""
    try:
        if job.stop.is_set():
            raise Stopped
        key = engine.key(job.request)
        remember(key, engine.run(job.verb, job.request, watch))
        return Outcome("done", key)
    except Exception as error:
        return logged_outcome(error, f"The {job.verb} job {job.id}")


@one_moment()
def look_up(
    engine: Answering, verb: Verb, request: Request, recent: Callable[[str], Result | None], remember: Remember
) -> Outcome | None:
    """What a finished job would report for `request`, or None if nothing is stored for it."""
    try:
        key = engine.key(request)
        if recent(key) is None:
            stored = engine.lookup(verb, request)
            if stored is None:
                return None
            remember(key, stored)
        return Outcome("done", key, cached=True)
    except Exception as error:
        return logged_outcome(error, "Looking for a stored result")
