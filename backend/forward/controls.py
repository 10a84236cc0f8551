"""Which rows a comparison has: the baseline, the chosen arms and their random twins.

Owns the drawing of random controls: as many neurons, at the same alphas, from the same sites ("layer": in a dense model
a site is a layer) or from anywhere ("free"), never a chosen one, each draw from its own seed. Knows where neurons lie
(`backend.layout`) and touches no model.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from backend.errors import BadNeurons
from backend.forward.row import UNTOUCHED, plan_alphas
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, RowPlan

NONE = NeuronSet()
BASELINE = UNTOUCHED


def plan(request: CompareRequest, layout: Layout) -> tuple[RowPlan, ...]:
    """Every row of the batch, baseline first, controls last.

    Raises BadNeurons for a neuron the model does not have, or where there are too few others to draw a twin.
    """
    chosen = [
        RowPlan(arm="chosen", alpha=alpha, neurons=request.neurons) for alpha in request.alphas if request.neurons
    ]
    if request.own:
        neurons, alphas = _own((item.neuron, item.alpha) for item in request.own)
        chosen.append(RowPlan(arm="own", alpha=None, neurons=neurons, alphas=alphas))
    if request.against:
        chosen.append(RowPlan(arm="against", alpha=request.against_alpha, neurons=request.against))
    for row in chosen:
        layout.check(row.neurons)
    rows = [BASELINE, *chosen]
    arms = request.control_arms if chosen else ()
    for kind in request.control_kinds:
        for seed in request.twin_seeds:
            rows += [_twin(chosen[arm], arm + 1, kind, seed, layout) for arm in arms]
    return tuple(rows)


def _own(pairs: Iterable[tuple[NeuronId, float]]) -> tuple[NeuronSet, tuple[float, ...]]:
    """Neurons with an alpha each as a set, and the alphas in its order."""
    alphas = dict(pairs)
    neurons = NeuronSet(tuple(alphas))
    return neurons, tuple(alphas[neuron] for neuron in neurons)


def _twin(row: RowPlan, of: int, kind: str, seed: int, layout: Layout) -> RowPlan:
    neurons, alphas = _own(zip(draw(row.neurons, kind, seed, layout), plan_alphas(row), strict=True))
    return RowPlan(
        arm="control",
        alpha=row.alpha,
        neurons=neurons,
        alphas=() if row.alpha is not None else alphas,
        control="layer" if kind == "layer" else "free",
        control_of=of,
        seed=seed,
    )


def draw(chosen: NeuronSet, kind: str, seed: int, layout: Layout, avoid: NeuronSet = NONE) -> list[NeuronId]:
    """As many others as there are chosen, without replacement; the same seed draws the same twin.

    Under "layer" the i-th drawn neuron is of the i-th chosen neuron's site. Those to `avoid` are never drawn either.
    """
    random = np.random.default_rng((seed, 0 if kind == "layer" else 1))
    if kind == "free":
        return _draw_free(chosen, random, layout, avoid)
    drawn: list[NeuronId] = []
    refused = layout.by_site(chosen | avoid)
    for site, taken in layout.by_site(chosen).items():
        others = np.setdiff1d(np.arange(layout.widths[site]), refused[site])
        _enough(len(others), len(taken), layout.words(site))
        drawn += layout.named(site, random.choice(others, len(taken), replace=False))
    return drawn


def _draw_free(chosen: NeuronSet, random: np.random.Generator, layout: Layout, avoid: NeuronSet) -> list[NeuronId]:
    others = np.setdiff1d(np.arange(layout.size), layout.columns(chosen | avoid))
    _enough(len(others), len(chosen), "the model")
    return layout.neurons(random.choice(others, len(chosen), replace=False))


def _enough(others: int, wanted: int, where: str) -> None:
    if others < wanted:
        raise BadNeurons(
            f"No random twin of {wanted} neurons can be drawn",
            f"{where} has only {others} others",
            "choose fewer neurons, a free control, or no control",
        )
