"""The worker: one thread that owns the engine and does one thing at a time.

Owns the queue, the running job and the loading of models between jobs.
Refuses transport (clients and HTTP are beside it) and meaning: what a verb does is the engine's.
It imports no torch; whoever opens the engine does so in this thread.

A load waits for the jobs submitted before it and runs before those submitted after it, so that no
request meets another model than the one its sender saw. A long run (`LONG`) lets others go first between its
batches, goes on when nobody looks, and is stopped by a load: it takes up again where it was.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from backend.errors import BackendUnavailable, QueueFull, Stopped
from backend.serve.fair import FairQueue
from backend.serve.jobs import Job, Outcome
from backend.serve.opening import Answering, ModelSpec, Opener
from backend.serve.records import Records
from backend.types import LONG, Event, IdentifyRequest, JobView, ModelInfo, ModelStatus, Request, Result, Verb

log = logging.getLogger(__name__)

MAX_QUEUED = 200


@dataclass(frozen=True)
class _Load:
    spec: ModelSpec
    before: int
    """Jobs numbered below this were submitted earlier."""


class Worker:
    """Runs jobs and loads, one after the other, in its own thread. All methods may be called from any thread.

    Args:
        opener: makes the engine of a model; called in the worker's thread.
        memory: the bytes that an engine's model needs and those free, for `status`.
        abandoned_after: seconds after which a running job that nobody views is stopped.
        keep, keep_seconds: how many finished jobs are remembered, and how long.
        clock: seconds from any origin, never going back.
        ready: told of each model that was opened, in the worker's thread; may submit. Must not raise.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        memory: Callable[[Answering], dict[str, int] | None] = lambda engine: None,
        abandoned_after: float = 60.0,
        keep: int = 200,
        keep_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
        ready: Callable[[ModelInfo], None] = lambda info: None,
    ) -> None:
        self._opener, self._memory, self._clock = opener, memory, clock
        self._abandoned_after, self._ready = abandoned_after, ready
        self._changed = threading.Condition()
        self._queue: FairQueue[Job] = FairQueue()
        self._records = Records(keep, keep_seconds)
        self._running: Job | None = None
        self._long: Job | None = None
        self._engine: Answering | None = None
        self._load: _Load | None = None
        self._status = ModelStatus(state="none")
        self._count = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="hneurons-worker", daemon=True)
        self._thread.start()

    def load(self, spec: ModelSpec) -> None:
        """Open another model once the jobs submitted so far are done. A later call takes an earlier one's place."""
        with self._changed:
            self._load = _Load(spec, self._count if self._load is None else self._load.before)
            self._status = self._status.model_copy(
                update={"state": "loading", "name": spec.name, "stage": "waiting", "info": None, "error": None}
            )
            if self._long is not None:
                self._long.stop.set()
            self._changed.notify_all()

    def status(self) -> ModelStatus:
        """The loaded model, or how far its loading is, and how many jobs wait."""
        with self._changed:
            status, engine = self._status, self._engine
            queued = len(self._queue)
        memory = self._memory(engine) if engine is not None and status.state == "ready" else None
        return status.model_copy(update={"queued": queued, "memory": memory})

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request; the job's id. One whose result is stored is finished at once, whatever else runs.

        Raises QueueFull, and BackendUnavailable once the worker is closed.
        """
        with self._changed:
            engine = self._engine if self._load is None else None
        outcome = self._look_up(engine, verb, request) if engine is not None else None
        with self._changed:
            self._accept(outcome)
            job = Job(verb, request, session, self._count, self._clock())
            self._count += 1
            self._records.add(job)
            if outcome is not None:
                self._end(job, outcome)
            else:
                self._queue.push(session, job)
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
            if self._queue.remove(job):
                self._end(job, Outcome.of(Stopped()))

    def result(self, key: str) -> Result | None:
        """A recent result, kept in memory whether or not it could be stored."""
        with self._changed:
            return self._records.result(key)

    def long_runs(self) -> dict[str, str]:
        """Name of each long run that is queued or running -> its job."""
        with self._changed:
            jobs = [job for job in (self._long, *self._queue) if job is not None]
            return {job.request.name: job.id for job in jobs if isinstance(job.request, IdentifyRequest)}

    def close(self, timeout: float = 30.0) -> None:
        """Stop every job and let the engine go; waits up to `timeout` seconds for the running one."""
        with self._changed:
            self._closed, self._load = True, None
            while (job := self._queue.pop()) is not None:
                self._end(job, Outcome.of(Stopped()))
            for job in (self._running, self._long):
                if job is not None:
                    job.stop.set()
            self._changed.notify_all()
        self._thread.join(timeout)

    # What follows runs in the worker's thread, or under its lock.

    def _work(self) -> None:
        while (task := self._next()) is not None:
            if isinstance(task, Job):
                self._run(task)
            else:
                self._open(task.spec)
            del task
        with self._changed:
            self._engine, self._status = None, ModelStatus(state="none")
        _free_memory()

    def _next(self) -> Job | _Load | None:
        """Wait for the next thing to do; None when closed."""
        with self._changed:
            while not self._closed:
                if (task := self._choose()) is not None:
                    return task
                self._changed.wait()
            return None

    def _choose(self) -> Job | _Load | None:
        load = self._load
        if self._engine is not None:
            job = self._queue.pop() if load is None else self._queue.pop(lambda job: job.number < load.before)
            if job is not None:
                self._begin(job)
                return job
        if load is not None:
            self._load = None
            return load
        if self._status.state == "failed":
            while (job := self._queue.pop()) is not None:
                self._end(job, Outcome("failed", error=self._status.error))
        return None

    def _open(self, spec: ModelSpec) -> None:
        with self._changed:
            held, self._engine = self._engine is not None, None
            self._status = ModelStatus(state="loading", name=spec.name, stage="starting")
        if held:
            _free_memory()
        try:
            engine = self._opener(spec, self._progress)
            status = ModelStatus(state="ready", name=engine.info.name, info=engine.info)
        except Exception as error:
            outcome = _told(error, f"Loading {spec.name}")
            engine, status = None, ModelStatus(state="failed", name=spec.name, error=outcome.error)
        with self._changed:
            self._engine = engine
            # While another load waits, its state is the one to show.
            self._status = status if self._load is None else self._status
            self._changed.notify_all()
        if engine is not None:
            self._ready(engine.info)

    def _progress(self, stage: str, fraction: float | None) -> None:
        with self._changed:
            if self._load is None:
                self._status = self._status.model_copy(update={"stage": stage, "fraction": fraction})

    def _run(self, job: Job) -> None:
        engine = self._engine
        assert engine is not None, "a job is chosen only while a model is loaded"
        with self._changed:
            self._long = job if job.verb in LONG else self._long
        outcome = self._look_up(engine, job.verb, job.request) or self._compute(engine, job)
        with self._changed:
            self._long = None if self._long is job else self._long
            self._running = self._long
            self._end(job, outcome)
        if outcome.error is not None and outcome.error["code"] == "out_of_memory":
            _free_memory()

    def _interlude(self, long: Job) -> None:
        """Between two batches of a long run: whoever waits goes first, but for other long runs."""
        while not long.stop.is_set():
            with self._changed:
                job = None if self._load is not None else self._queue.pop(lambda job: job.verb not in LONG)
                if job is None:
                    return
                self._begin(job)
            self._run(job)

    def _begin(self, job: Job) -> None:
        self._running, job.state, job.looked = job, "running", self._clock()
        self._changed.notify_all()

    def _compute(self, engine: Answering, job: Job) -> Outcome:
        try:
            if job.stop.is_set():
                raise Stopped
            key = engine.key(job.request)
            self._remember(key, engine.run(job.verb, job.request, _JobWatch(self, job)))
            return Outcome("done", key)
        except Exception as error:
            return _told(error, f"The {job.verb} job {job.id}")

    def _look_up(self, engine: Answering, verb: Verb, request: Request) -> Outcome | None:
        """What a finished job would say of `request`, or None where nothing is stored for it."""
        try:
            key = engine.key(request)
            if self.result(key) is None:
                found = engine.lookup(verb, request)
                if found is None:
                    return None
                self._remember(key, found)
            return Outcome("done", key, cached=True)
        except Exception as error:
            return _told(error, "Looking for a stored result")

    def _remember(self, key: str, result: Result) -> None:
        with self._changed:
            self._records.remember(key, result)

    def _accept(self, outcome: Outcome | None) -> None:
        """Raises where no further job can be taken."""
        if self._closed:
            raise BackendUnavailable("The engine is closed", "the program is ending", "start it again")
        if outcome is None and len(self._queue) >= MAX_QUEUED:
            raise QueueFull("Too many runs wait", f"{MAX_QUEUED} are in the queue", "try again in a minute")

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._records.end(job, outcome, self._clock())
        self._changed.notify_all()

    def _position(self, job: Job) -> int:
        """How many jobs run before `job`."""
        if job.state != "queued":
            return 0
        waiting = list(self._queue)
        if (load := self._load) is not None:
            waiting.sort(key=lambda other: other.number >= load.before)
        return waiting.index(job) + (self._running is not None)

    def _emitted(self, job: Job, event: Event) -> None:
        with self._changed:
            job.events.add(event)
            self._changed.notify_all()

    def _unwanted(self, job: Job) -> bool:
        """Whether `job` should end: Stop was pressed, or its owner went away."""
        if not job.stop.is_set() and job.verb not in LONG:
            with self._changed:
                # Nobody waits long behind a closed browser.
                patience = self._abandoned_after / (4 if len(self._queue) else 1)
                gone = job.viewers == 0 and self._clock() - job.looked > patience
            if gone:
                log.info("The job %s is stopped: nobody looked at it for %.0f s.", job.id, self._abandoned_after)
                job.stop.set()
        return job.stop.is_set()


@dataclass(frozen=True)
class _JobWatch:
    """The watch of one running job."""

    worker: Worker
    job: Job

    def emit(self, event: Event) -> None:
        """Number the event and wake who waits for it."""
        self.worker._emitted(self.job, event)

    def stopped(self) -> bool:
        """Whether the job should end."""
        return self.worker._unwanted(self.job)

    def rest(self) -> None:
        """Let others go first."""
        self.worker._interlude(self.job)

    def goes_on(self) -> bool:
        """A load, or the end of the program, breaks a run off; a person leaves it."""
        return not self.job.left


def _told(error: Exception, doing: str) -> Outcome:
    """The outcome that `error` makes; a bug goes into the log with its traceback."""
    outcome = Outcome.of(error)
    if outcome.error is not None and outcome.error["code"] == "internal":
        log.error("%s failed.", doing, exc_info=error)
    return outcome


def _free_memory() -> None:
    """Give back what dropped tensors held, if torch has been imported at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
