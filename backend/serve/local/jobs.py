"""The jobs of this process, and the runs among them that wait on disk.

Owns which run is kept until it has a folder, and which goes on by itself once its model is loaded. Refuses the queue
and the work (`backend.serve.worker`).
"""

from __future__ import annotations

import logging

from backend.errors import HNeuronsError
from backend.probes import library
from backend.runs import queued, status
from backend.runs.queued import Queued
from backend.serve.jobs import Job
from backend.serve.worker import Worker
from backend.types import IdentifyRequest, JobView, ModelInfo, Request, Verb
from backend.verbs.table import IDENTIFY

log = logging.getLogger(__name__)


def _left(name: str) -> None:
    try:
        status.leave(library.folder_of(name))
    # The worker that ends the job must outlive whatever lies on the disk.
    except (HNeuronsError, OSError) as error:
        log.warning("The run %s was stopped, and may go on by itself: %s", name, error)


class LocalJobs:
    """See `backend.serve.client.Jobs`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue = queued.Queue()

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session`; the job's id."""
        if verb != IDENTIFY.name or not isinstance(request, IdentifyRequest):
            return self._worker.submit(verb, request, session)
        held = queued.waiting(request.name)
        if held is not None and not request.questions and held.request.plan.source == request.plan.source:
            # Its questions are where it waited, until it has a folder.
            request = request.model_copy(update={"questions": held.request.questions})
        now = self._worker.status()
        info = now.info if now.change is None or now.change.state == "checking" else None
        model = info.name if info is not None else now.name or ""
        job = self._enqueue(
            Queued(request=request, model=model, fingerprint=info.fingerprint if info is not None else ""), session
        )
        assert job is not None, "without a session of its own it is left to whoever keeps it"
        return job

    def _enqueue(self, one: Queued, session: str = "") -> str | None:
        """Queue a run, kept until it has begun; the job's id. Without a `session` one that another program keeps is
        left to that."""
        name = one.request.name
        is_ours = self._queue.keep(one)
        if not is_ours and not session:
            return None

        def ended(job: Job) -> None:
            if job.left:
                # It may have waited for its model, or to go on, and its folder says that it does.
                _left(name)
            # At the end of the program it waits on: nobody took it back.
            if is_ours and (job.left or job.state != "stopped"):
                self._queue.drop(name)

        try:
            return self._worker.submit(IDENTIFY.name, one.request, session or f"run {name}", ended)
        except HNeuronsError:
            if is_ours:
                self._queue.drop(name)
            raise

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        return self._worker.view(job, after, wait)

    def stop(self, job: str) -> None:
        """Stop a job, queued or running."""
        self._worker.stop(job)

    def go_on(self, info: ModelInfo) -> None:
        """Take up the runs of this model that were broken off by a load or the end of the program, or were never
        begun."""
        from backend.serve import shelf

        try:
            waiting = [one for _, one in queued.left()]
            for run in shelf.runs(self._worker.long_runs()):
                if (
                    run.waits
                    and run.fingerprint == info.fingerprint
                    and run.name not in {w.request.name for w in waiting}
                ):
                    log.info("The run %s goes on.", run.name)
                    request = IdentifyRequest(name=run.name, plan=run.plan)
                    self._enqueue(Queued(request=request, model=info.name, fingerprint=info.fingerprint))
            for one in waiting:
                if one.is_for(info) and one.tries < queued.TRIES and one.request.name not in self._worker.long_runs():
                    self._enqueue(one.model_copy(update={"tries": one.tries + 1}))
        # It runs in the worker's thread, which must outlive whatever lies on the disk.
        except Exception as error:
            log.warning("runs that were broken off do not go on: %s", error, exc_info=True)

    def close(self) -> None:
        """Let go of what is kept for runs that have not begun."""
        self._queue.close()
