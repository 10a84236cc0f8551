"""Where neurons lie: column and neuron are two names of one thing, in layers of any width, with experts or without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.bundled import EXAMPLES
from backend.errors import BadNeurons
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet, Site
from backend.types import Comparison, Exploration, ModelInfo
from tests.fakes import INFO


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Dense layers, layers with experts beside a shared one, and layers of experts alone."""
    layers = st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 4)).filter(lambda one: one[0] or one[1])
    told = draw(st.lists(layers, min_size=1, max_size=5))
    experts = [(count, width if count else 0) for _, count, width in told]
    return Layout.routed(
        (own + count * each for (own, _, _), (count, each) in zip(told, experts, strict=True)), experts
    )


DENSE = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(Layout.dense)
ANY = DENSE | layouts()
SOME = Layout.routed((10, 13, 6), ((0, 0), (3, 3), (2, 3)))
"""Layer 0 is dense; layer 1 has a shared expert of 4 beside 3 of 3; layer 2 has 2 of 3 and no shared one."""


def every(layout: Layout) -> list[NeuronId]:
    return [site.neuron(i) for site, width in zip(layout.sites, layout.widths, strict=True) for i in range(width)]


@given(ANY)
def test_every_column_is_one_neuron_and_back(layout: Layout) -> None:
    assert layout.size == sum(layout.widths) == sum(layout.layer_widths) == len(every(layout))
    assert layout.neurons(np.arange(layout.size)) == every(layout)
    assert layout.columns(every(layout)).tolist() == list(range(layout.size))


@given(ANY)
def test_columns_lie_in_the_order_of_neurons(layout: Layout) -> None:
    told = layout.neurons(range(layout.size))
    assert told == sorted(told) == list(NeuronSet(tuple(reversed(told))))
    assert list(layout.sites) == sorted(set(layout.sites))


