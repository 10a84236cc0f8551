"""What is told of a neuron is worked out by hand here: its table row, its card, its strongest items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backend.identify.fit.choice import Items
from backend.identify.fit.describe import BINS, histogram, neuron_cards, neuron_figures, neuron_table, places
from backend.identify.fit.solver import Fit
from backend.layout import Layout
from backend.neurons import NeuronId
from backend.statistics.neurons import cohens_d, partners, single_neurons
from backend.statistics.scores import auroc
from backend.types.identify import Item, Question, Sampling

LAYOUT = Layout.dense((3, 4))
COUNT = 20
RANDOM = np.random.default_rng(6)
LABELS = np.arange(COUNT) % 2


def made(seed: int) -> Items:
    features = np.random.default_rng(seed).gamma(2, 1, (COUNT, LAYOUT.size)) + 0.5 * LABELS[:, None]
    return Items(features.astype(np.float32), None, LABELS, np.arange(COUNT), np.arange(COUNT) % 3)


TRAIN, TEST = made(1), made(2)
WEIGHTS = np.array([0.0, 2.0, 0.0, 0.0, -1.5, 0.0, 0.25])
FIT = Fit(3.0, WEIGHTS, -0.5)
FREQUENCY = np.stack([np.linspace(0.1, 0.7, 7), np.linspace(0.8, 0.2, 7)])
QUESTIONS = {f"q{n}": Question(id=f"q{n}", text=f"Item {n}?", answers=("none",)) for n in range(COUNT)}
ITEMS = [
    Item(question=f"q{n}", side="wrong" if n % 2 else "right", response=f"Answer {n}", start=0, end=6)
    for n in range(COUNT)
]
SAMPLING = Sampling(samples=3, suffix=" Be brief.")


@pytest.fixture
def rows() -> pd.DataFrame:
    return neuron_table(TRAIN, FIT, FREQUENCY, LAYOUT)


def test_places_are_layer_and_number_and_the_expert_where_there_are_some() -> None:
    dense = places(LAYOUT)
    assert {name: column.tolist() for name, column in dense.items()} == {
        "layer": [0, 0, 0, 1, 1, 1, 1],
        "neuron": [0, 1, 2, 0, 1, 2, 3],
    }
    routed = Layout.routed((3, 6), [(0, 0), (2, 2)])
    held = places(routed)
    assert [str(column.dtype) for column in held.values()] == ["int16", "int32", "int32"]
    named = [
        str(NeuronId(int(layer), int(neuron), int(expert)))
        for layer, expert, neuron in zip(*held.values(), strict=True)
    ]
    assert list(held) == ["layer", "expert", "neuron"]
    assert named == [str(neuron) for neuron in routed.neurons(range(routed.size))]


def test_a_row_of_the_table_is_what_numpy_and_the_single_tests_give(rows: pd.DataFrame) -> None:
    areas, q = single_neurons(TRAIN.answer, LABELS)
    spread = TRAIN.answer.std(0, dtype=np.float64)
    expected = {
        "weight": WEIGHTS,
        "mean_right": TRAIN.answer[LABELS == 0].mean(0, dtype=np.float64),
        "mean_wrong": TRAIN.answer[LABELS == 1].mean(0, dtype=np.float64),
        "sd": spread,
        "effect": WEIGHTS * spread,
        "auroc": areas,
        "q": q,
        "d": cohens_d(TRAIN.answer, LABELS),
        "frequency_positive": FREQUENCY[0],
        "frequency_negative": FREQUENCY[1],
    }
    assert list(rows.columns) == ["layer", "neuron", *expected]
    for name, values in expected.items():
        assert rows[name].to_numpy() == pytest.approx(values, rel=1e-6), name
    whole = {"layer": "int16", "neuron": "int32", "weight": "float64", "effect": "float64"}
    assert {name: str(kind) for name, kind in rows.dtypes.items()} == {
        name: whole.get(str(name), "float32") for name in rows.columns
    }


def test_figures_are_of_the_neurons_with_a_weight_and_name_their_strongest_items(rows: pd.DataFrame) -> None:
    held = neuron_figures(TRAIN, TEST, FIT, rows, LAYOUT)
    assert [one.neuron for one, _ in held] == [NeuronId(0, 1), NeuronId(1, 1), NeuronId(1, 3)]
    near = partners(TRAIN.answer, np.array([1, 4, 6]))
    whole = FIT.logits(TEST.answer)
    for place, (one, strongest), beside in zip((1, 4, 6), held, near, strict=True):
        values, row = TRAIN.answer[:, place].astype(np.float64), rows.iloc[place]
        assert one.weight == WEIGHTS[place]
        assert one.mean == pytest.approx(values.mean())
        assert [getattr(one, name) for name in ("sd", "effect", "auroc", "q", "d")] == [
            pytest.approx(float(row[name])) for name in ("sd", "effect", "auroc", "q", "d")
        ]
        assert one.frequency == pytest.approx(FREQUENCY[0 if WEIGHTS[place] > 0 else 1, place], rel=1e-6)
        without = whole - WEIGHTS[place] * TEST.answer[:, place].astype(np.float64)
        assert one.leave_out == auroc(LABELS, whole) - auroc(LABELS, without)
        assert one.partners == tuple((LAYOUT.neurons([other])[0], told) for other, told in beside)
        assert one.histogram == histogram(values, LABELS)
        best = np.argsort(-values)[:8]
        assert strongest == [(int(item), float(values[item])) for item in best]
        assert not one.top


def test_what_is_not_known_of_a_neuron_is_none() -> None:
    unknown = neuron_table(TRAIN, FIT, np.full_like(FREQUENCY, np.nan), LAYOUT)
    for one, _ in neuron_figures(TRAIN, None, FIT, unknown, LAYOUT):
        assert one.leave_out is None and one.frequency is None and one.sd is not None


def test_a_card_shows_what_was_asked_and_answered_where_the_neuron_is_strongest(rows: pd.DataFrame) -> None:
    told = neuron_cards(TRAIN, TEST, FIT, rows, LAYOUT, ITEMS, QUESTIONS, SAMPLING)
    for card, (bare, strongest) in zip(told, neuron_figures(TRAIN, TEST, FIT, rows, LAYOUT), strict=True):
        assert card.model_copy(update={"top": ()}) == bare
        assert len(card.top) == 8
        for shown, (item, value) in zip(card.top, strongest, strict=True):
            assert (shown.question, shown.prompt) == (f"Item {item}?", f"Item {item}? Be brief.")
            assert (shown.response, shown.side) == (f"Answer {item}", "wrong" if item % 2 else "right")
            assert shown.cett == value


def test_a_histogram_has_bins_of_one_width_over_both_sides() -> None:
    values, labels = np.array([0.0, 0.1, 5.0, 12.0, 24.0]), np.array([0, 1, 0, 1, 1])
    held = histogram(values, labels)
    assert held.edges == pytest.approx(np.linspace(0, 24, BINS + 1))
    assert BINS == 24 == len(held.right) == len(held.wrong)
    assert {place: count for place, count in enumerate(held.right) if count} == {0: 1, 5: 1}
    assert {place: count for place, count in enumerate(held.wrong) if count} == {0: 1, 12: 1, 23: 1}
