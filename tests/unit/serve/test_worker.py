"""The worker: fair, stoppable at any moment, and unharmed by whatever a run does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backend.errors import BackendUnavailable, ModelUnreadable, QueueFull, Unknown, UnknownModel
from backend.serve.opening import Answering, ModelSpec, Progress
from backend.serve.worker import MAX_QUEUED, Worker
from backend.types import Decoding, ExploreRequest, IdentifyRequest, JobView, TokenEvent
from tests.doors import result_of, told
from tests.fakes import INFO, FakeEngine

ENDED = ("done", "failed", "stopped")
PATIENCE = 10.0


def asking(prompt: str, tokens: int = 4) -> ExploreRequest:
    return ExploreRequest(prompt=prompt, decoding=Decoding(max_new_tokens=tokens))


class Gate:
    """Holds a run before each of its tokens until it is let through."""

    def __init__(self, free: int = 0) -> None:
        self._tokens = threading.Semaphore(free)
        self.reached = threading.Event()
        self.open = False

    def __call__(self, index: int) -> None:
        self.reached.set()
        if not self.open:
            assert self._tokens.acquire(timeout=PATIENCE), "the test forgot to open the gate"

    def let(self, count: int = 1) -> None:
        if count:
            self._tokens.release(count)

    def open_wide(self) -> None:
        self.open = True
        self._tokens.release(10_000)


@contextmanager
def working(engine: FakeEngine, **settings: Any) -> Iterator[Worker]:
    worker = Worker(lambda spec, progress: engine, **settings)
    worker.load(ModelSpec("fake-model"))
    try:
        yield worker
    finally:
        if isinstance(engine.on_token, Gate):
            engine.on_token.open_wide()
        worker.close(timeout=PATIENCE)
        assert not worker._thread.is_alive()


def ended(worker: Worker, job: str) -> JobView:
    """The job once it has ended, with all its events."""
    until = time.monotonic() + PATIENCE
    while (view := worker.view(job, 0, 0.5)).state not in ENDED:
        assert time.monotonic() < until, f"the job is still {view.state}"
        worker.view(job, view.next, 0.5)
    return view


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.002)


def test_a_run_streams_its_tokens_and_leaves_its_result() -> None:
    engine = FakeEngine()
    with working(engine) as worker:
        view = ended(worker, worker.submit("explore", asking("Why?"), "ann"))
        assert view.state == "done" and not view.cached and view.position == 0
        texts = [event.text for event in view.events if isinstance(event, TokenEvent)]
        assert texts == [" w0", " w0 w1", " w0 w1 w2", " w0 w1 w2 w3"]
        assert view.key == engine.key(asking("Why?"))
        assert result_of(worker, view).answer == " w0 w1 w2 w3"


def test_view_gives_only_what_is_new_and_waits_for_it() -> None:
    gate = Gate()
    with working(FakeEngine(on_token=gate)) as worker:
        job = worker.submit("explore", asking("Why?"), "ann")
        assert gate.reached.wait(PATIENCE)
        before = worker.view(job)
        started = time.monotonic()
        assert worker.view(job, before.next, 0.05).events == ()
        assert time.monotonic() - started >= 0.05
        gate.let(1)
        fresh = worker.view(job, before.next, PATIENCE)
        assert [event.text for event in fresh.events if isinstance(event, TokenEvent)] == [" w0"]
        assert fresh.next == before.next + 1


def test_runs_wait_while_the_model_loads_and_run_when_it_is_there() -> None:
    loaded = threading.Event()

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        progress("reading weights", 0.5)
        assert loaded.wait(PATIENCE)
        return FakeEngine()

    worker = Worker(opener)
    worker.load(ModelSpec("fake-model"))
    job = worker.submit("explore", asking("Why?"), "ann")
    wait_for(lambda: worker.status().stage == "reading weights")
    status = worker.status()
    assert (status.state, status.name, status.fraction, status.queued) == ("loading", "fake-model", 0.5, 1)
    assert worker.view(job).state == "queued"
    loaded.set()
    assert ended(worker, job).state == "done"
    assert worker.status().info == INFO
    worker.close()


def test_sessions_take_turns_and_see_their_place() -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        first = worker.submit("explore", asking("a0", 1), "ann")
        assert gate.reached.wait(PATIENCE)
        jobs = {name: worker.submit("explore", asking(name, 1), name[0]) for name in ("a1", "a2", "b1", "b2")}
        assert [worker.view(jobs[name]).position for name in ("a1", "b1", "a2", "b2")] == [1, 2, 3, 4]
        assert worker.view(first).position == 0
        gate.open_wide()
        for job in jobs.values():
            ended(worker, job)
    assert engine.prompts == ["a0", "a1", "b1", "a2", "b2"]


def test_a_queued_run_that_is_stopped_never_runs() -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        running = worker.submit("explore", asking("first"), "ann")
        assert gate.reached.wait(PATIENCE)
        queued = worker.submit("explore", asking("second"), "ann")
        worker.stop(queued)
        view = worker.view(queued)
        assert view.state == "stopped" and told(view)["code"] == "stopped"
        gate.open_wide()
        assert ended(worker, running).state == "done"
    assert engine.prompts == ["first"]


@pytest.mark.parametrize("moment", range(6))
def test_stop_frees_the_worker_within_one_token_at_any_moment(moment: int) -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        job = worker.submit("explore", asking("long", 6), "ann")
        gate.let(moment)
        wait_for(lambda: sum(isinstance(e, TokenEvent) for e in worker.view(job).events) == moment)
        worker.stop(job)
        gate.let(1)
        view = ended(worker, job)
        tokens = sum(isinstance(event, TokenEvent) for event in view.events)
        assert tokens <= moment + 1
        assert view.state == ("done" if tokens == 6 else "stopped")
        assert (worker.result(engine.key(asking("long", 6))) is None) == (view.state == "stopped")
        gate.open_wide()
        assert ended(worker, worker.submit("explore", asking("next"), "ann")).state == "done"


def test_stopping_what_has_ended_changes_nothing() -> None:
    with working(FakeEngine()) as worker:
        job = worker.submit("explore", asking("Why?"), "ann")
        ended(worker, job)
        worker.stop(job)
        assert worker.view(job).state == "done"


def test_an_unexpected_failure_is_told_and_the_next_run_works(caplog: pytest.LogCaptureFixture) -> None:
    def explode(index: int) -> None:
        raise ZeroDivisionError("a bug")

    engine = FakeEngine(on_token=explode)
    with working(engine) as worker, caplog.at_level(logging.ERROR):
        view = ended(worker, worker.submit("explore", asking("boom"), "ann"))
        assert view.state == "failed"
        assert told(view)["code"] == "internal" and "ZeroDivisionError: a bug" in told(view)["why"]
        assert any(record.exc_info for record in caplog.records), "the log has the traceback"
        engine.on_token = None
        assert ended(worker, worker.submit("explore", asking("boom"), "ann")).state == "done"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_exhausted_memory_says_to_shorten(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def exhaust(index: int) -> None:
        raise error

    with working(FakeEngine(on_token=exhaust)) as worker:
        view = ended(worker, worker.submit("explore", asking("huge"), "ann"))
    assert told(view)["code"] == "out_of_memory" and "shorten" in told(view)["instead"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_expected_failure_keeps_its_words() -> None:
    def refuse(index: int) -> None:
        raise ModelUnreadable("the weights are gone", "the disk was taken out", "put it back")

    with working(FakeEngine(on_token=refuse)) as worker:
        view = ended(worker, worker.submit("explore", asking("Why?"), "ann"))
    expected = {"what": "the weights are gone", "why": "the disk was taken out", "instead": "put it back"}
    assert told(view) == {"code": "model_unreadable", **expected}


def test_two_who_ask_the_same_have_it_computed_once() -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        jobs = [worker.submit("explore", asking("same"), session) for session in ("ann", "bob")]
        gate.open_wide()
        views = [ended(worker, job) for job in jobs]
        assert [view.cached for view in views] == [False, True]
        assert views[0].key == views[1].key
    assert len(engine.computed) == 1


def test_a_stored_result_comes_at_once_even_while_another_run_works() -> None:
    engine = FakeEngine()
    with working(engine) as worker:
        ended(worker, worker.submit("explore", asking("known"), "ann"))
        engine.on_token = gate = Gate()
        worker.submit("explore", asking("slow"), "ann")
        assert gate.reached.wait(PATIENCE)
        view = worker.view(worker.submit("explore", asking("known"), "bob"))
        assert (view.state, view.cached, view.key) == ("done", True, engine.key(asking("known")))


@pytest.mark.parametrize(("somebody_waits", "patience"), [(False, 60.0), (True, 15.0)])
def test_a_run_that_nobody_looks_at_is_stopped_and_sooner_where_somebody_waits(
    somebody_waits: bool, patience: float
) -> None:
    now = [0.0]
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine, abandoned_after=60.0, clock=lambda: now[0]) as worker:
        job = worker.submit("explore", asking("left", 6), "ann")
        assert gate.reached.wait(PATIENCE)
        if somebody_waits:
            worker.submit("explore", asking("waiting"), "bob")
        now[0] = 50.0
        worker.view(job)
        now[0] = 50.0 + patience - 1
        gate.let(1)
        wait_for(lambda: len(worker._records.job(job).events.since(0)) == 3)
        assert worker._records.job(job).state == "running", "looked at a second less ago"
        now[0] = 50.0 + patience + 1
        gate.let(1)
        wait_for(lambda: worker._records.job(job).state == "stopped")
        gate.open_wide()
        assert ended(worker, worker.submit("explore", asking("next"), "bob")).state == "done"


def test_two_sessions_at_once_each_get_their_own() -> None:
    with working(FakeEngine()) as worker:
        answers: dict[str, str] = {}

        def person(name: str) -> None:
            for number in range(5):
                request = asking(f"{name}{number}")
                view = ended(worker, worker.submit("explore", request, name))
                answers[f"{name}{number}"] = result_of(worker, view).request.prompt

        people = [threading.Thread(target=person, args=(name,)) for name in ("ann", "bob")]
        for thread in people:
            thread.start()
        for thread in people:
            thread.join(PATIENCE)
    assert answers == {f"{name}{number}": f"{name}{number}" for name in ("ann", "bob") for number in range(5)}


def test_a_failed_load_is_told_to_those_who_wait_and_the_next_load_works() -> None:
    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        if spec.name == "broken":
            raise UnknownModel("'broken' is no model", "nothing has that name", "choose one of the table")
        return FakeEngine()

    worker = Worker(opener)
    worker.load(ModelSpec("broken"))
    early = worker.submit("explore", asking("early"), "ann")
    assert told(ended(worker, early))["code"] == "unknown_model"
    assert worker.status().state == "failed" and (worker.status().error or {})["code"] == "unknown_model"
    late = worker.submit("explore", asking("late"), "ann")
    assert told(ended(worker, late))["code"] == "unknown_model"
    worker.load(ModelSpec("fake-model"))
    assert ended(worker, worker.submit("explore", asking("again"), "ann")).state == "done"
    assert worker.status().state == "ready" and worker.status().error is None
    worker.close()


def test_the_old_model_is_let_go_before_the_new_one_is_opened() -> None:
    alive_at_open = []

    class Counted(FakeEngine):
        alive = 0

        def __init__(self) -> None:
            super().__init__()
            Counted.alive += 1

        def __del__(self) -> None:
            Counted.alive -= 1

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        alive_at_open.append(Counted.alive)
        return Counted()

    worker = Worker(opener)
    for name in ("one", "two"):
        worker.load(ModelSpec(name))
        ended(worker, worker.submit("explore", asking(name), "ann"))
    worker.close()
    assert alive_at_open == [0, 0]


def test_a_load_waits_for_earlier_runs_and_goes_before_later_ones() -> None:
    gate = Gate()
    engines = {
        name: FakeEngine(INFO.model_copy(update={"name": name, "fingerprint": name[0] * 64}), on_token=gate)
        for name in ("old", "new")
    }
    worker = Worker(lambda spec, progress: engines[spec.name or ""])
    worker.load(ModelSpec("old"))
    first = worker.submit("explore", asking("one", 1), "ann")
    assert gate.reached.wait(PATIENCE)
    second = worker.submit("explore", asking("two", 1), "ann")
    worker.load(ModelSpec("new"))
    third = worker.submit("explore", asking("three", 1), "bob")
    assert (worker.status().state, worker.status().name) == ("loading", "new")
    assert [worker.view(job).position for job in (first, second, third)] == [0, 1, 2]
    gate.open_wide()
    for job in (first, second, third):
        assert ended(worker, job).state == "done"
    assert engines["old"].prompts == ["one", "two"]
    assert engines["new"].prompts == ["three"]
    worker.close()


def test_old_jobs_are_forgotten_by_number_and_by_age() -> None:
    now = [0.0]
    with working(FakeEngine(), keep=2, keep_seconds=100.0, clock=lambda: now[0]) as worker:
        jobs = []
        for number in range(3):
            jobs.append(worker.submit("explore", asking(str(number)), "ann"))
            ended(worker, jobs[-1])
        with pytest.raises(Unknown):
            worker.view(jobs[0])
        assert worker.view(jobs[1]).state == "done"
        now[0] = 101.0
        ended(worker, worker.submit("explore", asking("now"), "ann"))
        with pytest.raises(Unknown):
            worker.view(jobs[2])


def test_a_full_queue_refuses_and_recovers() -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        worker.submit("explore", asking("running", 1), "ann")
        assert gate.reached.wait(PATIENCE)
        jobs = [worker.submit("explore", asking(str(number), 1), "ann") for number in range(MAX_QUEUED)]
        with pytest.raises(QueueFull):
            worker.submit("explore", asking("one more"), "bob")
        worker.stop(jobs[0])
        worker.submit("explore", asking("one more"), "bob")


def test_closing_ends_everything_and_takes_no_more() -> None:
    gate, engine = Gate(), FakeEngine()
    engine.on_token = gate
    with working(engine) as worker:
        running = worker.submit("explore", asking("running"), "ann")
        assert gate.reached.wait(PATIENCE)
        queued = worker.submit("explore", asking("queued"), "ann")
        closing = threading.Thread(target=worker.close)
        closing.start()
        wait_for(lambda: worker.view(queued).state == "stopped")
        gate.let(1)
        closing.join(PATIENCE)
        assert worker.view(running).state == "stopped"
        with pytest.raises(BackendUnavailable):
            worker.submit("explore", asking("late"), "ann")


# Long runs


def training(name: str = "a") -> IdentifyRequest:
    return IdentifyRequest(name=name)


def test_others_go_first_between_the_batches_of_a_long_run() -> None:
    gate = Gate()
    engine = FakeEngine(on_token=gate)
    with working(engine) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        gate.let(2)
        wait_for(lambda: worker.view(long).next >= 3)
        quick = [worker.submit("explore", asking(f"Q{n}", 1), "bob") for n in range(3)]
        # Open for the batch that runs now, and for the three answers behind it.
        gate.let(4)
        for job in quick:
            assert ended(worker, job).state == "done"
        view = worker.view(long)
        assert view.state == "running" and view.next < 6
        assert worker.long_runs() == {"a": long}
        gate.open_wide()
        assert ended(worker, long).state == "done"
        assert worker.long_runs() == {}
    assert [type(request).__name__ for request in engine.computed] == ["IdentifyRequest"] + 3 * ["ExploreRequest"]


def test_two_long_runs_go_one_after_the_other() -> None:
    gate = Gate()
    with working(FakeEngine(on_token=gate)) as worker:
        first, second = (worker.submit("identify", training(name), name) for name in "ab")
        assert gate.reached.wait(PATIENCE)
        gate.let(2)
        wait_for(lambda: worker.view(first).next >= 3)
        assert worker.view(second).state == "queued" and worker.view(second).position == 1
        assert set(worker.long_runs()) == {"a", "b"}
        gate.open_wide()
        assert ended(worker, first).state == ended(worker, second).state == "done"


def test_a_long_run_goes_on_when_nobody_looks() -> None:
    now = [0.0]
    gate = Gate()
    with working(FakeEngine(on_token=gate), clock=lambda: now[0], abandoned_after=5.0) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        now[0] = 1_000.0
        gate.open_wide()
        time.sleep(0.05)
        assert ended(worker, long).state == "done"


def test_stop_ends_a_long_run_and_what_waits_runs() -> None:
    gate = Gate()
    with working(FakeEngine(on_token=gate)) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        quick = worker.submit("explore", asking("Q", 1), "bob")
        worker.stop(long)
        gate.open_wide()
        assert ended(worker, long).state == "stopped"
        assert ended(worker, quick).state == "done"


def test_a_load_stops_a_long_run_after_the_jobs_before_it() -> None:
    gate = Gate()
    with working(FakeEngine(on_token=gate)) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        before = worker.submit("explore", asking("before", 1), "bob")
        worker.load(ModelSpec("other"))
        gate.open_wide()
        assert ended(worker, long).state == "stopped"
        assert ended(worker, before).state == "done"
        wait_for(lambda: worker.status().state == "ready")


def test_a_run_that_fails_in_an_interlude_leaves_the_long_one_alone() -> None:
    failures: list[RuntimeError] = []

    def fail_at(index: int) -> None:
        if len(engine.computed) == 2 and not failures:
            failures.append(RuntimeError("broken"))
            raise failures[0]
        gate(index)

    gate = Gate()
    engine = FakeEngine(on_token=fail_at)
    with working(engine) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        quick = worker.submit("explore", asking("Q", 1), "bob")
        gate.open_wide()
        assert ended(worker, quick).state == "failed"
        assert ended(worker, long).state == "done"
