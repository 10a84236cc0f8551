"""Jobs of several people run on one batch of the real engine: each gets what it would get alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from backend.engine import Engine
from backend.forward.rows.batch import Batch
from backend.forward.rows.budget import Budget
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.serve.opening import ModelSpec
from backend.serve.worker import Worker
from backend.types import (
    CompareRequest,
    Comparison,
    Decoding,
    Exploration,
    ExploreRequest,
    JobView,
    NeuronRequest,
    Request,
    Result,
    TokenEvent,
    Verb,
)
from backend.watch import Watch
from tests import doors
from tests.plain import FLOAT32, relative_gap

PATIENCE = 60.0
TOLERANCE = 4 * FLOAT32
"""Sums over a wider batch are taken in another order."""


def verb_of(request: Request) -> Verb:
    if isinstance(request, CompareRequest):
        return "compare"
    return "explore" if isinstance(request, ExploreRequest) else "neuron"


def of_person(number: int) -> list[Request]:
    """What one person asks: an answer seen inside, then four rows compared."""
    decoding = Decoding(max_new_tokens=6 + number % 4, temperature=0.8 * (number % 2), seed=number)
    prompt = f"Who is {'really ' * (number % 5)}number {number}?"
    neurons = NeuronSet.of(f"L0:N{number}", f"L2:N{number + 9}")
    return [
        ExploreRequest(prompt=prompt, decoding=decoding, top=5 + number % 2),
        CompareRequest(prompt=prompt, neurons=neurons, alphas=(0.0, 2.0), decoding=decoding),
    ]


@contextmanager
def working(engine: Engine) -> Iterator[Worker]:
    worker = Worker(lambda spec, progress: engine)
    worker.load(ModelSpec("tiny"))
    try:
        yield worker
    finally:
        worker.close(timeout=PATIENCE)


def ended(worker: Worker, job: str) -> JobView:
    return doors.ended(worker, job, PATIENCE)


def same(found: Result | None, expected: Result) -> None:
    """Texts and tokens alike, figures but for roundings."""
    assert found is not None
    assert type(found) is type(expected)
    if isinstance(found, Exploration) and isinstance(expected, Exploration):
        assert found.answer == expected.answer
        assert [one.id for one in found.tokens] == [one.id for one in expected.tokens]
        assert np.array_equal(found.top_index, expected.top_index)
        for name in ("cett_sum", "cett_max", "answer_mean", "usual_ratio"):
            assert relative_gap(getattr(found, name), getattr(expected, name)) <= TOLERANCE
    elif isinstance(found, Comparison) and isinstance(expected, Comparison):
        for mine, theirs in zip(found.rows, expected.rows, strict=True):
            assert (mine.text, mine.token_ids, mine.touched) == (theirs.text, theirs.token_ids, theirs.touched)
            assert mine.split is None or theirs.split is not None and mine.split.position == theirs.split.position
            # Divergences near 0 are differences of roundings: they are held to 1 nat.
            assert np.abs(mine.kl - theirs.kl).max() <= TOLERANCE * max(1.0, theirs.kl.max())
            assert relative_gap(mine.delta_max + 1, theirs.delta_max + 1) <= TOLERANCE


def test_people_who_ask_at_once_get_what_each_would_get_alone(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    asked = [request for number in range(8) for request in of_person(number)]
    expected = [Engine(model).run(verb_of(request), request) for request in asked]
    with working(Engine(model)) as worker:
        jobs = [worker.submit(verb_of(one), one, f"s{place // 2}") for place, one in enumerate(asked)]
        for job, request, theirs in zip(jobs, asked, expected, strict=True):
            view = ended(worker, job)
            assert view.state == "done", view.error
            found = worker.result(view.key or "")
            same(found, theirs)
            rows = {event.row for event in view.events if isinstance(event, TokenEvent)}
            assert rows == set(range(len(theirs.rows) if isinstance(theirs, Comparison) else 1)), request
    assert hook_count(model) == 0


def test_they_share_forwards(tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen jobs one after another take sixteen times the forwards of one; together, hardly more than one."""
    model, counts = tiny("llama"), []
    step = Batch.step

    def counted(self: Batch) -> object:
        counts.append(len(self.rows))
        return step(self)

    monkeypatch.setattr(Batch, "step", counted)
    asked = [
        ExploreRequest(prompt=f"Who is {n}?", decoding=Decoding(max_new_tokens=30, seed=n, temperature=1.0))
        for n in range(16)
    ]
    engine, asked_all = Engine(model), threading.Event()
    engine.usual()

    def opener(spec: ModelSpec, progress: object) -> Engine:
        assert asked_all.wait(PATIENCE)
        return engine

    worker = Worker(opener)
    try:
        worker.load(ModelSpec("tiny"))
        jobs = [worker.submit("explore", one, f"s{n}") for n, one in enumerate(asked)]
        asked_all.set()
        assert all(ended(worker, job).state == "done" for job in jobs)
    finally:
        worker.close(timeout=PATIENCE)
    assert max(counts) >= 12
    assert len(counts) < 3 * 30


