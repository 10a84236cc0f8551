"""What comes of one job: looked up, or computed by itself.

Owns the way from an engine's result or error to an `Outcome`. Refuses the queue, and jobs that run together
(`backend.serve.together`).
"""

from __future__ import annotations

from collections.abc import Callable

from backend.errors import Stopped
from backend.forward.templating import one_moment
from backend.serve.jobs import Job, JobWatch, Outcome, told
from backend.serve.opening import Answering
from backend.types import Request, Result, Verb

Remember = Callable[[str, Result], None]


@one_moment()
def compute(engine: Answering, job: Job, watch: JobWatch, remember: Remember) -> Outcome:
    """Run a job with the model to itself."""
    try:
        if job.stop.is_set():
            raise Stopped
        key = engine.key(job.request)
        remember(key, engine.run(job.verb, job.request, watch))
        return Outcome("done", key)
    except Exception as error:
        return told(error, f"The {job.verb} job {job.id}")


@one_moment()
def look_up(
    engine: Answering, verb: Verb, request: Request, recent: Callable[[str], Result | None], remember: Remember
) -> Outcome | None:
    """What a finished job would say of `request`, or None where nothing is stored for it."""
    try:
        key = engine.key(request)
        if recent(key) is None:
            found = engine.lookup(verb, request)
            if found is None:
                return None
            remember(key, found)
        return Outcome("done", key, cached=True)
    except Exception as error:
        return told(error, "Looking for a stored result")
