"""The worker: one thread that owns the engine and does one thing at a time.

Owns the queue, the running jobs and those that wait for their model. It knows nothing of transport, of what a verb does
(the engine's task) or of how a model is changed. It imports no torch; the engine is opened in this thread.

A change of model waits for the jobs submitted before it and precedes those after it, so that every request meets the
model that its sender saw. A long run yields to other jobs between its batches, goes on without viewers, and waits for
its model while another is loaded; then it resumes where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from backend.errors import BackendUnavailable, QueueFull, Stopped
from backend.serve.changing import RECENT, Change, Check, ModelSlot, refuse_if_in_use
from backend.serve.history import Records
from backend.serve.jobs import Ended, Job, JobWatch, Outcome, ignore_end, logged_outcome
from backend.serve.line import Line
from backend.serve.opening import Answering, ModelSpec, Opener, free_memory
from backend.serve.outcomes import compute, look_up
from backend.types import Event, JobView, ModelInfo, ModelStatus, Request, Result, Verb
from backend.verbs import table

log = logging.getLogger(__name__)
MAX_QUEUED = 200


class Worker:
    """Runs jobs and loads models, one after the other, in its own thread. All methods may be called from any thread.

    Args:
        opener: makes the engine of a model; called in the worker's thread.
        check: raises if a model is known not to open; called in its own thread while the loaded model answers.
        memory: the bytes that an engine's model needs and those free.
        abandoned_after: seconds after which a running job without viewers is stopped.
        keep, keep_seconds: how many finished jobs are remembered, and for how long.
        clock: seconds, never going back.
        ready: called with each opened model, in the worker's thread; may submit jobs, must not raise.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        check: Check | None = None,
        memory: Callable[[Answering], dict[str, int] | None] = lambda engine: None,
        abandoned_after: float = 60.0,
        keep: int = 200,
        keep_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
        ready: Callable[[ModelInfo], None] = lambda info: None,
    ) -> None:
        self._memory, self._clock = memory, clock
        self._abandoned_after, self._ready = abandoned_after, ready
        self._changed = threading.Condition()
        self._line = Line()
        self._records = Records(keep, keep_seconds)
        self._models = ModelSlot(opener, check, self._changed, self._make_way, self._fail_waiting)
        self._count = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="hneurons-worker", daemon=True)
        self._thread.start()

    def load(self, spec: ModelSpec, *, session: str = "", confirmed: bool = True, gone: Collection[str] = ()) -> None:
        """Change to another model. It is checked first if one is loaded, then opened once the jobs submitted so far are
        done. A later call replaces an earlier one.

        Raises Busy if others use the model and it is not `confirmed`. `session`: who asks, if known; `gone`: sessions
        whose browser is closed.
        """
        with self._changed:
            if not confirmed:
                recent = self._records.sessions(self._clock() - RECENT).difference(gone)
                jobs = [job for job in (*self._line.began, *self._line.queue) if job.is_long or job.session not in gone]
                refuse_if_in_use(spec, session, self._models, jobs, recent)
            self._models.change(spec, session)

    def cancel_load(self) -> None:
        """Cancel the change in progress; the earlier model stays, or is opened again. Raises Unknown."""
        with self._changed:
            self._models.cancel()

    def status(self) -> ModelStatus:
        """The loaded model or the progress of loading it, the change in progress, and how many jobs wait."""
        with self._changed:
            engine, status = self._models.engine, self._models.view()
            paused = tuple(job.run_name or job.verb for job in self._line.paused)
            status = status.model_copy(update={"queued": len(self._line.queue), "paused": paused})
        memory = self._memory(engine) if engine is not None and status.state == "ready" else None
        return status.model_copy(update={"memory": memory})

    def submit(self, verb: Verb, request: Request, session: str, ended: Ended = ignore_end) -> str:
        """Queue a request and return the job's id. If its result is stored, the job is finished at once. `ended` is
        called when it ends.

        Raises Unknown if there is no such verb, BadSettings if the request is of another verb, QueueFull, and
        BackendUnavailable once the worker is closed.
        """
        table.row_taking(verb, request)
        with self._changed:
            engine = self._models.engine if self._models.settled is None else None
        outcome = self._look_up(engine, verb, request) if engine is not None else None
        with self._changed:
            self._accept(outcome)
            job = Job(verb, request, session, self._count, self._clock(), ended=ended)
            self._count += 1
            self._records.add(job)
            if outcome is not None:
                self._end(job, outcome)
            else:
                self._line.queue.push(session, job)
                self._changed.notify_all()
            return job.id

    def view(self, job_id: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after` on; waits up to `wait` seconds for something new.

        Raises Unknown.
        """
        until = time.monotonic() + wait
        with self._changed:
            job = self._records.job(job_id)
            before = (job.state, self._position(job))
            job.viewers += 1
            try:
                while job.finished is None and job.events.next <= after:
                    left = until - time.monotonic()
                    if left <= 0 or (job.state, self._position(job)) != before:
                        break
                    self._changed.wait(left)
            finally:
                job.viewers -= 1
                job.looked = self._clock()
            return job.view(after, self._position(job))

    def stop(self, job_id: str) -> None:
        """Remove a queued job, or ask a running one to end. An ended job stays as it is. Raises Unknown."""
        with self._changed:
            job = self._records.job(job_id)
            job.left = True
            job.stop.set()
            job.interrupted = False
            if self._line.take_out(job):
                self._end(job, Outcome.from_error(Stopped()))

    def result(self, key: str) -> Result | None:
        """A recent result, kept in memory even if it could not be stored."""
        with self._changed:
            return self._records.result(key)

    def long_runs(self) -> dict[str, str]:
        """Name -> job of each run that is queued, running or waits for its model."""
        with self._changed:
            return self._line.long_runs

    def close(self, timeout: float = 30.0) -> None:
        """Stop every job and drop the engine; waits up to `timeout` seconds for the running job."""
        with self._changed:
            self._closed = True
            self._models.close()
            for job in self._line.take_all():
                self._end(job, Outcome.from_error(Stopped()))
            for busy in self._line.began:
                busy.stop.set()
                busy.interrupted = False
            self._changed.notify_all()
        self._thread.join(timeout)

    # The methods below run in the worker's thread, or under its lock.

    def _work(self) -> None:
        while not self._closed or self._line.together.jobs:
            task = self._next()
            if isinstance(task, Job):
                self._run(task)
            elif task is not None:
                self._open(task)
            else:
                self._advance()
            del task
        self._models.let_go()

    def _next(self) -> Job | Change | None:
        """Wait for the next job or change. None if the jobs that run together should continue, or when closed."""
        with self._changed:
            while not self._closed:
                if (task := self._choose()) is not None or self._line.together.jobs:
                    return task
                self._changed.wait()
            return None

    def _choose(self) -> Job | Change | None:
        change, engine = self._models.settled, self._models.engine
        if engine is not None:
            if change is None:
                self._line.resume(engine.info)
            job = self._line.pop(engine, lambda job: change is None or job.number < change.before)
            if job is not None:
                self._begin(job)
                return job
        if self._line.together.jobs:
            return None
        if change is not None:
            change.state = "loading"
            return change
        if (error := self._models.failure) is not None:
            while (job := self._line.queue.pop()) is not None:
                self._end(job, Outcome("failed", error=error))
        return None

    def _open(self, change: Change) -> None:
        self._models.open(change)
        with self._changed:
            engine = self._models.engine
        if engine is not None:
            self._ready(engine.info)

    def _make_way(self, info: ModelInfo | None) -> int:
        """A change is settled: long runs wait until the loaded model is loaded again. Returns the number of jobs so
        far."""
        if info is not None:
            long = self._line.long
            if long is not None and not long.stop.is_set():
                long.interrupted = True
                long.stop.set()
            self._line.pause_queued(info)
            self._changed.notify_all()
        return self._count

    def _fail_waiting(self, change: Change, error: dict[str, str]) -> None:
        """A settled change failed: fail the jobs that wait for its model."""
        for job in [job for job in self._line.queue if job.number >= change.before]:
            self._line.queue.remove(job)
            self._end(job, Outcome("failed", error=error))

    def _run(self, job: Job) -> None:
        engine = self._models.engine
        assert engine is not None, "a job is chosen only while a model is loaded"
        with self._changed:
            self._line.long = job if job.is_long else self._line.long
        outcome = self._look_up(engine, job.verb, job.request) or self._try_together(engine, job)
        if outcome is not None or job not in self._line.together.jobs:
            self._finish(engine, job, outcome or self._compute(engine, job))

    def _try_together(self, engine: Answering, job: Job) -> Outcome | None:
        """Let a job run together with others, if its verb can. Returns its outcome if it ended at once."""
        try:
            self._line.together.begin(engine, job, self._watch(job))
        except Exception as error:
            return logged_outcome(error, f"The {job.verb} job {job.id}")
        if job in self._line.together.jobs:
            with self._changed:
                self._line.running = self._line.long
        return None

    def _advance(self) -> None:
        """Compute one more token of the jobs that run together, and end those that are done."""
        engine = self._models.engine
        if engine is None or not self._line.together.jobs:
            return
        ended, left = self._line.together.advance(engine, self._remember)
        for job, outcome in ended:
            self._finish(engine, job, outcome)
        for job in left:
            free_memory()
            self._finish(engine, job, self._compute(engine, job))

    def _finish(self, engine: Answering, job: Job, outcome: Outcome) -> None:
        with self._changed:
            self._line.long = None if self._line.long is job else self._line.long
            self._line.running = self._line.long
            if job.interrupted and outcome.state == "stopped":
                self._line.pause(job, engine.info)
                self._changed.notify_all()
            else:
                self._end(job, outcome)
        if outcome.error is not None and outcome.error["code"] == "out_of_memory":
            free_memory()

    def _interlude(self, long: Job) -> None:
        """Between two batches of a long run: run the waiting jobs first, except other long runs."""
        while not long.stop.is_set():
            engine = self._models.engine
            assert engine is not None, "a long run has its model"
            with self._changed:
                settled = self._models.settled is not None
                job = None if settled else self._line.pop(engine, lambda job: not job.is_long)
                if job is not None:
                    self._begin(job)
            if job is not None:
                self._run(job)
            elif self._line.together.jobs:
                self._advance()
            else:
                return

    def _begin(self, job: Job) -> None:
        self._line.running, job.state, job.looked = job, "running", self._clock()
        self._changed.notify_all()

    def _compute(self, engine: Answering, job: Job) -> Outcome:
        return compute(engine, job, self._watch(job), self._remember)

    def _look_up(self, engine: Answering, verb: Verb, request: Request) -> Outcome | None:
        return look_up(engine, verb, request, self.result, self._remember)

    def _remember(self, key: str, result: Result) -> None:
        with self._changed:
            self._records.remember(key, result)

    def _watch(self, job: Job) -> JobWatch:
        return JobWatch(job, self._emitted, self._unwanted, self._interlude)

    def _accept(self, outcome: Outcome | None) -> None:
        """Raises BackendUnavailable or QueueFull if no further job can be accepted."""
        if self._closed:
            raise BackendUnavailable("The engine is closed", "the program is ending", "start it again")
        if outcome is None and len(self._line.queue) >= MAX_QUEUED:
            raise QueueFull("Too many runs wait", f"{MAX_QUEUED} are in the queue", "try again in a minute")

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._records.end(job, outcome, self._clock())
        self._changed.notify_all()

    def _position(self, job: Job) -> int:
        return self._line.position(job, self._models.settled)

    def _emitted(self, job: Job, event: Event) -> None:
        with self._changed:
            job.events.add(event)
            self._changed.notify_all()

    def _unwanted(self, job: Job) -> bool:
        """Whether `job` should end: Stop was pressed, or nobody views it any more."""
        if not job.stop.is_set() and not job.is_long:
            with self._changed:
                # While others wait, an abandoned job is stopped sooner.
                patience = self._abandoned_after / (4 if len(self._line.queue) else 1)
                is_abandoned = job.viewers == 0 and self._clock() - job.looked > patience
            if is_abandoned:
                log.info("The job %s is stopped: nobody viewed it for %.0f s.", job.id, self._abandoned_after)
                job.stop.set()
        return job.stop.is_set()
