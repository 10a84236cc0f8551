"""Which rows a comparison has: the baseline, the chosen arms and their random twins.

Owns the drawing of random controls: as many neurons, at the same alphas, from the same layers ("layer") or from
anywhere ("free"), never a chosen one, each draw from its own seed. Knows widths only; touches no model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.errors import BadNeurons
from backend.forward import columns
from backend.forward.rows.row import UNTOUCHED, plan_alphas
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, RowPlan

NONE = NeuronSet()
BASELINE = UNTOUCHED


def plan(request: CompareRequest, widths: Sequence[int]) -> tuple[RowPlan, ...]:
    """Every row of the batch, baseline first, controls last.

    Raises BadNeurons for a neuron the model does not have, or where there are too few others to draw a twin.
    """
    chosen = [
        RowPlan(arm="chosen", alpha=alpha, neurons=request.neurons) for alpha in request.alphas if request.neurons
    ]
    if request.own:
        own = sorted(request.own, key=lambda item: (item.neuron.layer, item.neuron.expert, item.neuron.index))
        neurons = NeuronSet(tuple(item.neuron for item in own))
        chosen.append(RowPlan(arm="own", alpha=None, neurons=neurons, alphas=tuple(item.alpha for item in own)))
    if request.against:
        chosen.append(RowPlan(arm="against", alpha=request.against_alpha, neurons=request.against))
    for row in chosen:
        row.neurons.check(widths)
    rows = [BASELINE, *chosen]
    arms = request.control_arms if chosen else ()
    for kind in request.control_kinds:
        for draw in range(request.controls):
            rows += [_twin(chosen[arm], arm + 1, kind, request.control_seed + draw, widths) for arm in arms]
    return tuple(rows)


def _twin(row: RowPlan, of: int, kind: str, seed: int, widths: Sequence[int]) -> RowPlan:
    neurons = draw(row.neurons, kind, seed, widths)
    ordered = sorted(zip(neurons, plan_alphas(row), strict=True))
    return RowPlan(
        arm="control",
        alpha=row.alpha,
        neurons=NeuronSet(tuple(neurons)),
        alphas=() if row.alpha is not None else tuple(alpha for _, alpha in ordered),
        control="layer" if kind == "layer" else "free",
        control_of=of,
        seed=seed,
    )


def draw(chosen: NeuronSet, kind: str, seed: int, widths: Sequence[int], avoid: NeuronSet = NONE) -> list[NeuronId]:
    """As many others as there are chosen, without replacement; the same seed draws the same twin.

    Under "layer" the i-th drawn neuron is of the i-th chosen neuron's layer. Those to `avoid` are never drawn either.
    """
    random = np.random.default_rng((seed, 0 if kind == "layer" else 1))
    if kind == "free":
        return _draw_free(chosen, random, widths, avoid)
    drawn: list[NeuronId] = []
    refused = (chosen | avoid).by_layer()
    for layer, taken in chosen.by_layer().items():
        others = np.setdiff1d(np.arange(widths[layer]), np.array(refused[layer]))
        _enough(len(others), len(taken), f"layer {layer}")
        drawn += [NeuronId(layer, int(i)) for i in random.choice(others, len(taken), replace=False)]
    return drawn


def _draw_free(
    chosen: NeuronSet, random: np.random.Generator, widths: Sequence[int], avoid: NeuronSet
) -> list[NeuronId]:
    others = np.setdiff1d(np.arange(sum(widths)), columns.of(chosen | avoid, widths))
    _enough(len(others), len(chosen), "the model")
    return columns.named(random.choice(others, len(chosen), replace=False), widths)


def _enough(others: int, wanted: int, where: str) -> None:
    if others < wanted:
        raise BadNeurons(
            f"No random twin of {wanted} neurons can be drawn",
            f"{where} has only {others} others",
            "choose fewer neurons, a free control, or no control",
        )
