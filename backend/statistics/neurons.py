"""Each neuron alone, neurons that correlate, and how two sets of neurons overlap.

Owns what is computed for every neuron of a model, a block of them at a time. Source of the tests: SciPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control, mannwhitneyu, rankdata

from backend.forward.columns import blocks
from backend.statistics.intervals import Labels


def measure_by_blocks(
    measure: Callable[[np.ndarray], np.ndarray], features: Float[np.ndarray, "item neuron"]
) -> np.ndarray:
    """`measure` of every neuron, [... neuron], computed for a block of neurons at a time.

    Ranks and SciPy's tests keep many float64 copies of their input: for 2,000 items of a 7B model sixteen times
    3.7 GB.
    """
    return np.concatenate([measure(features[:, block]) for block in blocks(features.shape[1])], axis=-1)


def single_neurons(
    features: Float[np.ndarray, "item neuron"], labels: Labels
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """(AUROC of each neuron alone, its p-value by Mann-Whitney after Benjamini-Hochberg over all neurons)."""

    def tested(block: np.ndarray) -> np.ndarray:
        wrong, right = block[labels == 1], block[labels == 0]
        test = mannwhitneyu(wrong, right, axis=0, method="asymptotic")
        return np.stack([test.statistic / (len(wrong) * len(right)), np.nan_to_num(test.pvalue, nan=1.0)])

    areas, p = measure_by_blocks(tested, features)
    return areas, false_discovery_control(p)


def cohens_d(features: Float[np.ndarray, "item neuron"], labels: Labels) -> Float[np.ndarray, " neuron"]:
    """Difference of means, wrong minus right, in units of the pooled SD; 0 where a neuron never varies."""

    def measured(block: np.ndarray) -> np.ndarray:
        wrong, right = block[labels == 1].astype(np.float64), block[labels == 0].astype(np.float64)
        spread = (len(wrong) - 1) * wrong.var(0, ddof=1) + (len(right) - 1) * right.var(0, ddof=1)
        pooled = np.sqrt(spread / (len(wrong) + len(right) - 2))
        difference = wrong.mean(0) - right.mean(0)
        return np.divide(difference, pooled, out=np.zeros_like(difference), where=pooled > 0)

    return measure_by_blocks(measured, features)


def partners(
    features: Float[np.ndarray, "item neuron"], neurons: Int[np.ndarray, " chosen"], count: int = 5
) -> list[list[tuple[int, float]]]:
    """For each chosen neuron the `count` neurons of the largest |Spearman correlation|: (place, correlation).

    Among equal correlations the first neurons.
    """
    chosen = _unit_ranks(features[:, neurons])
    places = np.empty((len(neurons), 0), dtype=np.int64)
    strengths = np.empty((len(neurons), 0), dtype=np.float32)
    for block in blocks(features.shape[1]):
        here = np.arange(block.start, block.stop)
        correlations = chosen.T @ _unit_ranks(features[:, block])
        correlations[neurons[:, None] == here] = 0.0
        # Only the strongest so far are kept: [chosen neuron] of a large model does not fit into memory.
        places = np.concatenate([places, np.broadcast_to(here, correlations.shape)], axis=1)
        strengths = np.concatenate([strengths, correlations], axis=1)
        best = np.argsort(-np.abs(strengths), axis=1, kind="stable")[:, :count]
        places, strengths = np.take_along_axis(places, best, axis=1), np.take_along_axis(strengths, best, axis=1)
    return [
        [(int(place), float(value)) for place, value in zip(*row, strict=True)]
        for row in zip(places, strengths, strict=True)
    ]


def _unit_ranks(features: Float[np.ndarray, "item neuron"]) -> Float[np.ndarray, "item neuron"]:
    """Ranks among the items, centred and of length 1: their products are Spearman correlations."""
    ranks = rankdata(features, axis=0).astype(np.float32)
    ranks -= ranks.mean(0)
    ranks /= np.maximum(np.linalg.norm(ranks, axis=0), 1e-6)
    return ranks


def jaccard(first: set[int], second: set[int]) -> float:
    """Shared members divided by all members; 0 for two empty sets."""
    return len(first & second) / len(first | second) if first | second else 0.0


def mean_overlap(sets: Sequence[set[int]]) -> float:
    """Mean `jaccard` over all pairs; 0 without a pair."""
    pairs = [jaccard(first, second) for first, second in combinations(sets, 2)]
    return float(np.mean(pairs)) if pairs else 0.0
