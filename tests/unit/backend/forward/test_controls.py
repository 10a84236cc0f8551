"""Which rows a comparison has, and that a random twin is a fair one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BadNeurons
from backend.forward.controls import draw, plan
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, RowPlan

WIDTHS = (30, 20, 40)
LAYOUT = Layout.dense(WIDTHS)
CHOSEN = NeuronSet.of("L0:N1", "L0:N7", "L2:N39")
OWN = ({"neuron": "L2:N5", "alpha": 3.0}, {"neuron": "L0:N2", "alpha": 0.25}, {"neuron": "L0:N9", "alpha": 1.0})


def rows(**fields: Any) -> tuple[RowPlan, ...]:
    return plan(CompareRequest.model_validate({"prompt": "Hi", "neurons": CHOSEN, **fields}), LAYOUT)


def layers(neurons: NeuronSet) -> list[int]:
    return [neuron.layer for neuron in neurons]


def places(low: int, most: int) -> st.SearchStrategy[NeuronSet]:
    """Sets of at least `low` neurons, at most `most` in each layer."""
    layer = [st.sets(st.integers(0, width - 1), max_size=most) for width in WIDTHS]
    whole = st.tuples(*layer).map(
        lambda sets: NeuronSet(tuple(NeuronId(at, i) for at, found in enumerate(sets) for i in found))
    )
    return whole.filter(lambda neurons: len(neurons) >= low)


def test_baseline_comes_first_then_every_alpha_own_alphas_and_twins() -> None:
    told = rows(alphas=(0.0, 2.0), own=OWN, controls=2, control_kinds=("layer", "free"), control_arms=(0, 2))
    assert [row.arm for row in told] == ["baseline", "chosen", "chosen", "own"] + ["control"] * 8
    assert (told[0].alpha, len(told[0].neurons)) == (1.0, 0)
    assert [row.alpha for row in told[1:4]] == [0.0, 2.0, None]
    assert [(row.control, row.control_of, row.seed) for row in told[4:]] == [
        (kind, of, seed) for kind in ("layer", "free") for seed in (0, 1) for of in (1, 3)
    ]


def test_a_further_arm_stands_behind_the_others_and_may_have_twins_of_its_own() -> None:
    further = NeuronSet.of("L1:N3", "L2:N8")
    told = rows(alphas=(0.0,), own=OWN, against=further, against_alpha=0.5, controls=1, control_arms=(0, 2))
    assert [row.arm for row in told] == ["baseline", "chosen", "own", "against", "control", "control"]
    assert (told[3].alpha, told[3].neurons) == (0.5, further)
    assert [(row.control_of, row.alpha, len(row.neurons)) for row in told[4:]] == [(1, 0.0, 3), (3, 0.5, 2)]
    alone = rows(neurons=NeuronSet(), alphas=(), against=further, controls=0)
    assert [row.arm for row in alone] == ["baseline", "against"]
    with pytest.raises(BadNeurons):
        rows(against=NeuronSet.of("L1:N20"))


def test_own_alphas_stand_in_the_order_of_the_neurons() -> None:
    own = rows(alphas=(), neurons=NeuronSet(), own=OWN)[1]
    assert dict(zip(map(str, own.neurons), own.alphas, strict=True)) == {"L0:N2": 0.25, "L0:N9": 1.0, "L2:N5": 3.0}


def test_a_twin_has_the_alpha_of_its_row_neuron_by_neuron() -> None:
    told = rows(alphas=(0.5,), own=OWN, controls=1, control_arms=(0, 1))
    assert (told[3].alpha, told[3].alphas) == (0.5, ())
    assert told[4].alpha is None
    assert sorted(told[4].alphas) == [0.25, 1.0, 3.0]
    by_layer = {0: {0.25, 1.0}, 2: {3.0}}
    for layer, alphas in by_layer.items():
        pairs = zip(told[4].neurons, told[4].alphas, strict=True)
        assert {alpha for neuron, alpha in pairs if neuron.layer == layer} == alphas


def test_without_a_choice_there_is_the_baseline_alone() -> None:
    assert [row.arm for row in rows(neurons=NeuronSet(), alphas=(), controls=3)] == ["baseline"]


def test_a_neuron_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(BadNeurons, match="L1:N20 is not in this model"):
        rows(neurons=NeuronSet.of("L1:N20"))


@given(chosen=places(1, 10), seed=st.integers(0, 2**31 - 1))
def test_a_layer_twin_is_as_many_others_of_the_same_layers(chosen: NeuronSet, seed: int) -> None:
    twin = NeuronSet(tuple(draw(chosen, "layer", seed, LAYOUT)))
    LAYOUT.check(twin)
    assert layers(twin) == layers(chosen)
    assert not set(twin) & set(chosen)


@given(chosen=places(1, 15), seed=st.integers(0, 2**31 - 1))
def test_a_free_twin_is_as_many_others_of_the_model(chosen: NeuronSet, seed: int) -> None:
    twin = NeuronSet(tuple(draw(chosen, "free", seed, LAYOUT)))
    LAYOUT.check(twin)
    assert len(twin) == len(chosen)
    assert not set(twin) & set(chosen)


@given(chosen=places(1, 10), seed=st.integers(0, 2**31 - 1), kind=st.sampled_from(["layer", "free"]))
def test_the_same_seed_draws_the_same_twin(chosen: NeuronSet, seed: int, kind: str) -> None:
    assert draw(chosen, kind, seed, LAYOUT) == draw(chosen, kind, seed, LAYOUT)


def test_a_seed_draws_the_twin_that_it_always_drew() -> None:
    """A request names its twins by their seed alone: what was found with them would be of other neurons."""
    assert [str(neuron) for neuron in draw(CHOSEN, "layer", 0, LAYOUT)] == ["L0:N24", "L0:N19", "L2:N10"]
    assert [str(neuron) for neuron in draw(CHOSEN, "free", 0, LAYOUT)] == ["L2:N38", "L1:N16", "L2:N28"]


def test_other_seeds_and_kinds_draw_other_twins() -> None:
    drawn = {tuple(draw(CHOSEN, kind, seed, LAYOUT)) for seed in range(20) for kind in ("layer", "free")}
    assert len(drawn) == 40


def test_every_other_neuron_is_drawn_about_equally_often() -> None:
    """A control that prefers some neurons is none: 4,000 draws of 3 from 87, expected 138 each, sigma 12."""
    counts = np.zeros((3, 40))
    for seed in range(4000):
        for neuron in draw(CHOSEN, "free", seed, LAYOUT):
            counts[neuron.layer, neuron.index] += 1
    drawn = np.array([counts[at, i] for at, width in enumerate(WIDTHS) for i in range(width)])
    taken = [1, 7, 50 + 39]
    assert (drawn[taken] == 0).all()
    others = np.delete(drawn, taken)
    assert others.min() > 138 - 5 * 12
    assert others.max() < 138 + 5 * 12


def test_a_layer_without_enough_others_has_no_twin() -> None:
    most = NeuronSet(tuple(NeuronId(1, index) for index in range(11)))
    with pytest.raises(BadNeurons, match=r"No random twin of 11 .* layer 1 has only 9 others; choose fewer"):
        rows(neurons=most)
    assert len(rows(neurons=most, control_kinds=("free",))[2].neurons) == 11
    whole = NeuronSet(tuple(NeuronId(at, i) for at, width in enumerate(WIDTHS) for i in range(width)))
    with pytest.raises(BadNeurons, match="the model has only 0 others"):
        draw(whole, "free", 0, LAYOUT)
