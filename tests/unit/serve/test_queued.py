"""A training run that waits for its turn is not lost with the program, and goes to nobody else meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import BadInput, StoreError, Unknown
from backend.runs import queued
from backend.runs.queued import Queue, Queued
from backend.serve import shelf
from backend.types import IdentifyRequest, Probe
from backend.types.identify import Question
from backend.types.plan import Plan, QuestionSource
from backend.watch import Watch
from tests.doors import local
from tests.fakes import INFO, FakeEngine
from tests.unit.serve.test_worker import wait_for

ASKED = tuple(Question(id=f"q{n}", text=f"Who wrote {n}?", answers=("A",)) for n in range(3))
OWN = IdentifyRequest(name="second", plan=Plan(source=QuestionSource(file="mine.csv")), questions=ASKED)


class Busy(FakeEngine):
    """Works on the run `first` until it is stopped; fails on `bad`; the others are done at once."""

    def _identify(self, request: IdentifyRequest, watch: Watch) -> Probe:
        if request.name == "bad":
            raise BadInput("It cannot be", "it is bad", "leave it")
        held = threading.Event()
        while request.name == "first" and not watch.stopped():
            held.wait(0.01)
        return super()._identify(request, watch)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    yield tmp_path


def names(engine: FakeEngine) -> list[str]:
    return [one.name for one in engine.computed if isinstance(one, IdentifyRequest)]


def kept() -> list[str]:
    return sorted(path.stem for path in queued.folder().glob("*.json"))


def test_a_run_that_waited_when_the_program_ended_is_begun_by_the_next_with_its_questions() -> None:
    with local(Busy()) as client:
        client.jobs.submit("identify", IdentifyRequest(name="first"), "a")
        client.jobs.submit("identify", OWN, "b")
        wait_for(lambda: kept() == ["first", "second"])
    assert kept() == ["first", "second"], "nobody took them back"
    assert queued.folder().stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in queued.folder().iterdir())
    engine = FakeEngine()
    with local(engine):
        wait_for(lambda: sorted(names(engine)) == ["first", "second"])
        wait_for(lambda: kept() == [])
    assert OWN in engine.computed


def test_what_a_person_took_back_or_what_failed_or_was_done_is_not_begun_again() -> None:
    with local(Busy()) as client:
        client.jobs.submit("identify", IdentifyRequest(name="done"), "a")
        client.jobs.submit("identify", IdentifyRequest(name="bad"), "a")
        first = client.jobs.submit("identify", IdentifyRequest(name="first"), "a")
        # Sessions take turns: asked before, it would have the turn after "done".
        wait_for(lambda: client.jobs.view(first).state == "running")
        second = client.jobs.submit("identify", OWN, "b")
        wait_for(lambda: kept() == ["first", "second"])
        client.jobs.stop(second)
        client.jobs.stop(first)
        wait_for(lambda: kept() == [])
    engine = FakeEngine()
    with local(engine) as client:
        wait_for(lambda: client.models.status().state == "ready")
        assert client.runs.list() == tuple(run for run in client.runs.list() if run.ships)
    assert not engine.computed


def test_a_run_that_waits_for_another_model_is_listed_can_be_taken_up_by_hand_and_be_deleted() -> None:
    queue = Queue()
    queue.keep(Queued(request=OWN, model="other", fingerprint="0" * 64))
    queue.close()
    engine = FakeEngine()
    with local(engine) as client:
        wait_for(lambda: client.models.status().state == "ready")
        seen = next(run for run in client.runs.list() if run.name == "second")
        assert (seen.waits, seen.done, seen.questions, seen.model) == (True, False, 3, "other")
        job = client.jobs.submit("identify", IdentifyRequest(name="second", plan=OWN.plan), "me")
        wait_for(lambda: client.jobs.view(job).state == "done")
        assert engine.computed[-1].model_copy(update={"command": ""}) == OWN, "with the questions that it waited with"
        queue.keep(Queued(request=OWN, model="other", fingerprint="0" * 64))
        queue.close()
        client.runs.delete("second")
        assert kept() == []
        with pytest.raises(Unknown):
            client.runs.delete("second")


def test_a_request_that_waits_for_another_model_is_stopped_and_can_be_taken_up_by_hand() -> None:
    queue = Queue()
    queue.keep(Queued(request=OWN, model=INFO.name, fingerprint=INFO.fingerprint))
    assert not queued.cancel_resume("second"), "a living program keeps it"
    with pytest.raises(StoreError, match="The run second waits in another program: that program has it in its queue"):
        shelf.stop("second")
    queue.close()
    shelf.stop("second")
    engine = FakeEngine()
    with local(engine) as client:
        wait_for(lambda: client.models.status().state == "ready")
        # The worker looks through what waits at the same time, and what it has in hand is not listed.
        wait_for(lambda: [run.waits for run in client.runs.list() if run.name == "second"] == [False])
        assert not engine.computed
        job = client.jobs.submit("identify", IdentifyRequest(name="second", plan=OWN.plan), "me")
        wait_for(lambda: client.jobs.view(job).state == "done")
    assert engine.computed[-1].model_copy(update={"command": ""}) == OWN, "its questions were not lost"


def test_what_a_living_program_keeps_is_not_begun_by_another() -> None:
    living, engine = Queue(), FakeEngine()
    assert living.keep(Queued(request=OWN, model=INFO.name, fingerprint=INFO.fingerprint))
    with local(engine) as client:
        wait_for(lambda: client.models.status().state == "ready")
        assert shelf.runs({}) == tuple(run for run in shelf.runs({}) if run.ships)
        assert not Queue().keep(Queued(request=OWN, model=INFO.name))
    assert not engine.computed and kept() == ["second"]
    living.drop("second")
    assert kept() == []


def test_who_looks_at_what_waits_hides_it_from_nobody_and_keeps_nobody_from_keeping() -> None:
    """Else it would be missing from a list, or go on without its questions."""
    queue = Queue()
    queue.keep(Queued(request=OWN, model="other"))
    queue.close()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            list(queued.orphaned())

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for one in lookers:
        one.start()
    try:
        assert all(queued.waiting("second") is not None for _ in range(100))
        for _ in range(50):
            assert queue.keep(Queued(request=OWN, model="other"))
            queue.close()
    finally:
        over.set()
        for one in lookers:
            one.join()


def test_a_run_that_ends_its_program_each_time_is_left_to_a_person() -> None:
    queue, engine = Queue(), FakeEngine()
    queue.keep(Queued(request=OWN, model=INFO.name, tries=queued.TRIES))
    queue.close()
    with local(engine) as client:
        wait_for(lambda: client.models.status().state == "ready")
        # The worker looks through what waits at the same time, and what it has in hand is not listed.
        wait_for(lambda: [run.waits for run in client.runs.list() if run.name == "second"] == [False])
    assert not engine.computed


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 200_000, '{"request": {"name": "../x"}}'])
def test_a_damaged_request_is_named_and_keeps_no_other_back(content: str, caplog: pytest.LogCaptureFixture) -> None:
    queue, engine = Queue(), FakeEngine()
    queue.keep(Queued(request=OWN, model="/models/fake-model.gguf" if INFO.name == "fake-model" else INFO.name))
    queue.close()
    (queued.folder() / "hurt.json").write_text(content)
    with local(engine):
        wait_for(lambda: names(engine) == ["second"])
    assert "The run hurt, which waited for its turn, cannot be read" in caplog.text
