"""Features on disk are those of each item read alone, and a run that was cut off goes on to the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import BadInput, Stopped
from backend.features import RegionText, region_means
from backend.identify import extract as module
from backend.identify.extract import extract
from backend.identify.regions import regions
from backend.identify.responses import asked
from backend.identify.spans import Span
from backend.models.loaded import LoadedModel
from backend.types import Event
from backend.types.identify import Item, Question, RegionRule, Sampling
from backend.watch import Silent
from tests.plain import Plain, largest_gap

SAMPLING = Sampling(suffix=" Say it.")
QUESTIONS = {f"q{i}": Question(id=f"q{i}", text="Who " + "asks " * i + "this?", answers=("a",)) for i in range(7)}
RESPONSE = "It is Cairo now."
ITEMS = [
    Item(question=f"q{i}", side="right" if i % 2 else "wrong", response=RESPONSE, start=6, end=11 + i % 3)
    for i in range(7)
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)


@pytest.mark.parametrize(
    "rule",
    [RegionRule(), RegionRule(position="predicting"), RegionRule(other="response"), RegionRule(pooling="max")],
    ids=str,
)
def test_features_are_those_of_each_item_read_alone(
    rule: RegionRule, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain], tmp_path: Path
) -> None:
    model, plain = tiny("llama"), untouched("llama")
    found = extract(model, ITEMS, QUESTIONS, SAMPLING, rule, tmp_path)
    for place, item in enumerate(ITEMS):
        text = regions(
            model, asked(QUESTIONS[item.question], SAMPLING), item.response, Span(item.start, item.end), rule
        )
        whole = plain.cett(list(text.ids))
        for region, array in enumerate((found.answer, found.other)):
            expected = getattr(whole[:, list(text.regions[region])], rule.pooling)(1).reshape(-1)
            assert largest_gap(array[place], expected) / expected.max() <= 1e-5
        shift = rule.position == "predicting"
        places = [p + shift for p in text.regions[0]]
        told = plain.logits([list(text.ids)])[0].double().log_softmax(-1)
        expected_log_prob = np.mean([float(told[p - 1, text.ids[p]]) for p in places])
        assert found.confidences[place].log_prob == pytest.approx(expected_log_prob, abs=1e-5)
        assert found.confidences[place].first_probability == pytest.approx(
            float(told[places[0] - 1, text.ids[places[0]]].exp()), abs=1e-6
        )
        entropies = -(told.exp() * told).sum(-1)
        assert found.confidences[place].entropy == pytest.approx(
            float(np.mean([float(entropies[p - 1]) for p in places])), abs=1e-5
        )
        assert found.confidences[place].tokens == len(places)


class StopAfter(Silent):
    def __init__(self, blocks: int) -> None:
        self.left = blocks

    def emit(self, event: Event) -> None:
        self.left -= 1

    def stopped(self) -> bool:
        return self.left < 0


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same(
    blocks: int, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    whole = extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path / "whole")
    with pytest.raises(Stopped):
        extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path / "cut", StopAfter(blocks))
    read: list[int] = []

    def counting(model: LoadedModel, texts: Sequence[RegionText], **named: Any) -> np.ndarray:
        read.append(len(texts))
        return region_means(model, texts, **named)

    monkeypatch.setattr(module, "region_means", counting)
    again = extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path / "cut")
    assert sum(read) == len(ITEMS) - 2 * blocks
    assert np.array_equal(again.answer, whole.answer) and np.array_equal(again.other, whole.other)
    assert again.confidences == whole.confidences


def test_other_items_another_rule_or_model_begin_anew(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    first = np.array(extract(tiny("llama"), ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path).answer)
    fewer = extract(tiny("llama"), ITEMS[:3], QUESTIONS, SAMPLING, RegionRule(), tmp_path)
    assert fewer.answer.shape[0] == len(fewer.confidences) == 3
    assert largest_gap(fewer.answer, first[:3]) <= 1e-5 * first.max()
    other = extract(tiny("phi3"), ITEMS[:3], QUESTIONS, SAMPLING, RegionRule(), tmp_path)
    assert largest_gap(other.answer, first[:3]) > 0.01 * first.max()


def test_an_item_whose_span_touches_no_token_is_refused_by_name(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    lost = ITEMS[0].model_copy(update={"start": 90, "end": 95})
    with pytest.raises(BadInput, match="no token"):
        extract(tiny("llama"), [lost], QUESTIONS, SAMPLING, RegionRule(), tmp_path)
