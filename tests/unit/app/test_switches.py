"""Switches make a draft and it a request, and a request sets the switches: both ways, one meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.compare import draft
from app.compare.switches import BESIDE, choice_of, edited
from app.compare.view import SETTINGS, WORKED_OUT
from app.shared.view import Shared
from backend.errors import BadNeurons, BadSettings
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, CompareSettings, Decoding
from tests.comparisons import compose

A, B, C = NeuronId(3, 5), NeuronId(3, 40), NeuronId(4, 7)
ALPHA = st.sampled_from([0.0, 0.25, 0.5, 1.5, 2.0, 3.0])
NEURON = st.builds(NeuronId, st.integers(0, 30), st.integers(0, 99))


def test_neurons_of_one_alpha_are_one_row_and_mixed_ones_have_their_own() -> None:
    one = compose("Q", {A: 0.0, B: 0.0})
    assert one.alphas == (0.0,) and one.own == () and tuple(one.neurons) == (A, B)
    mixed = compose("Q", {A: 0.0, B: 2.0})
    assert mixed.alphas == () and not mixed.neurons
    assert {own.neuron: own.alpha for own in mixed.own} == {A: 0.0, B: 2.0}


def test_a_neuron_at_normal_is_left_out_of_the_request() -> None:
    assert tuple(compose("Q", {A: 0.0, B: 1.0}).neurons) == (A,)


def test_rows_beside_are_added_once_and_every_row_has_its_twin_the_switches_own_first() -> None:
    request = compose("Q", {A: 2.0}, beside=("Half", "Double"))
    assert request.alphas == (2.0, 0.5) and request.control_arms == (0, 1)
    mixed = compose("Q", {A: 0.0, B: 2.0}, beside=("Half",))
    assert mixed.alphas == (0.5,) and mixed.control_arms == (1, 0) and mixed.intervened_rows == 2


def test_negative_weights_are_a_further_arm_at_the_alpha_of_the_switches_with_a_twin_of_their_own() -> None:
    request = compose("Q", {A: 2.0}, beside=("Half",), against=NeuronSet((C,)))
    assert request.against == NeuronSet((C,)) and request.against_alpha == 2.0
    assert request.intervened_rows == 3 and request.control_arms == (0, 1, 2)
    mixed = compose("Q", {A: 0.0, B: 2.0}, against=NeuronSet((C,)))
    assert mixed.against_alpha == 0.0 and mixed.control_arms == (0, 1)


def test_where_a_batch_has_no_room_for_all_twins_the_switches_own_and_the_further_arm_have_them() -> None:
    many = CompareSettings(controls=14, control_kinds=("layer", "free"))
    request = compose("Q", {A: 2.0}, many, beside=("Half", "Triple"), against=NeuronSet((C,)))
    assert request.control_arms == (0, 3) and request.control_rows == 56
    most = many.model_copy(update={"controls": 20})
    more = compose("Q", {A: 2.0}, most, beside=("Half", "Triple"), against=NeuronSet((C,)))
    assert more.control_arms == (0,) and more.control_rows == 40


def test_nothing_chosen_and_nothing_moved_are_refused_with_what_to_do() -> None:
    with pytest.raises(BadNeurons, match="add some"):
        compose("Q", {})
    with pytest.raises(BadSettings, match="Suppress or Amplify"):
        compose("Q", {A: 1.0, B: 1.0}, beside=("Half",))


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 50_000])
def test_a_prompt_that_cannot_be_asked_is_refused(prompt: str) -> None:
    with pytest.raises(ValidationError, match="prompt"):
        compose(prompt, {A: 0.0})


def test_more_twins_than_rows_of_a_batch_are_refused() -> None:
    with pytest.raises(ValidationError):
        compose("Q", {A: 0.0}, CompareSettings.model_construct(controls=21))


@given(
    st.dictionaries(NEURON, ALPHA, min_size=1, max_size=6),
    st.builds(
        CompareSettings,
        controls=st.integers(0, 4),
        control_kinds=st.sampled_from([("layer",), ("free",), ("layer", "free")]),
        control_seed=st.integers(0, 99),
        positions=st.sampled_from(["all", "prompt", "answer"]),
    ),
    st.sampled_from([(), ("Half",), ("Double",), ("Half", "Double"), ("Triple",)]),
    st.sampled_from([NeuronSet(), NeuronSet((A, C))]),
    st.builds(Decoding, max_new_tokens=st.integers(1, 99)),
)
def test_a_request_sets_the_switches_that_make_the_same_request(
    alphas: dict[NeuronId, float],
    settings: CompareSettings,
    beside: tuple[str, ...],
    against: NeuronSet,
    decoding: Decoding,
) -> None:
    request = compose("Q", alphas, settings, beside=beside, against=against, decoding=decoding)
    chosen, drafted = draft.of_request(request)
    assert draft.switches(drafted, chosen) == alphas
    shared = Shared(prompt="Q", decoding=decoding, neurons=chosen)
    assert draft.request(shared, drafted, against) == request
    seed = settings.control_seed + 1
    assert compose("Q", alphas, CompareSettings(control_seed=seed)).hash != request.hash


def test_every_setting_of_a_request_is_the_drafts_or_what_pages_share_or_follows_from_both() -> None:
    settings, shared = set(SETTINGS), set(Shared.model_fields)
    assert not settings & (shared | WORKED_OUT)
    assert set(CompareRequest.model_fields) - settings - shared == WORKED_OUT - {"neurons"}


@pytest.mark.parametrize(("alpha", "choice"), [(0.0, "Suppress"), (1.0, "Normal"), (2.0, "Amplify"), (0.5, "Own α")])
def test_an_alpha_stands_at_its_own_switch_position(alpha: float, choice: str) -> None:
    assert choice_of(alpha) == choice


def test_alphas_typed_into_the_table_are_taken_and_what_is_no_alpha_is_left() -> None:
    rows: dict[object, dict[str, object]] = {0: {"α": 0.5}, 1: {"α": None}, "2": {"α": 3}, 7: {"α": 1.0}}
    assert edited([A, B, C], rows) == {A: 0.5, C: 3.0}
    assert edited([A], {0: {"α": 3.5}}) == edited([A], {0: {"α": -0.1}}) == edited([A], {0: {"Neuron": "L1:N1"}}) == {}


def test_what_stands_beside_is_suppression_and_amplification() -> None:
    assert BESIDE == {"Half": 0.5, "Double": 2.0, "Triple": 3.0}
