"""Scaling chosen neurons, row by row, as hooks with a lifetime.

Owns `Scaling`: z_j of a row is multiplied by that row's alpha (Gao et al. 2025, Eq. 5). One product, here and nowhere
else; a scale of 1 leaves every bit as it was. Weights are never edited. What is to be scaled lies in flat lists of
(row, neuron, alpha), so that the cost hangs on how many neurons are scaled, not on how different the rows are; nothing
here waits for the device. Refuses to choose neurons (`backend.forward.controls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.forward.row import LayerPlan, plan_alphas
from backend.models.hooks import Tree, rewrite
from backend.models.loaded import LoadedModel
from backend.types import RowPlan, Touched


def layer_plans(model: LoadedModel, plan: RowPlan) -> dict[int, LayerPlan]:
    """Layer -> neurons and their alphas. Raises BadNeurons for a neuron that the model does not have."""
    model.info.layout.check(plan.neurons)
    by_layer: dict[int, tuple[list[int], list[float]]] = {}
    for neuron, alpha in zip(plan.neurons, plan_alphas(plan), strict=True):
        layer, offset = model.info.layout.offset_of(neuron)
        neurons, alphas = by_layer.setdefault(layer, ([], []))
        neurons.append(offset)
        alphas.append(alpha)
    plans = {}
    for layer, (neurons, alphas) in by_layer.items():
        device = model.w_norms[layer].device
        plans[layer] = LayerPlan(torch.tensor(neurons, device=device), torch.tensor(alphas, device=device))
    return plans


@dataclass(frozen=True, eq=False)
class LayerScale:
    """What is scaled in one layer of a forward: entry i is neuron `neurons[i]` of row `rows[i]`, by `alphas[i]`.

    `slots[i]` is where the entry's changes are counted. flat: its place where each row has one position.
    """

    rows: Int[Tensor, " entry"]
    neurons: Int[Tensor, " entry"]
    alphas: Float[Tensor, " entry"]
    slots: Int[Tensor, " entry"]
    flat: Int[Tensor, " entry"]


def joined_scales(model: LoadedModel, rows: Sequence[tuple[int, int, dict[int, LayerPlan]]]) -> dict[int, LayerScale]:
    """The scales of a forward. `rows`: for each row that is scaled its place, its slot and what it scales."""
    layers = sorted({layer for *_, plans in rows for layer in plans})
    scales = {}
    for layer in layers:
        parts = [(place, slot, plans[layer]) for place, slot, plans in rows if layer in plans]
        device = model.w_norms[layer].device
        sizes = torch.tensor([len(part.neurons) for *_, part in parts], device=device)
        places = torch.tensor([place for place, *_ in parts], device=device).repeat_interleave(sizes)
        neurons = torch.cat([part.neurons for *_, part in parts])
        scales[layer] = LayerScale(
            places,
            neurons,
            torch.cat([part.alphas for *_, part in parts]),
            torch.tensor([slot for _, slot, _ in parts], device=device).repeat_interleave(sizes),
            places * model.info.layout.layer_widths[layer] + neurons,
        )
    return scales


@dataclass
class Scaling:
    """What the next forward scales, and how many activations came out as another number, by slot.

    real: which positions belong to a text; None means all.
    """

    layers: dict[int, LayerScale] = field(default_factory=dict)
    real: Bool[Tensor, "row pos"] | None = None
    changed: dict[torch.device, Int[Tensor, " slot"]] = field(default_factory=dict)
    slots: int = 0

    def slot(self) -> int:
        """A new place to count in."""
        self.slots += 1
        for device, counts in self.changed.items():
            if len(counts) < self.slots:
                self.changed[device] = torch.cat([counts, torch.zeros_like(counts)])
        return self.slots - 1

    def count(self, slot: int) -> int:
        """Changes counted there. Waits for the device."""
        return sum(int(counts[slot]) for counts in self.changed.values())

    def apply(self, layer: int, z: Float[Tensor, "row pos neuron"]) -> Float[Tensor, "row pos neuron"]:
        """z with this layer's neurons scaled, counted."""
        scale = self.layers.get(layer)
        if scale is None:
            return z
        counts = self.changed.get(z.device)
        if counts is None:
            counts = self.changed[z.device] = torch.zeros(max(64, 2 * self.slots), dtype=torch.long, device=z.device)
        alphas = scale.alphas.to(z.dtype)
        if z.shape[1] == 1:
            old = z.reshape(-1).index_select(0, scale.flat)
            new = old * alphas
            counts.index_add_(0, scale.slots, (new != old).long())
            return z.reshape(-1).index_copy(0, scale.flat, new).view_as(z)
        old = z[scale.rows, :, scale.neurons]
        new = old * alphas[:, None]
        if self.real is not None:
            new = torch.where(self.real[scale.rows], new, old)
        counts.index_add_(0, scale.slots, (new != old).sum(1))
        z = z.clone()
        z[scale.rows, :, scale.neurons] = new
        return z


@dataclass
class Scaled:
    """Rows of a finished text that are scaled at all its positions."""

    plans: Sequence[RowPlan]
    scaling: Scaling
    tokens: int = 0

    def apply(self, layer: int, z: Float[Tensor, "row pos neuron"]) -> Float[Tensor, "row pos neuron"]:
        """z with this layer's neurons scaled, counted."""
        if layer == min(self.scaling.layers):
            self.tokens += z.shape[1]
        return self.scaling.apply(layer, z)

    def touched(self, row: int) -> Touched:
        """What was done to `row` so far. Waits for the device."""
        neurons = len(self.plans[row].neurons)
        return Touched(neurons=neurons, tokens=self.tokens if neurons else 0, changed=self.scaling.count(row))


@contextmanager
def scaled(model: LoadedModel, plans: Sequence[RowPlan], tree: Tree = "plain") -> Iterator[Scaled]:
    """Within the block, each row's neurons are scaled at all positions of every forward of `tree`.

    Raises BadNeurons before any hook is put on.
    """
    scaling = Scaling()
    rows = [(place, scaling.slot(), layer_plans(model, plan)) for place, plan in enumerate(plans)]
    scaling.layers = joined_scales(model, [row for row in rows if row[2]])
    open_ = Scaled(plans, scaling)
    with rewrite(model, sorted(scaling.layers), open_.apply, tree):
        yield open_
