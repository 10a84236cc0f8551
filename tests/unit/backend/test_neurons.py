"""Addresses of neurons: one spelling each, strict both ways; sets are sets."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from backend.errors import BadNeurons
from backend.neurons import MAX_NEURONS, NeuronId, NeuronSet, Site

PLACES = st.integers(0, 999_999)
NEURONS = st.builds(NeuronId, PLACES, st.integers(0, 999_999_999), st.just(-1) | PLACES)
SETS = st.lists(NEURONS, max_size=12).map(lambda ids: NeuronSet(tuple(ids)))
SPELLING = re.compile(r"L\d+(:E\d+)?:N\d+")
MALFORMED = [
    "", "L", "N5", "L1", "L1:", "L1N5", "L1:N", ":N5", "L1:5", "1:5", "L-1:N5", "L1:N-5", "L01:N5", "L1:N05", "L1:N5:",
    "L1:N5 L1", "L1:N5,", "L 1:N5", "L1 :N5", "L1:N5.0", "L1:N1e3", "L1.N5", "L1:E:N5", "L1:E-1:N5", "L1:E02:N5",
    "L1:N5:E2", "L1:M5", "layer 1", "L1:N5\x00", "Ｌ1:N5", "L1٣:N5", "L1:N5²", "L1000000:N1", "L1:N1000000000",
    "L+1:N5", "L1:N0x5", "<b>L1:N5</b>", "L1:N5;DROP", "L" * 100,
]  # fmt: skip


@given(NEURONS)
def test_a_neuron_read_from_its_spelling_is_the_same_neuron(neuron: NeuronId) -> None:
    assert NeuronId.parse(str(neuron)) == neuron
    assert SPELLING.fullmatch(str(neuron))


@given(NEURONS, NEURONS)
def test_no_two_neurons_share_a_spelling(one: NeuronId, other: NeuronId) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(st.text(st.sampled_from("LEN:0123456789 -٣"), max_size=12))
def test_what_is_understood_is_the_one_spelling(text: str) -> None:
    """No second spelling of the same neuron is accepted, case and spaces around it aside."""
    try:
        neuron = NeuronId.parse(text)
    except BadNeurons:
        return
    assert str(neuron) == text.strip()


@pytest.mark.parametrize("text", ["  L3:N7\n", "l3:n7", "L3:n7"])
def test_spaces_around_and_case_do_not_matter(text: str) -> None:
    assert NeuronId.parse(text) == NeuronId(3, 7)


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_address_is_refused_with_the_right_form(text: str) -> None:
    """An ignored coordinate would select another tensor in silence."""
    with pytest.raises(BadNeurons, match="is not a neuron: .* write it as L12:N345") as error:
        NeuronId.parse(text)
    assert len(error.value.what) < 70, "a long text must not flood the page"


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (True, 0), (0, 1.0), ("1", 2), (0, None)])
def test_a_place_that_is_no_whole_number_from_zero_is_refused(place: tuple[int, int]) -> None:
    with pytest.raises(BadNeurons, match="is no place in a model"):
        NeuronId(*place)
    with pytest.raises(BadNeurons, match="expert -2 is no place"):
        NeuronId(0, 0, -2)


@given(SETS)
def test_a_set_read_from_its_spelling_or_json_is_the_same_set(neurons: NeuronSet) -> None:
    adapter = TypeAdapter(NeuronSet)
    assert NeuronSet.parse(str(neurons)) == neurons
    assert adapter.validate_json(adapter.dump_json(neurons)) == neurons
    assert adapter.validate_python(str(neurons)) == neurons


@given(st.lists(NEURONS, max_size=12), st.randoms())
def test_order_and_repetition_of_what_was_typed_make_no_difference(ids: list[NeuronId], random: Random) -> None:
    shuffled = [*ids, *ids[:3]]
    random.shuffle(shuffled)
    assert NeuronSet(tuple(shuffled)) == NeuronSet(tuple(ids))
    assert hash(NeuronSet(tuple(shuffled))) == hash(NeuronSet(tuple(ids)))
    assert len(NeuronSet(tuple(ids))) == len(set(ids))


@given(st.lists(NEURONS, max_size=30))
def test_neurons_and_sets_of_them_have_one_order_by_layer_expert_and_number(ids: list[NeuronId]) -> None:
    """An own alpha is zipped with its neuron in one place and applied in another: two orders would exchange them."""
    ordered = sorted(set(ids))
    assert ordered == list(NeuronSet(tuple(ids)))
    assert ordered == sorted(set(ids), key=lambda neuron: (neuron.layer, neuron.expert, neuron.index))
    assert sorted(set(ids), key=lambda neuron: (neuron.site, neuron.index)) == ordered
    assert all(not one > other and one <= other for one, other in zip(ordered, ordered[1:], strict=False))


def test_what_is_no_neuron_stands_in_no_order_with_one() -> None:
    with pytest.raises(TypeError):
        # The checker refuses it too; here it is tried.
        assert NeuronId(0, 1) < (0, -1, 1)  # type: ignore[operator]


@given(NEURONS)
def test_a_neuron_is_its_site_and_its_number_there(neuron: NeuronId) -> None:
    assert neuron.site.neuron(neuron.index) == neuron
    assert str(neuron) == f"{neuron.site}:N{neuron.index}"


def test_a_site_is_told_in_the_words_of_a_model() -> None:
    assert (str(Site(12)), Site(12).words) == ("L12", "layer 12")
    assert (str(Site(12, 7)), Site(12, 7).words) == ("L12:E7", "expert 7 of layer 12")
    assert sorted([Site(1), Site(0, 2), Site(0), Site(0, 0)]) == [Site(0), Site(0, 0), Site(0, 2), Site(1)]


@given(SETS, SETS)
def test_union_and_difference_are_those_of_sets(one: NeuronSet, other: NeuronSet) -> None:
    assert set(one | other) == set(one) | set(other)
    assert set(one - other) == set(one) - set(other)
    assert (one - other) | (one - (one - other)) == one
    assert one | one == one


@pytest.mark.parametrize("text", ["L1:N2,L3:N4", "L3:N4;\nL1:N2 L1:N2", " l3:n4 , L1:N2, ", "L1:N2\tL3:N4"])
def test_a_pasted_list_may_be_apart_by_commas_semicolons_or_white_space(text: str) -> None:
    assert str(NeuronSet.parse(text)) == "L1:N2,L3:N4"


def test_one_bad_word_spoils_a_list_and_is_named() -> None:
    with pytest.raises(BadNeurons, match="'L2:M3' is not a neuron"):
        NeuronSet.parse("L1:N2, L2:M3, L3:N4")
    with pytest.raises(ValidationError, match="'L2:M3' is not a neuron"):
        TypeAdapter(NeuronSet).validate_python(["L1:N2", "L2:M3"])


@pytest.mark.parametrize("value", [5, {"L1:N2": 3.0}.values(), [1], [None], [["L1:N2"]], None])
def test_what_is_no_list_of_spellings_is_no_set(value: object) -> None:
    with pytest.raises(ValidationError, match="L12:N345"):
        TypeAdapter(NeuronSet).validate_python(value)


def test_a_set_larger_than_any_choice_is_refused() -> None:
    ids = tuple(NeuronId(0, index) for index in range(MAX_NEURONS + 1))
    assert len(NeuronSet(ids[:-1])) == MAX_NEURONS
    with pytest.raises(BadNeurons, match="100,001 neurons are too many"):
        NeuronSet(ids)