def test_who_asks_the_same_at_once_has_it_computed_once(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, begun = tiny("llama"), list[Request]()
    begin = Engine.begin

    def counted(self: Engine, verb: Verb, request: Request, watch: Watch) -> object:
        begun.append(request)
        return begin(self, verb, request, watch)

    monkeypatch.setattr(Engine, "begin", counted)
    request = of_person(3)[1]
    with working(Engine(model)) as worker:
        jobs = [worker.submit("compare", request, f"s{n}") for n in range(10)]
        views = [ended(worker, job) for job in jobs]
    assert {view.state for view in views} == {"done"}
    assert len({view.key for view in views}) == 1
    assert len(begun) == 1


def test_one_who_stops_leaves_the_others_their_answers(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    long = ExploreRequest(prompt="Tell me all.", decoding=Decoding(max_new_tokens=100, temperature=1.0, seed=1))
    short = of_person(2)
    expected = [Engine(model).run(verb_of(one), one) for one in short]
    with working(Engine(model)) as worker:
        first = worker.submit("explore", long, "a")
        others = [worker.submit(verb_of(one), one, "b") for one in short]
        worker.view(first, 3, PATIENCE)
        worker.stop(first)
        assert ended(worker, first).state == "stopped"
        for job, theirs in zip(others, expected, strict=True):
            same(worker.result(ended(worker, job).key or ""), theirs)
    assert hook_count(model) == 0


def test_one_who_asks_too_much_is_refused_and_the_others_go_on(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    wrong = CompareRequest(prompt="Who?", neurons=NeuronSet.of("L9:N1"), decoding=Decoding(max_new_tokens=4))
    good = of_person(1)
    with working(Engine(model)) as worker:
        jobs = [worker.submit(verb_of(one), one, f"s{n}") for n, one in enumerate([good[0], wrong, good[1]])]
        views = [ended(worker, job) for job in jobs]
    assert [view.state for view in views] == ["done", "failed", "done"]
    assert "L9:N1 is not in this model" in str(views[1].error)


@pytest.mark.parametrize("where", ["step", "add"])
def test_where_memory_has_no_room_for_all_together_each_is_run_by_itself(
    where: str, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, whole = tiny("llama"), getattr(Batch, where)

    def narrow(self: Batch, *given: object) -> object:
        if len(self.rows) > (4 if where == "step" else 0):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, *given)

    asked = [one for number in range(3) for one in of_person(number)]
    expected = [Engine(model).run(verb_of(one), one) for one in asked]
    monkeypatch.setattr(Batch, where, narrow)
    with working(Engine(model)) as worker:
        jobs = [worker.submit(verb_of(one), one, f"s{n}") for n, one in enumerate(asked)]
        for job, theirs in zip(jobs, expected, strict=True):
            view = ended(worker, job)
            assert view.state == "done", view.error
            same(worker.result(view.key or ""), theirs)
    assert hook_count(model) == 0


def test_rows_wait_for_memory_and_are_answered_all_the_same(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    asked = [one for number in range(5) for one in of_person(number)]
    expected = [Engine(model).run(verb_of(one), one) for one in asked]
    monkeypatch.setattr(Budget, "admit", lambda self, running, waiting: min(len(waiting), max(0, 3 - len(running))))
    with working(Engine(model)) as worker:
        jobs = [worker.submit(verb_of(one), one, f"s{n}") for n, one in enumerate(asked)]
        for job, theirs in zip(jobs, expected, strict=True):
            same(worker.result(ended(worker, job).key or ""), theirs)


def test_a_card_and_a_change_of_model_find_their_place_among_them(tiny: Callable[[str], LoadedModel]) -> None:
    """A card needs the model for a moment; another model waits for what was asked of the loaded one."""
    models = [Engine(tiny("llama")), Engine(tiny("gpt2"))]
    opened: list[ModelSpec] = []

    def opener(spec: ModelSpec, progress: object) -> Engine:
        opened.append(spec)
        return models[len(opened) - 1]

    worker = Worker(opener)
    try:
        worker.load(ModelSpec("llama"))
        before = worker.submit("explore", of_person(1)[0], "a")
        card = worker.submit("neuron", NeuronRequest(neuron=NeuronId.parse("L0:N3")), "b")
        compared = worker.submit("compare", of_person(1)[1], "c")
        ended(worker, card)
        worker.load(ModelSpec("gpt2"))
        after = worker.submit("explore", of_person(1)[0], "a")
        found = [worker.result(ended(worker, job).key or "") for job in (before, compared, after)]
    finally:
        worker.close(timeout=PATIENCE)
    assert [one.model.name for one in found if isinstance(one, Exploration | Comparison)] == [
        "tiny-llama", "tiny-llama", "tiny-gpt2",
    ]  # fmt: skip


def test_closing_ends_all_of_them(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    worker = Worker(lambda spec, progress: Engine(model))
    worker.load(ModelSpec("tiny"))
    long = Decoding(max_new_tokens=100, temperature=1.0)
    jobs = [worker.submit("explore", ExploreRequest(prompt=f"Who is {n}?", decoding=long), f"s{n}") for n in range(4)]
    worker.view(jobs[0], 2, PATIENCE)
    worker.close(timeout=PATIENCE)
    assert not worker._thread.is_alive()
    assert {worker.view(job).state for job in jobs} == {"stopped"}
    assert hook_count(model) == 0
