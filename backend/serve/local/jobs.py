"""The jobs of this process, including runs that wait on disk.

Owns which run is kept on disk until it has a folder, and which resumes by itself once its model is loaded. The queue
and the work itself are `backend.serve.worker`'s.
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


def _stay_stopped(name: str) -> None:
    try:
        status.cancel_resume(library.folder_of(name))
    # Bad files on disk must not end the worker's thread.
    except (HNeuronsError, OSError) as error:
        log.warning("The run %s was stopped, and may go on by itself: %s", name, error)


class LocalJobs:
    """See `backend.serve.client.Jobs`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue = queued.Queue()

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session` and return the job's id."""
        if verb != IDENTIFY.name or not isinstance(request, IdentifyRequest):
            return self._worker.submit(verb, request, session)
        waiting_run = queued.waiting(request.name)
        if waiting_run is not None and not request.questions and waiting_run.request.plan.source == request.plan.source:
            # Until the run has a folder, its questions are kept with its queue entry.
            request = request.model_copy(update={"questions": waiting_run.request.questions})
        now = self._worker.status()
        info = now.info if now.change is None or now.change.state == "checking" else None
        model = info.name if info is not None else now.name or ""
        job = self._enqueue(
            Queued(request=request, model=model, fingerprint=info.fingerprint if info is not None else ""), session
        )
        assert job is not None, "only a run without a session is left to another program"
        return job

    def _enqueue(self, run: Queued, session: str = "") -> str | None:
        """Queue a run, kept on disk until it has begun, and return the job's id.

        Without a `session`, a run that another program keeps is left to that program, and None is returned.
        """
        name = run.request.name
        is_ours = self._queue.keep(run)
        if not is_ours and not session:
            return None

        def ended(job: Job) -> None:
            if job.left:
                # Its folder may still say that it waits to resume.
                _stay_stopped(name)
            # A run that the end of the program stops stays queued on disk: no person cancelled it.
            if is_ours and (job.left or job.state != "stopped"):
                self._queue.drop(name)

        try:
            return self._worker.submit(IDENTIFY.name, run.request, session or f"run {name}", ended)
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
        """Resume the runs of this model that were interrupted by a load or the end of the program, or never begun."""
        from backend.serve import shelf

        try:
            queued_runs = [queued_run for _, queued_run in queued.orphaned()]
            for run in shelf.runs(self._worker.long_runs()):
                if (
                    run.waits
                    and run.fingerprint == info.fingerprint
                    and run.name not in {queued_run.request.name for queued_run in queued_runs}
                ):
                    log.info("The run %s goes on.", run.name)
                    request = IdentifyRequest(name=run.name, plan=run.plan)
                    self._enqueue(Queued(request=request, model=info.name, fingerprint=info.fingerprint))
            for queued_run in queued_runs:
                if (
                    queued_run.is_for(info)
                    and queued_run.tries < queued.TRIES
                    and queued_run.request.name not in self._worker.long_runs()
                ):
                    self._enqueue(queued_run.model_copy(update={"tries": queued_run.tries + 1}))
        # This runs in the worker's thread, which bad files on disk must not end.
        except Exception as error:
            log.warning("runs that were broken off do not go on: %s", error, exc_info=True)

    def close(self) -> None:
        """Release the entries of runs that have not begun."""
        self._queue.close()
