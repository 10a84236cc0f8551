"""Rows of one batch that differ, and people who ask at once: each compared with the same work without it.

The rows are those of the largest possible comparison; the people arrive within ten seconds, as a class does.
"""

from __future__ import annotations

import statistics
import threading
import time
from functools import partial
from typing import Any

import numpy as np

from backend.engine import Engine
from backend.forward import prompting
from backend.forward.capture import Capture
from backend.forward.reference import Usual
from backend.forward.row import UNTOUCHED, Row
from backend.forward.rows.batch import Batch
from backend.forward.rows.generation import finish
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet, Site
from backend.serve.client import views
from backend.serve.opening import ModelSpec
from backend.serve.worker import Worker
from backend.types import Asked, CompareRequest, Decoding, ExploreRequest, RowPlan, TokenEvent, Verb
from benchmarks.work import PROMPT, Work, capture

ROWS, TOKENS, NEURONS, SPOKEN, WITHIN = 64, 24, 47, 30, 10.0


def table(model: LoadedModel, usual: Usual) -> list[Work]:
    """The rows of the table that compare two times."""
    ids = prompting.encode(model, Asked(prompt=PROMPT)).ids
    untouched = partial(_answer, model, ids, [UNTOUCHED] * ROWS, None)
    works = []
    for sets, keep, aim in ((1, None, 1.05), (8, None, 1.05), (64, None, 1.05), (64, capture(model, usual), 1.12)):
        name = f"{ROWS} rows x {TOKENS} tokens, {sets} set{'s' if sets > 1 else ''} of {NEURONS} neurons"
        name += ", captured" if keep is not None else ""
        ours = partial(_answer, model, ids, _plans(model, sets), keep)
        works.append(Work(name, "the same rows untouched", aim, False, ours, untouched))
    return works


def _plans(model: LoadedModel, sets: int) -> list[RowPlan]:
    """One plan per row, from `sets` different sets of neurons, with alphas over [0, 3]."""
    random, layout = np.random.default_rng(sets), model.info.layout
    made = [NeuronSet(tuple(layout.neurons(random.choice(layout.size, NEURONS, replace=False)))) for _ in range(sets)]
    alphas = random.uniform(0, 3, ROWS)
    return [RowPlan(arm="chosen", alpha=float(alpha), neurons=made[row % sets]) for row, alpha in enumerate(alphas)]


def _answer(model: LoadedModel, ids: tuple[int, ...], plans: list[RowPlan], keep: Capture | None) -> None:
    decoding = Decoding(max_new_tokens=TOKENS)
    # Untouched rows with equal prompts would read the prompt once: one token differs in each row, in both measurements.
    rows = [
        Row(
            (*ids[:-8], 1_000 + place, *ids[-7:]),
            decoding,
            place,
            plan=plan,
            capture=keep,
            scores=False,
            ignore_ends=True,
        )
        for place, plan in enumerate(plans)
    ]
    with Batch(model) as batch:
        finish(batch, rows)


def people(model: LoadedModel, count: int) -> dict[str, Any]:
    """Time `count` people, each with an exploration and a comparison of four rows: one job after another, then
    together."""
    results: dict[str, Any] = {"people": count, "tokens": SPOKEN}
    engine = Engine(model)
    usual = engine.usual()
    asked = [request for number in range(count) for request in _requests_of(number)]
    start = time.perf_counter()
    for request in asked:
        engine.run(_verb(request), request)
    results["one_by_one_s"] = time.perf_counter() - start
    engine = Engine(model)
    engine._usual = usual
    worker = Worker(lambda spec, progress: engine)
    worker.load(ModelSpec(model.info.name))
    start, first = time.perf_counter(), [float("nan")] * count
    threads = [threading.Thread(target=_ask_as_person, args=(worker, number, count, first)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results["together_s"] = time.perf_counter() - start
    results["first_token_s"] = statistics.median(first[:10])
    worker.close()
    return results


def _requests_of(number: int) -> tuple[ExploreRequest, CompareRequest]:
    decoding = Decoding(max_new_tokens=SPOKEN)
    prompt = f"Who was the mayor of {NAMES[number % len(NAMES)]} in {1900 + number}?"
    neurons = NeuronSet((Site(17).neuron(98 + number), Site(21).neuron(256 + number)))
    return (
        ExploreRequest(prompt=prompt, decoding=decoding),
        CompareRequest(prompt=prompt, neurons=neurons, alphas=(0.0, 2.0), decoding=decoding),
    )


def _verb(request: ExploreRequest | CompareRequest) -> Verb:
    return "compare" if isinstance(request, CompareRequest) else "explore"


def _ask_as_person(worker: Worker, number: int, count: int, first: list[float]) -> None:
    time.sleep(WITHIN * number / count)
    for request in _requests_of(number):
        begun = time.perf_counter()
        job = worker.submit(_verb(request), request, f"person {number}")
        for view in views(worker, job, 5.0):
            if np.isnan(first[number]) and any(isinstance(event, TokenEvent) for event in view.events):
                first[number] = time.perf_counter() - begun
        if view.state != "done":
            raise RuntimeError(str(view.error))


NAMES = ("Oslo", "Lima", "Quito", "Turin", "Kyoto", "Perth", "Lagos", "Bern", "Porto", "Cork")
