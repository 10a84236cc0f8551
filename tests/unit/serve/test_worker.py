"""The worker: fair, stoppable at any moment, and unharmed by whatever a run does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backend.errors import BackendUnavailable, Busy, ModelUnreadable, QueueFull, Unknown, UnknownModel
from backend.neurons import NeuronSet
from backend.serve.opening import Answering, ModelSpec, Progress
from backend.serve.worker import MAX_QUEUED, Worker
from backend.types import Decoding, ExploreRequest, IdentifyRequest, JobView, LensRequest, ModelChange, TokenEvent
from backend.verbs.table import VERBS, VerbRow
from tests import doors
from tests.doors import result_of, told
from tests.echo import Echo, EchoRequest
from tests.fakes import INFO, FakeEngine

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
    return doors.ended(worker, job, PATIENCE)


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


def named(name: str, **settings: Any) -> FakeEngine:
    """An engine of a model of its own."""
    return FakeEngine(INFO.model_copy(update={"name": name, "fingerprint": name[0] * 64}), **settings)


@contextmanager
def changing(*engines: FakeEngine, check: Any = None, **settings: Any) -> Iterator[Worker]:
    """A worker that opens these by name, the first of them loaded; any other name fails when it is opened."""
    known = {engine.info.name: engine for engine in engines}

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        progress("reading weights", 0.5)
        if spec.name not in known:
            raise ModelUnreadable(f"{spec.name} cannot be read", "its weights are cut off", "fetch it again")
        return known[spec.name]

    worker = Worker(opener, check=check, **settings)
    worker.load(ModelSpec(engines[0].info.name))
    wait_for(lambda: worker.status().state == "ready")
    try:
        yield worker
    finally:
        for engine in engines:
            if isinstance(engine.on_token, Gate):
                engine.on_token.open_wide()
        worker.close(timeout=PATIENCE)


def change_of(worker: Worker) -> ModelChange:
    """The change of model that the status tells of."""
    change = worker.status().change
    assert change is not None, "a change is told of from the moment that it was asked for"
    return change


def no_such(spec: ModelSpec, progress: Progress) -> None:
    if spec.name == "no such":
        raise UnknownModel("There is no model 'no such'", "nothing has that name", "choose one of the table")


def test_a_model_that_is_known_not_to_open_leaves_the_loaded_one_and_the_training_run_alone() -> None:
    gate = Gate()
    old = named("old", on_token=gate)
    with changing(old, check=no_such) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        worker.load(ModelSpec("no such"))
        wait_for(lambda: change_of(worker).state == "failed")
        status = worker.status()
        assert (status.state, status.info, status.error) == ("ready", old.info, None)
        assert status.change is not None and (status.change.error or {})["code"] == "unknown_model"
        assert worker.view(long).state == "running"
        gate.open_wide()
        assert ended(worker, worker.submit("explore", asking("still here"), "bob")).state == "done"
        assert ended(worker, long).state == "done"


def test_the_loaded_model_answers_while_another_is_only_checked() -> None:
    going = threading.Event()
    old, new = named("old"), named("new")

    def slow(spec: ModelSpec, progress: Progress) -> None:
        progress("downloading", 0.25)
        assert going.wait(PATIENCE)

    with changing(old, new, check=slow) as worker:
        worker.load(ModelSpec("new"))
        wait_for(lambda: change_of(worker).stage == "downloading")
        status = worker.status()
        assert status.state == "ready" and status.change is not None
        assert (status.change.name, status.change.state, status.change.fraction) == ("new", "checking", 0.25)
        assert ended(worker, worker.submit("explore", asking("one"), "ann")).state == "done"
        going.set()
        wait_for(lambda: worker.status().name == "new" and worker.status().state == "ready")
        status = worker.status()
        assert status.change is None and status.previous is not None and status.previous.name == "old"
        assert ended(worker, worker.submit("explore", asking("two"), "ann")).state == "done"
    assert (old.prompts, new.prompts) == (["one"], ["two"])


def test_a_load_that_fails_brings_the_model_before_back_and_tells_those_who_waited_for_the_other() -> None:
    gate = Gate()
    old = named("old", on_token=gate)
    with changing(old) as worker:
        first = worker.submit("explore", asking("for old", 1), "ann")
        assert gate.reached.wait(PATIENCE)
        worker.load(ModelSpec("broken"))
        later = worker.submit("explore", asking("for broken", 1), "bob")
        gate.open_wide()
        assert ended(worker, first).state == "done"
        error = told(ended(worker, later))
        assert error["code"] == "model_unreadable" and "broken did not answer this" in error["what"]
        wait_for(lambda: worker.status().state == "ready")
        status = worker.status()
        assert status.info == old.info and status.change is not None and status.change.state == "failed"
        assert "cut off" in (status.change.error or {})["why"]
        assert ended(worker, worker.submit("explore", asking("again", 1), "bob")).state == "done"
    assert old.prompts == ["for old", "again"], "what was asked of another model is not answered by this one"


def test_where_the_model_before_does_not_come_back_either_its_own_reason_is_told() -> None:
    opened: list[str | None] = []

    def once(spec: ModelSpec, progress: Progress) -> Answering:
        opened.append(spec.name)
        if len(opened) > 1:
            raise ModelUnreadable(f"{spec.name} cannot be read", "the disk is gone", "put it back")
        return named("old")

    worker = Worker(once)
    worker.load(ModelSpec("old"))
    wait_for(lambda: worker.status().state == "ready")
    worker.load(ModelSpec("new"))
    wait_for(lambda: worker.status().state == "failed")
    assert opened == ["old", "new", "old"]
    assert (worker.status().error or {})["what"] == "old cannot be read"
    assert told(ended(worker, worker.submit("explore", asking("?"), "ann")))["what"] == "old cannot be read"
    worker.close()


@pytest.mark.parametrize("moment", ["checking", "waiting", "loading"])
def test_a_change_can_be_called_off_at_any_moment_and_the_model_before_answers(moment: str) -> None:
    gate, going, opening = Gate(), threading.Event(), threading.Event()
    old, new = named("old", on_token=gate), named("new")

    def check(spec: ModelSpec, progress: Progress) -> None:
        if moment == "checking":
            assert going.wait(PATIENCE)

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        if spec.name == "old":
            return old
        opening.set()
        assert going.wait(PATIENCE)
        progress("nearly there", 0.9)
        return new

    worker = Worker(opener, check=check)
    worker.load(ModelSpec("old"))
    wait_for(lambda: worker.status().state == "ready")
    held = worker.submit("explore", asking("before", 1), "ann")
    assert gate.reached.wait(PATIENCE)
    worker.load(ModelSpec("new"))
    if moment == "loading":
        gate.open_wide()
        assert opening.wait(PATIENCE)
    wait_for(lambda: change_of(worker).state == moment)
    later = worker.submit("explore", asking("later", 1), "bob")
    worker.cancel_load()
    gate.open_wide()
    going.set()
    assert ended(worker, held).state == "done"
    if moment == "checking":
        assert ended(worker, later).state == "done", "it was asked of the model that was loaded"
    else:
        assert "new did not answer this" in told(ended(worker, later))["what"]
    wait_for(lambda: worker.status().state == "ready")
    status = worker.status()
    assert status.info == old.info and status.change is not None and status.change.state == "cancelled"
    assert ended(worker, worker.submit("explore", asking("again", 1), "bob")).state == "done"
    assert new.prompts == []
    with pytest.raises(Unknown, match="No model is being loaded"):
        worker.cancel_load()
    worker.close()


def test_a_later_change_takes_the_place_of_one_that_is_loading_and_its_questions_are_told() -> None:
    going, opening = threading.Event(), threading.Event()
    old, third = named("old"), named("third")

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        if spec.name == "new":
            opening.set()
            assert going.wait(PATIENCE)
            progress("nearly there", 0.9)
        return {"old": old, "third": third}.get(spec.name or "", old)

    worker = Worker(opener)
    worker.load(ModelSpec("old"))
    wait_for(lambda: worker.status().state == "ready")
    worker.load(ModelSpec("new"))
    assert opening.wait(PATIENCE)
    lost = worker.submit("explore", asking("for new", 1), "ann")
    worker.load(ModelSpec("third"))
    kept = worker.submit("explore", asking("for third", 1), "ann")
    going.set()
    assert "third was asked for instead" in told(ended(worker, lost))["why"]
    assert ended(worker, kept).state == "done"
    assert third.prompts == ["for third"] and old.prompts == []
    assert worker.status().info == third.info and worker.status().change is None
    worker.close()


def test_an_interrupted_training_run_says_so_and_goes_on_when_its_model_is_back() -> None:
    gate = Gate()
    old, new = named("old", on_token=gate), named("new")
    with changing(old, new) as worker:
        long = worker.submit("identify", training(), "ann")
        queued = worker.submit("identify", training("b"), "ann")
        assert gate.reached.wait(PATIENCE)
        before = worker.submit("explore", asking("before", 1), "bob")
        worker.load(ModelSpec("new"))
        gate.open_wide()
        wait_for(lambda: worker.status().name == "new" and worker.status().state == "ready")
        assert ended(worker, before).state == "done"
        for job in (long, queued):
            view = worker.view(job)
            assert (view.state, view.waits_for) == ("queued", "old")
            assert any("waiting until old is loaded again" in getattr(event, "stage", "") for event in view.events)
        assert worker.status().paused == ("b", "a") and set(worker.long_runs()) == {"a", "b"}
        assert ended(worker, worker.submit("explore", asking("for new", 1), "bob")).state == "done"
        worker.load(ModelSpec("old"))
        for job in (long, queued):
            assert ended(worker, job).state == "done"
        assert worker.status().paused == () and worker.view(long).waits_for is None
    assert new.prompts == ["for new"] and len([one for one in new.computed if isinstance(one, IdentifyRequest)]) == 0


def test_a_load_that_fails_lets_the_interrupted_run_go_on_by_itself() -> None:
    gate = Gate()
    with changing(named("old", on_token=gate)) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        worker.load(ModelSpec("broken"))
        gate.open_wide()
        assert ended(worker, long).state == "done"


def test_a_run_that_waits_for_its_model_can_be_stopped() -> None:
    gate = Gate()
    old, new = named("old", on_token=gate), named("new")
    with changing(old, new) as worker:
        long = worker.submit("identify", training(), "ann")
        assert gate.reached.wait(PATIENCE)
        worker.load(ModelSpec("new"))
        gate.open_wide()
        wait_for(lambda: worker.view(long).waits_for == "old")
        worker.stop(long)
        assert worker.view(long).state == "stopped" and worker.long_runs() == {}


def test_whoever_takes_the_model_from_others_is_asked_before() -> None:
    now = [0.0]
    gate = Gate()
    old, new = named("old", on_token=gate), named("new")
    with changing(old, new, clock=lambda: now[0]) as worker:
        mine = worker.submit("explore", asking("mine", 1), "ann")
        assert gate.reached.wait(PATIENCE)
        theirs = worker.submit("explore", asking("theirs", 1), "bob")
        with pytest.raises(Busy, match=r"old is in use: 1 question of others runs or waits; confirm to load new"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False)
        long = worker.submit("identify", training(), "ann")
        with pytest.raises(Busy, match="the training run a is running and would wait until old is loaded again"):
            worker.load(ModelSpec("new"), session="bob", confirmed=False)
        worker.stop(long)
        gate.open_wide()
        ended(worker, mine)
        ended(worker, theirs)
        with pytest.raises(Busy, match="1 other session used it in the last 5 minutes"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False)
        assert worker.status().info == old.info and worker.status().change is None
        now[0] = 301.0
        ended(worker, worker.submit("lens", LensRequest(neurons=NeuronSet.of("L0:N1")), "a page that is open"))
        worker.load(ModelSpec("new"), session="ann", confirmed=False)
        wait_for(lambda: worker.status().name == "new" and worker.status().state == "ready")
        worker.load(ModelSpec("old"), session="bob", confirmed=True)
        wait_for(lambda: worker.status().name == "old" and worker.status().state == "ready")


def test_sessions_that_are_gone_do_not_hold_the_model_but_their_training_run_does() -> None:
    gate = Gate()
    old, new = named("old", on_token=gate), named("new")
    with changing(old, new) as worker:
        asked = [worker.submit("explore", asking(name, 1), name) for name in ("closed", "open", "waiting")]
        assert gate.reached.wait(PATIENCE)
        with pytest.raises(Busy, match="1 question of others runs or waits"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False, gone=("closed", "waiting"))
        long = worker.submit("identify", training(), "closed")
        with pytest.raises(Busy, match="in use: the training run a is running"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False, gone=("closed", "waiting", "open"))
        worker.stop(long)
        gate.open_wide()
        for job in asked:
            ended(worker, job)
        with pytest.raises(Busy, match="1 other session used it in the last 5 minutes"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False, gone=("closed", "waiting"))
        worker.load(ModelSpec("new"), session="ann", confirmed=False, gone=("closed", "waiting", "open"))
        wait_for(lambda: worker.status().name == "new" and worker.status().state == "ready")


def test_a_long_run_of_any_verb_is_at_work_and_waits_for_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "echo", VerbRow("echo", EchoRequest, Echo, "Again", runs="long", module="tests.echo"))
    gate = Gate()
    with changing(named("old", on_token=gate), named("new")) as worker:
        first = worker.submit("explore", asking("mine", 1), "ann")
        assert gate.reached.wait(PATIENCE)
        long = worker.submit("echo", EchoRequest(text="Nortel"), "ann")
        with pytest.raises(Busy, match="in use: the long run echo is running and would wait until old is loaded again"):
            worker.load(ModelSpec("new"), session="ann", confirmed=False)
        worker.load(ModelSpec("new"), session="ann")
        wait_for(lambda: worker.status().paused == ("echo",))
        gate.open_wide()
        assert ended(worker, first).state == "done" and worker.view(long).waits_for == "old"
        assert worker.long_runs() == {}, "it has no folder"
        wait_for(lambda: worker.status().name == "new" and worker.status().state == "ready")
        worker.load(ModelSpec("old"))
        assert ended(worker, long).state == "done"


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
