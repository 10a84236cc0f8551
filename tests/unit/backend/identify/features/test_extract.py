"""Features on disk are those of each item read alone, and a run that was cut off goes on to the same numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import BadInput, Stopped, StoreError
from backend.forward.pooling import RegionText, region_means
from backend.identify.answers.responses import asked_with_suffix
from backend.identify.answers.spans import Span
from backend.identify.features import extract as module
from backend.identify.features.extract import extract, read_features_of_run
from backend.identify.features.regions import regions
from backend.models.loaded import LoadedModel
from backend.types import Event, base
from backend.types.identify import Item, Question, RegionRule, Sampling
from backend.watch import Silent
from tests.plain import FLOAT32, Plain, largest_gap
from tests.unit.backend.identify.made import Told

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
    [
        RegionRule(),
        RegionRule(position="predicting"),
        RegionRule(position="both"),
        RegionRule(position="whole"),
        RegionRule(other="response"),
        RegionRule(pooling="max"),
    ],
    ids=str,
)
def test_features_are_those_of_each_item_read_alone(
    rule: RegionRule, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain], tmp_path: Path
) -> None:
    model, plain = tiny("llama"), untouched("llama")
    found = extract(model, ITEMS, QUESTIONS, SAMPLING, rule, tmp_path)
    for place, item in enumerate(ITEMS):
        text = regions(
            model,
            asked_with_suffix(QUESTIONS[item.question], SAMPLING),
            item.response,
            Span(item.start, item.end),
            rule,
        )
        whole = plain.cett(list(text.ids))
        for region, array in enumerate((found.answer, found.other)):
            expected = getattr(whole[:, list(text.regions[region])], rule.pooling)(1).reshape(-1)
            assert largest_gap(array[place], expected) / expected.max() <= FLOAT32
        own = Span(item.start, item.end)
        asked = asked_with_suffix(QUESTIONS[item.question], SAMPLING)
        places = regions(model, asked, item.response, own, RegionRule()).regions[0]
        told = plain.logits([list(text.ids)])[0].double().log_softmax(-1)
        expected_log_prob = np.mean([float(told[p - 1, text.ids[p]]) for p in places])
        assert found.confidences[place].log_prob == pytest.approx(expected_log_prob, rel=FLOAT32)
        assert found.confidences[place].first_probability == pytest.approx(
            float(told[places[0] - 1, text.ids[places[0]]].exp()), rel=20 * FLOAT32
        )
        entropies = -(told.exp() * told).sum(-1)
        assert found.confidences[place].entropy == pytest.approx(
            float(np.mean([float(entropies[p - 1]) for p in places])), rel=FLOAT32
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
    assert largest_gap(fewer.answer, first[:3]) <= FLOAT32 * first.max()
    other = extract(tiny("phi3"), ITEMS[:3], QUESTIONS, SAMPLING, RegionRule(), tmp_path)
    assert largest_gap(other.answer, first[:3]) > 0.01 * first.max()


def test_an_item_whose_span_touches_no_token_is_refused_by_name(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    lost = ITEMS[0].model_copy(update={"start": 90, "end": 95})
    with pytest.raises(BadInput, match="no token"):
        extract(tiny("llama"), [lost], QUESTIONS, SAMPLING, RegionRule(), tmp_path)


def spoil(path: Path, how: str) -> None:
    """As a full disk, a sync program or a hand leaves a file."""
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "halved": whole[: len(whole) // 2],
                "longer": whole + b"\n\0",
                "a byte changed": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
                "no text": b"\xff\xfe\n" * 40,
                "of an older version": b'{"of": "0"}',
            }[how]
        )


ARRAY = ("empty", "halved", "longer", "a byte changed", "gone", "no text")
DAMAGE = [
    *(("answer.npy", how, 7) for how in ARRAY if how != "a byte changed"),
    ("answer.npy", "a byte changed", 1),
    ("other.npy", "a byte changed", 1),
    ("other.npy", "empty", 7),
    ("features.json", "no text", 7),
    ("features.json", "empty", 7),
    ("features.json", "of an older version", 7),
    ("rows.jsonl", "no text", 7),
    ("rows.jsonl", "gone", 7),
    ("items.jsonl", "halved", 0),
]


@pytest.mark.parametrize(("file", "how", "reread"), DAMAGE, ids=[f"{file} {how}" for file, how, _ in DAMAGE])
def test_what_is_not_as_it_was_written_is_told_and_read_again(
    file: str, how: str, reread: int, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    made = extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path)
    before = [np.array(made.answer), np.array(made.other)]
    items, answer, other = read_features_of_run(tmp_path)
    assert list(items) == ITEMS and np.array_equal(answer, before[0]) and np.array_equal(other, before[1])
    spoil(tmp_path / file, how)
    with pytest.raises(StoreError, match="resume it") as caught:
        read_features_of_run(tmp_path)
    assert "\n" not in caught.value.sentence
    told = Told()
    again = extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path, told)
    assert np.array_equal(again.answer, before[0]) and np.array_equal(again.other, before[1])
    assert again.confidences == made.confidences
    assert not reread or f"{len(ITEMS) - reread} of {len(ITEMS)}" in told.stages[0]
    if (file, how) != ("rows.jsonl", "gone"):
        assert all(stage.startswith("reading answers again") for stage in told.stages)
    assert np.array_equal(read_features_of_run(tmp_path)[1], before[0])
    told = Told()
    extract(model, ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path, told)
    assert told.stages == [], "nothing is read a third time"


def test_features_that_are_not_all_there_are_not_handed_out(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="features of this run are not here"):
        read_features_of_run(tmp_path)
    with pytest.raises(Stopped):
        extract(tiny("llama"), ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path, StopAfter(2))
    with pytest.raises(StoreError, match="not complete: reading them was stopped; resume it"):
        read_features_of_run(tmp_path)


def test_a_full_disk_says_how_much_is_needed_and_leaves_nothing_half_written(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "new_array", full)
    with pytest.raises(
        StoreError, match="answer.npy cannot be written: No space left on device; make sure that 1 MB are"
    ):
        extract(tiny("llama"), ITEMS, QUESTIONS, SAMPLING, RegionRule(), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("os.replace", full)
    other = tmp_path / "other"
    with pytest.raises(StoreError, match="items.jsonl cannot be written: No space left on device; free some space"):
        extract(tiny("llama"), ITEMS, QUESTIONS, SAMPLING, RegionRule(), other)
    assert not list(other.glob("*.part"))


def reread(model: LoadedModel, folder: Path, questions: dict[str, Question] = QUESTIONS) -> bool:
    """Whether features are read anew."""
    told = Told()
    extract(model, ITEMS, questions, SAMPLING, RegionRule(), folder, told)
    return bool(told.stages)


@pytest.mark.parametrize("change", ["the metric", "a library", "the device", "a question"])
def test_features_are_read_again_where_anything_that_they_hang_on_changed(
    change: str, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, questions = tiny("llama"), QUESTIONS
    assert reread(model, tmp_path) and not reread(model, tmp_path)
    if change == "the metric":
        monkeypatch.setattr("backend.types.base.METRIC_VERSION", base.METRIC_VERSION + 1)
    elif change == "a question":
        questions = {**QUESTIONS, "q0": QUESTIONS["q0"].model_copy(update={"text": "Who else?"})}
    else:
        other = {"device": "cuda"} if change == "the device" else {"versions": {**model.info.versions, "torch": "9"}}
        model = dataclasses.replace(model, info=model.info.model_copy(update=other))
    assert reread(model, tmp_path, questions) and not reread(model, tmp_path, questions)
