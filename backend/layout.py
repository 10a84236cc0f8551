"""The order of a model's neurons: its sites, and the mapping between neurons and columns in both directions.

Owns `Layout`. Columns run through the sites in the order of neurons (`backend.neurons`): a layer's own site first,
then its routed experts. So the column of a neuron, its position in a `NeuronSet` of all neurons and its rank among
sorted `NeuronId`s are the same number. The column of a neuron, the neuron of a column, and whether a model has a
neuron are computed here and nowhere else. Works on numbers only: no tensor and no model.

Two kinds of arrays hold neurons. Flat arrays ([item column]: features, weights) are indexed by column. Arrays by layer
([layer pos neuron]: everything that is divided by the norm of a layer's output) hold the sites of a layer side by
side; they are indexed by the offset, which is the column minus the layer's first column. In a dense layer the offset
is the neuron's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Int, Shaped

from backend.errors import BadNeurons
from backend.neurons import NO_EXPERT, NeuronId, Site


@dataclass(frozen=True)
class Layout:
    """The sites of a model, in their order, with the number of neurons in each.

    A site's number is its index in `sites`; in a dense model it is the layer.
    """

    sites: tuple[Site, ...]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.sites) != len(self.widths) or any(a >= b for a, b in zip(self.sites, self.sites[1:], strict=False)):
            raise ValueError("sites are given once each, in their order, with a width each")

    @staticmethod
    def dense(widths: Iterable[int]) -> Layout:
        """The layout of a model without experts; `widths` are the numbers of neurons in each layer."""
        return _cached_layout(tuple(map(int, widths)), ())

    @staticmethod
    def routed(widths: Iterable[int], experts: Iterable[tuple[int, int]]) -> Layout:
        """The layout of a model with routed experts.

        Args:
            widths: neurons of each layer, all its sites together.
            experts: of each layer (number of routed experts, width of each); (0, 0) if it has none. The remaining
                neurons of the layer are those of its shared expert.
        """
        return _cached_layout(tuple(map(int, widths)), tuple(experts))

    @cached_property
    def starts(self) -> Int[np.ndarray, " site"]:
        """The first column of each site, followed by the number of all columns."""
        return _read_only(np.concatenate([[0], np.cumsum(self.widths, dtype=np.int64)]))

    @property
    def size(self) -> int:
        """How many neurons there are."""
        return int(self.starts[-1])

    @property
    def n_layers(self) -> int:
        """How many layers there are."""
        return self.sites[-1].layer + 1 if self.sites else 0

    @property
    def is_dense(self) -> bool:
        """Whether no layer has experts: then a layer and a number identify a neuron."""
        return bool((self.experts == NO_EXPERT).all())

    @cached_property
    def layers(self) -> Int[np.ndarray, " site"]:
        """The layer of each site."""
        return _read_only(np.array([site.layer for site in self.sites], dtype=np.int64))

    @cached_property
    def experts(self) -> Int[np.ndarray, " site"]:
        """Which routed expert of its layer each site is; -1 (`NO_EXPERT`) for the site that every token uses."""
        return _read_only(np.array([site.expert for site in self.sites], dtype=np.int64))

    @cached_property
    def layer_starts(self) -> Int[np.ndarray, " layer"]:
        """The first column of each layer, followed by the number of all columns."""
        return _read_only(self.starts[np.searchsorted(self.layers, np.arange(self.n_layers + 1))])

    @cached_property
    def _numbers(self) -> dict[tuple[int, int], int]:
        return {(site.layer, site.expert): number for number, site in enumerate(self.sites)}

    # Sites

    def site_of(self, neuron: NeuronId) -> tuple[int, int]:
        """(number of the neuron's site, its index there). Raises BadNeurons if the model does not have it."""
        number = self._numbers.get((neuron.layer, neuron.expert))
        if number is None or neuron.index >= self.widths[number]:
            raise BadNeurons(
                f"{neuron} is not in this model",
                self._what_there_is(neuron, number),
                "name one that it has, or open the model this set was made for",
            )
        return number, neuron.index

    def __contains__(self, neuron: object) -> bool:
        if not isinstance(neuron, NeuronId):
            return False
        number = self._numbers.get((neuron.layer, neuron.expert))
        return number is not None and neuron.index < self.widths[number]

    def check(self, neurons: Iterable[NeuronId]) -> None:
        """Raises BadNeurons for the first neuron that the model does not have, and says what it has instead."""
        for neuron in neurons:
            self.site_of(neuron)

    def places(self, neurons: Iterable[NeuronId]) -> tuple[Int[np.ndarray, " neuron"], Int[np.ndarray, " neuron"]]:
        """(number of the site, index in it) of each neuron. Raises BadNeurons."""
        pairs = np.array([self.site_of(neuron) for neuron in neurons], dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def by_site(self, neurons: Iterable[NeuronId]) -> dict[int, Int[np.ndarray, " neuron"]]:
        """Number of a site -> the indices of these neurons in it; sites ascend. Raises BadNeurons."""
        return _grouped(*self.places(neurons))

    def named(self, site: int, indices: Sequence[int] | Int[np.ndarray, " neuron"]) -> list[NeuronId]:
        """The neurons with these indices in the site of this number. Raises IndexError if one does not exist."""
        return self.neurons(self.starts[site] + _checked_numbers(indices, self.widths[site]))

    def words(self, site: int) -> str:
        """'layer 12', 'expert 7 of layer 12', 'the shared expert of layer 12'."""
        place = self.sites[site]
        shared = place.expert == NO_EXPERT and (place.layer, 0) in self._numbers
        return f"the shared expert of {place.words}" if shared else place.words

    # Columns

    def columns(self, neurons: Iterable[NeuronId]) -> Int[np.ndarray, " neuron"]:
        """The column of each neuron. Raises BadNeurons."""
        sites, indices = self.places(neurons)
        return self.starts[sites] + indices

    def places_of(
        self, columns: Sequence[int] | Int[np.ndarray, " neuron"]
    ) -> tuple[Int[np.ndarray, " neuron"], Int[np.ndarray, " neuron"]]:
        """(number of the site, index in it) of the neuron of each column. Raises IndexError for an invalid column."""
        checked = _checked_numbers(columns, self.size)
        sites = np.searchsorted(self.starts, checked, side="right") - 1
        return sites, checked - self.starts[sites]

    def neurons(self, columns: Sequence[int] | Int[np.ndarray, " neuron"]) -> list[NeuronId]:
        """The neuron of each column. Raises IndexError for an invalid column."""
        sites, indices = self.places_of(columns)
        return [self.sites[site].neuron(index) for site, index in zip(sites.tolist(), indices.tolist(), strict=True)]

    # Arrays by layer

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Neurons of each layer, all its sites together."""
        return tuple(np.diff(self.layer_starts).tolist())

    def offset_of(self, neuron: NeuronId) -> tuple[int, int]:
        """(layer, offset in it) of a neuron. Raises BadNeurons."""
        (column,) = self.columns([neuron]).tolist()
        return neuron.layer, column - int(self.layer_starts[neuron.layer])

    def by_layer(self, neurons: Iterable[NeuronId]) -> dict[int, tuple[int, ...]]:
        """Layer -> offsets of these neurons in it; layers ascend. Raises BadNeurons."""
        columns = self.columns(neurons)
        layers = np.searchsorted(self.layer_starts, columns, side="right") - 1
        grouped = _grouped(layers, columns - self.layer_starts[layers])
        return {layer: tuple(offsets.tolist()) for layer, offsets in grouped.items()}

    def at(
        self, layers: int | Int[np.ndarray, " neuron"], offsets: Sequence[int] | Int[np.ndarray, " neuron"]
    ) -> list[NeuronId]:
        """The neuron of each offset; `layers` is one layer for all, or one for each. Raises IndexError if invalid."""
        return self.neurons(self.columns_at(layers, offsets))

    def columns_at(
        self, layers: int | Int[np.ndarray, " neuron"], offsets: Sequence[int] | Int[np.ndarray, " neuron"]
    ) -> Int[np.ndarray, " neuron"]:
        """The column of each offset; `layers` is one layer for all, or one for each. Raises IndexError if invalid."""
        checked_layers = _checked_numbers(layers, self.n_layers)
        return self.layer_starts[checked_layers] + _checked_numbers(offsets, np.diff(self.layer_starts)[checked_layers])

    def parts(self, layer: int) -> list[slice]:
        """The offsets of each site of a layer."""
        first = self.layer_starts[layer]
        inside = np.flatnonzero(self.layers == layer)
        return [slice(int(self.starts[n] - first), int(self.starts[n + 1] - first)) for n in inside]

    def flat(self, array: Shaped[np.ndarray, "*axes layer neuron"]) -> Shaped[np.ndarray, "*axes column"]:
        """A copy of an array by layer as a flat array, without the padding of narrow layers."""
        return array[..., self._filled(array.shape[-1])]

    def _filled(self, widest: int) -> Bool[np.ndarray, "layer neuron"]:
        return np.arange(widest) < np.diff(self.layer_starts)[:, None]

    def _what_there_is(self, neuron: NeuronId, number: int | None) -> str:
        """Which part of the neuron's address the model does not have, for an error message."""
        if neuron.layer >= self.n_layers:
            return f"it has layers 0 to {self.n_layers - 1}"
        if number is not None:
            return f"{self.words(number)} has neurons 0 to {self.widths[number] - 1}"
        experts = int(((self.layers == neuron.layer) & (self.experts != NO_EXPERT)).sum())
        if neuron.expert == NO_EXPERT:
            return f"all neurons of layer {neuron.layer} are in its experts 0 to {experts - 1}"
        return f"layer {neuron.layer} has " + (f"experts 0 to {experts - 1}" if experts else "no experts")


@lru_cache(maxsize=64)
def _cached_layout(widths: tuple[int, ...], experts: tuple[tuple[int, int], ...]) -> Layout:
    """The layout of a shape, shared by all callers, so that its arrays are computed once."""
    widths_by_site: dict[Site, int] = {}
    for layer, (width, (count, width_of_expert)) in enumerate(
        zip(widths, experts or ((0, 0),) * len(widths), strict=True)
    ):
        if (remaining := width - count * width_of_expert) or not count:
            widths_by_site[Site(layer)] = remaining
        widths_by_site |= {Site(layer, expert): width_of_expert for expert in range(count)}
    if any(width < 0 for width in widths_by_site.values()):
        raise ValueError("the experts of a layer are wider than the layer")
    return Layout(tuple(widths_by_site), tuple(widths_by_site.values()))


def _checked_numbers(
    numbers: int | Sequence[int] | Int[np.ndarray, " neuron"], ends: int | Int[np.ndarray, " neuron"]
) -> Int[np.ndarray, " neuron"]:
    """`numbers` as an array. Raises IndexError outside 0..end, also for negative numbers, which NumPy accepts."""
    array = np.asarray(numbers, dtype=np.int64)
    if ((array < 0) | (array >= ends)).any():
        raise IndexError("no neuron lies there")
    return array


def _grouped(
    keys: Int[np.ndarray, " neuron"], values: Int[np.ndarray, " neuron"]
) -> dict[int, Int[np.ndarray, " some"]]:
    """Key -> its values in the given order; keys ascend."""
    order = np.argsort(keys, kind="stable")
    unique_keys, first = np.unique(keys[order], return_index=True)
    return dict(zip(unique_keys.tolist(), np.split(values[order], first[1:]), strict=False))


def _read_only(array: Int[np.ndarray, " number"]) -> Int[np.ndarray, " number"]:
    array.flags.writeable = False
    return array
