"""The worker: one thread that owns the engine and does one thing at a time.

Owns the queue, the running job and those that wait for their model. Refuses transport, meaning (what a verb does is
the engine's) and how a model is changed. It imports no torch; the engine is opened in this thread.

A change of model waits for the jobs submitted before it and goes before those after it, so that no request meets
another model than its sender saw. A long run lets others go first between its batches, goes on when nobody looks, and
waits for its model where another is loaded: then it takes up again where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from backend.errors import BackendUnavailable, QueueFull, Stopped
from backend.serve.changing import RECENT, Change, Check, Models, ask
from backend.serve.history import Records
from backend.serve.jobs import Ended, Job, JobWatch, Outcome, nobody, told
from backend.serve.line import Line
from backend.serve.opening import Answering, ModelSpec, Opener, free_memory
from backend.serve.outcomes import compute, look_up
from backend.types import Event, JobView, ModelInfo, ModelStatus, Request, Result, Verb
from backend.verbs import table

log = logging.getLogger(__name__)
MAX_QUEUED = 200


class Worker:
    """Runs jobs and loads, one after the other, in its own thread. All methods may be called from any thread.

    Args:
        opener: makes the engine of a model; called in the worker's thread.
        check: raises where a model is known not to open; called in a thread of its own while the loaded one answers.
        memory: the bytes that an engine's model needs and those free.
        abandoned_after: seconds after which a running job that nobody views is stopped.
        keep, keep_seconds: how many finished jobs are remembered, how long.
        clock: seconds, never going back. ready: told of each opened model, in that thread; may submit, must not raise.
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
        self._models = Models(opener, check, self._changed, self._make_way, self._tell_waiting)
        self._count = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="hneurons-worker", daemon=True)
        self._thread.start()

    def load(self, spec: ModelSpec, *, session: str = "", confirmed: bool = True, gone: Collection[str] = ()) -> None:
        """Change to another model: checked first where one is loaded, then opened once the jobs submitted so far are
        done. A later call takes an earlier one's place.

        Raises Busy where others are at work and it is not `confirmed`; `session` is who asks for it, where known;
        `gone` are sessions that nobody looks at any more.
        """
        with self._changed:
            if not confirmed:
                recent = self._records.sessions(self._clock() - RECENT).difference(gone)
                jobs = [job for job in (*self._line.began, *self._line.queue) if job.is_long or job.session not in gone]
                ask(spec, session, self._models, jobs, recent)
            self._models.change(spec, session)

    def cancel_load(self) -> None:
        """Call off the change that is under way; the model before it stays, or is opened again. Raises Unknown."""
        with self._changed:
            self._models.cancel()

    def status(self) -> ModelStatus:
        """The loaded model, or how far its loading is, what is on its way, and how many jobs wait."""
        with self._changed:
            engine, status = self._models.engine, self._models.view()
            paused = tuple(job.run_name or job.verb for job in self._line.paused)
            status = status.model_copy(update={"queued": len(self._line.queue), "paused": paused})
        memory = self._memory(engine) if engine is not None and status.state == "ready" else None
        return status.model_copy(update={"memory": memory})

    def submit(self, verb: Verb, request: Request, session: str, ended: Ended = nobody) -> str:
        """Queue a request; the job's id. One whose result is stored is finished at once. `ended` is told of its end.

        Raises Unknown for no verb, BadSettings for the request of another one, QueueFull, and BackendUnavailable once
        the worker is closed.
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
        """Take a queued job out; tell a running one to end. One that has ended stays as it is. Raises Unknown."""
        with self._changed:
            job = self._records.job(job_id)
            job.left = True
            job.stop.set()
            job.interrupted = False
            if self._line.take_out(job):
                self._end(job, Outcome.of(Stopped()))

    def result(self, key: str) -> Result | None:
        """A recent result, kept in memory whether or not it could be stored."""
        with self._changed:
            return self._records.result(key)

    def long_runs(self) -> dict[str, str]:
        """Name of each run with a folder that is queued, running or waits for its model -> its job."""
        with self._changed:
            return self._line.long_runs

    def close(self, timeout: float = 30.0) -> None:
        """Stop every job and let the engine go; waits up to `timeout` seconds for the running one."""
        with self._changed:
            self._closed = True
            self._models.close()
            for job in self._line.take_all():
                self._end(job, Outcome.of(Stopped()))
            for busy in self._line.began:
                busy.stop.set()
                busy.interrupted = False
            self._changed.notify_all()
        self._thread.join(timeout)

    # What follows runs in the worker's thread, or under its lock.

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
        """Wait for the next thing to begin; None where those that run together should go on first, or when closed."""
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
        """A change is settled: long runs on the loaded model wait until it is loaded again. Number of jobs so far."""
        if info is not None:
            long = self._line.long
            if long is not None and not long.stop.is_set():
                long.interrupted = True
                long.stop.set()
            self._line.pause_queued(info)
            self._changed.notify_all()
        return self._count

    def _tell_waiting(self, change: Change, error: dict[str, str]) -> None:
        """A settled change came to nothing: what waits for its model will not be answered by another."""
        for job in [job for job in self._line.queue if job.number >= change.before]:
            self._line.queue.remove(job)
            self._end(job, Outcome("failed", error=error))

    def _run(self, job: Job) -> None:
        engine = self._models.engine
        assert engine is not None, "a job is chosen only while a model is loaded"
        with self._changed:
            self._line.long = job if job.is_long else self._line.long
        outcome = self._look_up(engine, job.verb, job.request) or self._joined(engine, job)
        if outcome is not None or job not in self._line.together.jobs:
            self._over(engine, job, outcome or self._compute(engine, job))

    def _joined(self, engine: Answering, job: Job) -> Outcome | None:
        """Let a job run together with others, where its verb can; how it ended, where it did so at once."""
        try:
            self._line.together.begin(engine, job, self._watch(job))
        except Exception as error:
            return told(error, f"The {job.verb} job {job.id}")
        if job in self._line.together.jobs:
            with self._changed:
                self._line.running = self._line.long
        return None

    def _advance(self) -> None:
        """One more token of what runs together; what is done with it ends."""
        engine = self._models.engine
        if engine is None or not self._line.together.jobs:
            return
        ended, left = self._line.together.advance(engine, self._remember)
        for job, outcome in ended:
            self._over(engine, job, outcome)
        for job in left:
            free_memory()
            self._over(engine, job, self._compute(engine, job))

    def _over(self, engine: Answering, job: Job, outcome: Outcome) -> None:
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
        """Between two batches of a long run: whoever waits goes first, but for other long runs."""
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
        """Raises where no further job can be taken."""
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
        """Whether `job` should end: Stop was pressed, or its owner went away."""
        if not job.stop.is_set() and not job.is_long:
            with self._changed:
                # Nobody waits long behind a closed browser.
                patience = self._abandoned_after / (4 if len(self._line.queue) else 1)
                gone = job.viewers == 0 and self._clock() - job.looked > patience
            if gone:
                log.info("The job %s is stopped: nobody looked at it for %.0f s.", job.id, self._abandoned_after)
                job.stop.set()
        return job.stop.is_set()