@given(widths=st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_in_a_dense_model_a_site_is_a_layer_and_its_columns_are_where_they_always_were(widths: list[int]) -> None:
    layout = Layout.dense(widths)
    assert layout.is_dense and layout.layer_widths == layout.widths == tuple(widths)
    column = 0
    for layer, width in enumerate(widths):
        for index in range(width):
            neuron = NeuronId(layer, index)
            assert layout.columns([neuron]).tolist() == [column]
            assert layout.site_of(neuron) == layout.offset_of(neuron) == (layer, index)
            column += 1
    assert layout.size == column


@given(ANY, st.data())
def test_a_site_and_a_layer_give_back_the_neurons_that_were_put_in(layout: Layout, data: st.DataObject) -> None:
    wanted = NeuronSet(tuple(data.draw(st.lists(st.sampled_from(every(layout)), max_size=12))))
    sites = layout.by_site(wanted)
    assert list(sites) == sorted(sites) == sorted({layout.site_of(neuron)[0] for neuron in wanted})
    assert [one for site, indices in sites.items() for one in layout.named(site, indices)] == list(wanted)
    layers = layout.by_layer(wanted)
    assert list(layers) == sorted({neuron.layer for neuron in wanted})
    assert [one for layer, offsets in layers.items() for one in layout.at(layer, offsets)] == list(wanted)
    for neuron in wanted:
        layer, offset = layout.offset_of(neuron)
        (inside,) = [part for part in layout.parts(layer) if part.start <= offset < part.stop]
        assert offset - inside.start == neuron.index
    numbers, indices = layout.places_of(layout.columns(wanted))
    assert [layout.sites[n].neuron(i) for n, i in zip(numbers.tolist(), indices.tolist(), strict=True)] == list(wanted)


@given(ANY, st.integers(0, 3))
def test_an_array_by_layer_made_flat_has_each_neuron_at_its_column(layout: Layout, more: int) -> None:
    widest = max(layout.layer_widths) + more
    filled = np.full((2, layout.n_layers, widest), np.nan)
    for column, neuron in enumerate(layout.neurons(range(layout.size))):
        layer, offset = layout.offset_of(neuron)
        filled[:, layer, offset] = (column, -column)
    assert np.array_equal(layout.flat(filled), [np.arange(layout.size), -np.arange(layout.size)])


def test_a_layer_of_an_expert_model_is_its_shared_expert_and_then_the_routed_ones() -> None:
    assert SOME.sites == (Site(0), Site(1), Site(1, 0), Site(1, 1), Site(1, 2), Site(2, 0), Site(2, 1))
    assert SOME.widths == (10, 4, 3, 3, 3, 3, 3) and SOME.layer_widths == (10, 13, 6)
    three = NeuronSet.of("L1:E2:N0", "L1:N0", "L1:E1:N0")
    assert SOME.columns(three).tolist() == [10, 17, 20]
    assert SOME.by_layer(three) == {1: (0, 7, 10)}
    assert list(SOME.by_site(three)) == [1, 3, 4]
    assert [SOME.words(site) for site in (0, 1, 3, 5)] == [
        "layer 0", "the shared expert of layer 1", "expert 1 of layer 1", "expert 0 of layer 2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("neuron", "why"),
    [
        ("L3:N0", "it has layers 0 to 2"),
        ("L0:N10", "layer 0 has neurons 0 to 9"),
        ("L0:E0:N1", "layer 0 has no experts"),
        ("L1:N4", "the shared expert of layer 1 has neurons 0 to 3"),
        ("L1:E2:N3", "expert 2 of layer 1 has neurons 0 to 2"),
        ("L1:E3:N0", "layer 1 has experts 0 to 2"),
        ("L2:N0", "all neurons of layer 2 are in its experts 0 to 1"),
    ],
)
def test_a_neuron_the_model_does_not_have_is_named_with_what_it_has(neuron: str, why: str) -> None:
    SOME.check(NeuronSet.of("L0:N9", "L1:N3", "L1:E2:N2", "L2:E1:N2"))
    one = NeuronId.parse(neuron)
    assert one not in SOME
    for asked in (SOME.check, SOME.columns, SOME.places, SOME.by_site, SOME.by_layer):
        with pytest.raises(BadNeurons, match=f"{neuron} is not in this model: {why}; name one that it has"):
            asked(NeuronSet.of("L0:N9", neuron))
    for alone in (SOME.site_of, SOME.offset_of):
        with pytest.raises(BadNeurons, match=why):
            alone(one)


@pytest.mark.parametrize("column", [-1, 29])
def test_what_is_no_column_is_no_neuron(column: int) -> None:
    """A number that is counted from behind, or falls into the next layer, would name another neuron in silence."""
    with pytest.raises(IndexError):
        SOME.neurons([0, column])
    for layer, offset in ((0, 10), (0, -1), (2, 6), (-1, 0), (3, 0)):
        with pytest.raises(IndexError):
            SOME.at(layer, [offset])
    with pytest.raises(IndexError):
        SOME.named(0, [10])


def test_offsets_may_have_a_layer_each() -> None:
    assert list(map(str, SOME.at(np.array([2, 0, 1]), np.array([5, 9, 12])))) == ["L2:E1:N2", "L0:N9", "L1:E2:N2"]
    assert SOME.at(1, np.zeros(0, np.int32)) == [] and SOME.columns([]).tolist() == []


def test_a_large_expert_model_has_a_column_for_each_of_its_neurons() -> None:
    """48 layers of 128 experts: 6,144 sites."""
    large = Layout.routed((128 * 768,) * 48, ((128, 768),) * 48)
    assert large.size == 48 * 128 * 768 and len(large.sites) == 6144
    some = np.random.default_rng(0).choice(large.size, 10_000, replace=False)
    assert np.array_equal(large.columns(large.neurons(some)), some)


@pytest.mark.parametrize("sites", [(Site(1), Site(0)), (Site(0), Site(0)), (Site(0, 1), Site(0))])
def test_sites_out_of_order_are_no_layout(sites: tuple[Site, ...]) -> None:
    with pytest.raises(ValueError, match="in their order"):
        Layout(sites, (3, 3))


def test_a_layout_is_made_once_and_nobody_can_change_it() -> None:
    assert INFO.layout is INFO.model_copy(update={"notes": ("x",)}).layout
    with pytest.raises(ValueError, match="read-only"):
        INFO.layout.starts[0] = 3
    assert INFO.model_copy(update={"widths": (3, 4)}).layout == Layout.dense((3, 4)), (
        "a copy of another shape has its own"
    )


def test_what_is_stored_of_a_dense_model_is_what_it_always_was() -> None:
    """The hash is of the day before there were layouts: probes, results and examples that are stored still match."""
    assert set(INFO.model_dump()) == {
        "name", "family", "fingerprint", "n_layers", "widths", "d_model", "n_vocab", "parameters", "context", "dtype",
        "device", "versions", "notes",
    }  # fmt: skip
    assert INFO.hash == "61456d923a072409f5b2780a97e8a49d2f4be4e0ee69372aca3175b6ebce1d1c"
    for kind, verb in ((Exploration, "explore"), (Comparison, "compare")):
        stored = (EXAMPLES / f"{verb}.json").read_bytes()
        told = kind.model_validate_json(stored)
        assert told.to_bytes() + b"\n" == stored, "an example that ships is written as it was read"
        assert told.model.layout == Layout.dense((1536,) * 30)


def test_the_experts_of_a_model_go_along_wherever_it_is_stored() -> None:
    info = INFO.model_copy(update={"experts": ((3, 4),) * 3})
    again = ModelInfo.model_validate_json(info.to_bytes())
    assert again == info and again.hash != INFO.hash
    assert again.layout == info.layout != INFO.layout
    assert again.n_neurons == again.layout.size == INFO.n_neurons


@pytest.mark.parametrize("experts", [((3, 6),) * 3, ((3, 4),) * 2, ((1, 4),)])
def test_experts_that_do_not_fit_their_layers_are_no_model(experts: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValidationError):
        ModelInfo.model_validate(INFO.model_dump() | {"experts": experts})
