"""Responses hang on question, number and seed alone, and a stopped or killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Stopped, StoreError
from backend.forward.prompting import encode
from backend.forward.row import Running
from backend.forward.rows.generation import decode
from backend.identify.answers import responses
from backend.identify.answers.responses import asked_with_suffix, greedy_answers, row_seed, sampled_answers
from backend.models.loaded import LoadedModel
from backend.types import Event, StageEvent
from backend.types.identify import Question, Sampling
from backend.watch import Silent
from cache.journal import Journal
from tests.plain import FLOAT32

QUESTIONS = [Question(id=f"q{i}", text="Who " + "asks " * i + "this?", answers=("a",)) for i in range(7)]
SAMPLING = Sampling(samples=3, max_new_tokens=8, suffix=" Say it.", top_k=20)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "ROWS", 6)
    monkeypatch.setattr(responses, "FIRST", 6)


@pytest.mark.usefixtures("small_batches")
def test_a_sample_is_the_row_that_its_seed_makes_alone(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    found = sampled_answers(model, QUESTIONS, SAMPLING, Journal(tmp_path / "s.jsonl"))
    assert [one.question for one in found] == [question.id for question in QUESTIONS]
    for question, one in zip(QUESTIONS, found, strict=True):
        ids = encode(model, asked_with_suffix(question, SAMPLING)).ids
        for number, sample in enumerate(one.answers):
            seed = row_seed(SAMPLING.seed, question.id, number)
            (alone,) = decode(model, [ids], SAMPLING.drawn, seeds=[seed])
            assert (sample.text, sample.tokens, sample.finish) == (alone.text, len(alone.ids), alone.finish)
    assert len({sample.text for one in found for sample in one.answers}) > len(QUESTIONS), "draws differ"


@pytest.mark.usefixtures("small_batches")
def test_greedy_answers_are_those_of_decoding_with_their_figures(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    for question, one in zip(
        QUESTIONS, greedy_answers(model, QUESTIONS, SAMPLING, Journal(tmp_path / "g")), strict=True
    ):
        (alone,) = decode(model, [encode(model, asked_with_suffix(question, SAMPLING)).ids], SAMPLING.greedy)
        assert one.answer.text == alone.text and len(one.log_probs) == len(one.entropies) == one.answer.tokens
        assert one.log_probs == pytest.approx(alone.log_probs, rel=FLOAT32)


class StopAfter(Silent):
    """A watch that presses Stop once so many batches have begun."""

    def __init__(self, batches: int) -> None:
        self.left = batches
        self.told: list[StageEvent] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, StageEvent):
            self.told.append(event)
            self.left -= 1

    def stopped(self) -> bool:
        return self.left < 0


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_a_stopped_run_goes_on_where_it_was_and_ends_with_the_same(
    batches: int, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, journal = tiny("llama"), Journal(tmp_path / "s.jsonl")
    whole = sampled_answers(model, QUESTIONS, SAMPLING, Journal(tmp_path / "whole.jsonl"))
    with pytest.raises(Stopped):
        sampled_answers(model, QUESTIONS, SAMPLING, journal, StopAfter(batches))
    kept = len(journal.read())
    assert kept == 2 * batches
    asked_for: list[int] = []

    def counting(model: LoadedModel, prompts: Sequence[Sequence[int]], *rest: Any, **named: Any) -> list[Running]:
        asked_for.append(len(prompts))
        return decode(model, prompts, *rest, **named)

    monkeypatch.setattr(responses, "decode", counting)
    assert sampled_answers(model, QUESTIONS, SAMPLING, journal) == whole
    assert sum(asked_for) == len(QUESTIONS) - kept, "nothing is drawn twice"
    assert {line["question"] for line in journal.read()} == {question.id for question in QUESTIONS}


@pytest.mark.usefixtures("small_batches")
def test_progress_is_told_before_every_batch(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    watch = StopAfter(100)
    sampled_answers(tiny("llama"), QUESTIONS, SAMPLING, Journal(tmp_path / "s.jsonl"), watch)
    assert [event.fraction for event in watch.told] == pytest.approx([0, 2 / 7, 4 / 7, 6 / 7])
    assert watch.told[0].stage == "drawing answers: 0 of 7"
    assert "2 of 7" in watch.told[1].stage and "left" in watch.told[1].stage


def test_seeds_differ_by_question_number_and_seed() -> None:
    seeds = {row_seed(s, q, n) for s in (0, 1) for q in ("a", "b") for n in range(10)}
    assert len(seeds) == 40 and all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("line", ['{"question": "q0"}', '{"question": "q0", "answers": "two"}', "{}", "[]", "half {"])
def test_a_record_of_another_shape_is_told_with_its_file(
    line: str, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    for name, answer in (("samples", sampled_answers), ("greedy", greedy_answers)):
        journal = Journal(tmp_path / "mine" / f"{name}.jsonl")
        with journal.writing():
            journal.path.write_text(line + "\n")
        with pytest.raises(
            StoreError, match=f"mine/{name}.jsonl is damaged: .*line 1 .*; remove that line, and resume"
        ):
            answer(tiny("llama"), QUESTIONS, SAMPLING, journal)
