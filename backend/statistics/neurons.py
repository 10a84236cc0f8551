"""Each neuron alone, those that go together, and how two sets of neurons overlap.

Owns what is asked of every neuron of a model, a block of them at a time. Source of the tests: SciPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control, mannwhitneyu, rankdata

from backend.forward.columns import blocks
from backend.statistics.intervals import Labels


def by_blocks(measure: Callable[[np.ndarray], np.ndarray], features: Float[np.ndarray, "item neuron"]) -> np.ndarray:
    """`measure` of every neuron, [... neuron], asked of a block of neurons at a time.

    Ranks and SciPy's tests keep many float64 copies of what they are given; of 2,000 items of a 7B model these would
    be sixteen times 3.7 GB.
    """
    return np.concatenate([measure(features[:, block]) for block in blocks(features.shape[1])], axis=-1)


def single_neurons(
    features: Float[np.ndarray, "item neuron"], labels: Labels
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """(AUROC of each neuron alone, its p-value by Mann-Whitney after Benjamini-Hochberg over all neurons)."""

    def tested(block: np.ndarray) -> np.ndarray:
        wrong, right = block[labels == 1], block[labels == 0]
        told = mannwhitneyu(wrong, right, axis=0, method="asymptotic")
        return np.stack([told.statistic / (len(wrong) * len(right)), np.nan_to_num(told.pvalue, nan=1.0)])

    areas, p = by_blocks(tested, features)
    return areas, false_discovery_control(p)


def cohens_d(features: Float[np.ndarray, "item neuron"], labels: Labels) -> Float[np.ndarray, " neuron"]:
    """Difference of means, wrong minus right, in units of the pooled SD; 0 where a neuron never varies."""

    def measured(block: np.ndarray) -> np.ndarray:
        wrong, right = block[labels == 1].astype(np.float64), block[labels == 0].astype(np.float64)
        spread = (len(wrong) - 1) * wrong.var(0, ddof=1) + (len(right) - 1) * right.var(0, ddof=1)
        pooled = np.sqrt(spread / (len(wrong) + len(right) - 2))
        difference = wrong.mean(0) - right.mean(0)
        return np.divide(difference, pooled, out=np.zeros_like(difference), where=pooled > 0)

    return by_blocks(measured, features)


def partners(
    features: Float[np.ndarray, "item neuron"], neurons: Int[np.ndarray, " chosen"], count: int = 5
) -> list[list[tuple[int, float]]]:
    """For each chosen neuron those whose CETT goes with it most, by |Spearman correlation|: (place, correlation).

    Of neurons that go with it equally, the first ones.
    """
    chosen = _unit_ranks(features[:, neurons])
    places = np.empty((len(neurons), 0), dtype=np.int64)
    told = np.empty((len(neurons), 0), dtype=np.float32)
    for block in blocks(features.shape[1]):
        here = np.arange(block.start, block.stop)
        found = chosen.T @ _unit_ranks(features[:, block])
        found[neurons[:, None] == here] = 0.0
        # Only the strongest so far are kept: [chosen neuron] of a large model has no room.
        places = np.concatenate([places, np.broadcast_to(here, found.shape)], axis=1)
        told = np.concatenate([told, found], axis=1)
        best = np.argsort(-np.abs(told), axis=1, kind="stable")[:, :count]
        places, told = np.take_along_axis(places, best, axis=1), np.take_along_axis(told, best, axis=1)
    return [
        [(int(place), float(value)) for place, value in zip(*row, strict=True)]
        for row in zip(places, told, strict=True)
    ]


def _unit_ranks(features: Float[np.ndarray, "item neuron"]) -> Float[np.ndarray, "item neuron"]:
    """Ranks among the items, centred and of length 1: their products are Spearman correlations."""
    ranks = rankdata(features, axis=0).astype(np.float32)
    ranks -= ranks.mean(0)
    ranks /= np.maximum(np.linalg.norm(ranks, axis=0), 1e-6)
    return ranks


def jaccard(one: set[int], other: set[int]) -> float:
    """Shared members of all members; two empty sets are no match."""
    return len(one & other) / len(one | other) if one | other else 0.0


def mean_overlap(sets: Sequence[set[int]]) -> float:
    """Mean `jaccard` of every pair; 0 where there is none."""
    pairs = [jaccard(one, other) for one, other in combinations(sets, 2)]
    return float(np.mean(pairs)) if pairs else 0.0
