"""Scaling chosen neurons, row by row, as hooks with a lifetime.

Owns `scaled`: within its block z_j of each row is multiplied by that row's alpha (Gao et al. 2025, Eq. 5).
One product, here and nowhere else; a scale of 1 leaves every bit as it was. Weights are never edited.
Refuses to choose neurons (`backend.forward.controls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.errors import InterventionUnused
from backend.models.hooks import Tree, rewrite
from backend.models.loaded import LoadedModel
from backend.types import Positions, RowPlan, Touched


@dataclass
class LayerScale:
    """What happens in one layer: which neurons, and each row's alpha for them."""

    neurons: Int[Tensor, " neuron"]
    alphas: Float[Tensor, "row neuron"]


@dataclass
class Live:
    """An open intervention. `phase` says which part of the text the next forward reads.

    `padding` marks the real positions of the next forward where rows are padded; None means all are real.
    Counts are kept for every row of the batch as it was opened, whichever rows are still in it.
    """

    layers: dict[int, LayerScale]
    positions: Positions
    rows: list[int]
    phase: Positions = "prompt"
    padding: Bool[Tensor, "row pos"] | None = None
    tokens: dict[int, int] = field(default_factory=dict)
    changed: dict[int, Tensor] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    """Rows that are in the batch and have ended: what happens to them is counted no more."""

    @property
    def acts(self) -> bool:
        """Whether the next forward is touched at all."""
        return self.positions in ("all", self.phase)

    def apply(self, layer: int, z: Float[Tensor, "row pos neuron"]) -> Float[Tensor, "row pos neuron"]:
        """z with this layer's neurons scaled, counted."""
        if not self.acts:
            return z
        scale = self.layers[layer]
        alphas = scale.alphas[self.rows].to(z.dtype)[:, None, :]
        old = z[..., scale.neurons]
        new = old * alphas
        if self.padding is not None:
            new = torch.where(self.padding[..., None], new, old)
        z = z.clone()
        z[..., scale.neurons] = new
        self._count(layer, (new != old).sum((1, 2)), z.shape[1])
        return z

    def _count(self, layer: int, changed: Int[Tensor, " row"], width: int) -> None:
        first = layer == min(self.layers)
        real = None if self.padding is None else self.padding.sum(1).tolist()
        for place, row in enumerate(self.rows):
            if row in self.done:
                continue
            if first:
                self.tokens[row] = self.tokens.get(row, 0) + (width if real is None else int(real[place]))
            self.changed[row] = changed[place] + self.changed.get(row, 0)

    def keep(self, places: Sequence[int]) -> None:
        """Only the rows at `places` of the present batch go on."""
        self.rows = [self.rows[place] for place in places]

    def touched(self, row: int, plan: RowPlan) -> Touched:
        """What was done to `row` so far."""
        changed = self.changed.get(row)
        return Touched(
            neurons=len(plan.neurons),
            tokens=self.tokens.get(row, 0) if plan.neurons else 0,
            changed=0 if changed is None else int(changed),
        )


def layer_scales(model: LoadedModel, plans: Sequence[RowPlan]) -> dict[int, LayerScale]:
    """For every layer that any row touches: the union of its neurons, and each row's alpha (1 where it has none).

    Raises BadNeurons for a neuron that the model does not have.
    """
    alphas: dict[int, dict[int, list[float]]] = {}
    for row, plan in enumerate(plans):
        model.info.layout.check(plan.neurons)
        for neuron, alpha in zip(plan.neurons, plan_alphas(plan), strict=True):
            column = alphas.setdefault(neuron.layer, {}).setdefault(neuron.index, [1.0] * len(plans))
            column[row] = alpha
    scales = {}
    for layer, columns in alphas.items():
        device = model.w_norms[layer].device
        index = sorted(columns)
        table = torch.tensor([columns[i] for i in index], device=device).T.contiguous()
        scales[layer] = LayerScale(torch.tensor(index, device=device), table)
    return scales


def plan_alphas(plan: RowPlan) -> tuple[float, ...]:
    """Each neuron's alpha, in the order of `plan.neurons`."""
    if plan.alpha is None:
        return plan.alphas
    return (plan.alpha,) * len(plan.neurons)


@contextmanager
def scaled(
    model: LoadedModel, plans: Sequence[RowPlan], positions: Positions = "all", tree: Tree = "plain"
) -> Iterator[Live]:
    """Within the block, each row's neurons are scaled in every forward of `tree`. All ids are checked first.

    Raises BadNeurons before any hook is put on.
    """
    live = Live(layer_scales(model, plans), positions, list(range(len(plans))))
    with rewrite(model, sorted(live.layers), live.apply, tree):
        yield live


def prove(live: Live, plans: Sequence[RowPlan]) -> tuple[Touched, ...]:
    """Proof, for every row, that its hooks acted.

    Raises InterventionUnused where a row was to be changed and nothing was: such a row is no answer.
    """
    proofs = []
    for row, plan in enumerate(plans):
        proof = live.touched(row, plan)
        wanted = plan.neurons and any(alpha != 1.0 for alpha in plan_alphas(plan))
        if wanted and (proof.tokens == 0 or proof.changed == 0):
            reached = "no position was reached" if proof.tokens == 0 else "every activation there was exactly 0"
            raise InterventionUnused(
                f"The intervention on {len(plan.neurons)} neurons touched nothing",
                f"with positions '{live.positions}' {reached}",
                "choose all positions, a longer answer, or other neurons",
            )
        proofs.append(proof)
    return tuple(proofs)
