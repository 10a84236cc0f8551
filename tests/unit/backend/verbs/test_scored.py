"""Answers scored by a probe: the score is that of the plain model's CETT, as tokens come and when all is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.engine import Engine
from backend.errors import BadInput
from backend.forward.rows.works import Shared
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.probes import library
from backend.types import CompareRequest, Comparison, Decoding, Event, Exploration, ExploreRequest, TokenEvent
from backend.types.identify import RegionRule
from backend.types.names import ProbeRef
from backend.types.probe import Probe, ProbeNeuron
from backend.verbs import compare, explore
from backend.verbs.compare import comparing
from backend.verbs.explore import exploring
from backend.watch import SILENT, Silent
from cache.store import Store
from tests.plain import FLOAT32, Plain
from tests.tiny import FAMILIES

WEIGHTS = {"L0:N3": 4.0, "L0:N40": -2.0, "L1:N7": 3.0, "L2:N47": -5.0}
PROMPT = "Who wrote this book?"
NEW = 9
TOLERANCE = FLOAT32 * sum(map(abs, WEIGHTS.values()))
"""Of the largest CETT, times all weights: what a score is added up from."""


class Listening(Silent):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    return tmp_path


def kept(model: LoadedModel, name: str = "mine", **rule: str) -> ProbeRef:
    neurons = tuple(ProbeNeuron(neuron=NeuronId.parse(key), weight=weight) for key, weight in WEIGHTS.items())
    probe = Probe(
        name=name, model=model.info, c=1.0, intercept=-0.5, neurons=neurons, rule=RegionRule.model_validate(rule)
    )
    library.folder_of(name).mkdir(parents=True, exist_ok=True)
    library.write(library.folder_of(name), probe, {})
    return ProbeRef(name=name, digest=next(one.digest for one in library.listed() if one.name == name))


def along(plain: Plain, prompt: list[int], answer: list[int], rule: RegionRule) -> np.ndarray:
    """The log-odds after each token of an answer, from the CETT of one plain pass over the whole text."""
    whole = np.stack([plain.cett(prompt + answer)[n.layer][:, n.index] for n in map(NeuronId.parse, WEIGHTS)], axis=1)
    first = len(prompt) - (rule.position != "answer")
    last = len(prompt) + len(answer) - (rule.position == "predicting")
    read = whole[first:last].astype(np.float64)
    counts = np.arange(1, len(read) + 1)[:, None]
    pooled = np.maximum.accumulate(read) if rule.pooling == "max" else np.cumsum(read, axis=0) / counts
    # Before the answer's first token there is no score, however many positions were read.
    return np.asarray(pooled[len(read) - len(answer) :] @ np.array(list(WEIGHTS.values())) - 0.5)


def ids(told: Exploration) -> tuple[list[int], list[int]]:
    every = [one.id for one in told.tokens]
    return every[: told.answer_start], every[told.answer_start :]


def explored(model: LoadedModel, watch: Silent = SILENT, **fields: Any) -> Exploration:
    decoding = Decoding() if "answer" in fields else Decoding(max_new_tokens=NEW)
    asked = ExploreRequest.model_validate({"prompt": PROMPT, "decoding": decoding, **fields})
    return explore.explore(model, asked, Engine(model).usual(), watch)


@pytest.mark.parametrize(
    "rule",
    [
        {"position": "answer"},
        {"position": "predicting", "pooling": "max"},
        {"position": "both"},
        {"position": "whole", "pooling": "max"},
    ],
    ids=str,
)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_is_scored_as_its_tokens_come_and_a_given_one_when_it_was_read(
    family: str, rule: dict[str, str], tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    model, watch = tiny(family), Listening()
    ref = kept(model, **rule)
    told = explored(model, watch, probe=ref)
    assert told.score is not None and told.score.probe == ref
    expected = along(untouched(family), *ids(told), RegionRule.model_validate(rule))
    assert np.abs(np.array(told.score.along) - expected).max() <= TOLERANCE
    streamed = [event.score for event in watch.events if isinstance(event, TokenEvent)]
    behind = 0 if rule["position"] == "predicting" else 1
    assert streamed[:behind] == [None] * behind
    assert streamed[behind:] == list(told.score.along[: len(streamed) - behind]), "what was told is what is kept"
    given = explored(model, probe=ref, answer=told.answer)
    if ids(given) == ids(told):
        assert given.score is not None
        assert np.abs(np.array(given.score.along) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3_text", "falcon"])
@pytest.mark.parametrize("is_copied", [True, False])
def test_every_answer_of_a_comparison_is_scored_as_the_untouched_model_reads_it(
    is_copied: bool, family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Where a cache cannot be copied each answer is read behind its own prompt."""
    model, plain, watch = tiny(family), untouched(family), Listening()
    if not is_copied:
        model = replace(model, proof=replace(model.proof, copied=False, dropped=False))
    rule = {"position": "predicting"}
    asked = CompareRequest(
        prompt=PROMPT, neurons=NeuronSet.of(*WEIGHTS), alphas=(0.0, 1.0, 3.0), decoding=Decoding(max_new_tokens=NEW),
        controls=2, probe=kept(model, **rule),
    )  # fmt: skip
    told = compare.compare(model, asked, watch)
    prompt = [one.id for one in told.prompt_tokens]
    for row in told.rows:
        assert row.score is not None
        expected = along(plain, prompt, list(row.token_ids), RegionRule.model_validate(rule))
        assert np.abs(np.array(row.score.along) - expected).max() <= TOLERANCE
    assert told.rows[2].score == told.rows[0].score, "alpha 1 says the same, and is read once"
    scores = {event.row: event.score for event in watch.events if isinstance(event, TokenEvent)}
    assert scores[0] is not None and all(score is None for row, score in scores.items() if row)
    plainly = compare.compare(model, asked.model_copy(update={"probe": None}), SILENT)
    assert plainly.rows[0].score is None
    bare = tuple(row.model_copy(update={"score": None}) for row in told.rows)
    assert [row.to_bytes() for row in bare] == [row.to_bytes() for row in plainly.rows], "a score moves no figure"


def test_rows_of_several_people_are_scored_beside_one_another(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    first, second = kept(model), kept(model, "other", pooling="max")
    usual = Engine(model).usual()
    requests: list[Any] = [
        ExploreRequest(prompt=prompt, decoding=Decoding(max_new_tokens=6), probe=ref)
        for prompt, ref in ((PROMPT, first), ("Who?", first), ("Where is it now?", second), ("When?", None))
    ]
    switched = CompareRequest(
        prompt="Why?", neurons=NeuronSet.of("L1:N7"), decoding=Decoding(max_new_tokens=4), probe=second
    )
    shared, pieces = Shared(model), []
    for asked in requests:
        pieces.append(shared.begin(partial(exploring, request=asked, usual=usual, watch=SILENT), lambda: False))
        shared.step()
    pieces.append(shared.begin(lambda batch: comparing(batch, switched, SILENT), lambda: False))
    while shared.pieces:
        shared.step()
    assert not any(piece.error for piece in pieces)
    for asked, piece in zip(requests, pieces, strict=False):
        alone = explore.explore(model, asked, usual, SILENT).score
        if asked.probe is None:
            assert alone is None is piece.result.score
        else:
            assert alone is not None
            assert np.abs(np.array(alone.along) - piece.result.score.along).max() <= TOLERANCE
    found = pieces[-1].result
    assert isinstance(found, Comparison) and all(row.score is not None for row in found.rows)


def test_a_request_without_a_probe_is_written_and_kept_as_before(
    tmp_path: Path, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny("llama")
    ref = kept(model)
    for plain in (ExploreRequest(prompt="x"), CompareRequest(prompt="x", neurons=NeuronSet.of("L0:N1"))):
        assert '"probe"' not in plain.canonical()
        assert plain.model_copy(update={"probe": ref}).hash != plain.hash
    asked = ExploreRequest(prompt="Who?", decoding=Decoding(max_new_tokens=2))
    engine = Engine(model, Store(tmp_path / "results"))
    bare = engine.run("explore", asked)
    assert b'"score"' not in bare.to_bytes()
    scored = asked.model_copy(update={"probe": ref})
    told = engine.run("explore", scored)
    assert isinstance(told, Exploration) and told.score is not None
    again = engine.lookup("explore", scored)
    assert again is not None and again.to_bytes() == told.to_bytes()
    assert engine.key(scored) != engine.key(asked)


def test_a_stored_score_is_not_taken_where_scores_are_made_otherwise(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[[str], LoadedModel]
) -> None:
    engine = Engine(tiny("llama"))
    scored = ExploreRequest(prompt="Who?", probe=kept(engine.model))
    before, bare = engine.key(scored), engine.key(ExploreRequest(prompt="Who?"))
    monkeypatch.setattr("backend.probes.scoring.VERSION", "score 0")
    assert engine.key(scored) != before and engine.key(ExploreRequest(prompt="Who?")) == bare


def test_a_probe_of_another_model_is_refused_before_anything_is_answered(tiny: Callable[[str], LoadedModel]) -> None:
    ref, watch = kept(tiny("llama")), Listening()
    with pytest.raises(BadInput, match="it was made for another model"):
        explored(tiny("gpt2"), watch, probe=ref)
    assert not any(isinstance(event, TokenEvent) for event in watch.events)
