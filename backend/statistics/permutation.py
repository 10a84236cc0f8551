"""What luck reaches: labels shuffled within their strata.

Owns shuffling and the p-value of a null. Source: Ojala & Garriga 2010 (permutation within groups).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from backend.statistics.intervals import Labels, Values
from backend.statistics.scores import auroc


def shuffled(labels: Labels, strata: Int[np.ndarray, " item"], random: np.random.Generator) -> Labels:
    """The labels, each exchanged with another of its stratum."""
    found = labels.copy()
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        found[places] = labels[random.permutation(places)]
    return found


def permuted(
    labels: Labels, scores: Values, strata: Int[np.ndarray, " item"], count: int = 1_000, seed: int = 0
) -> Values:
    """AUROC of the same scores after labels were shuffled within each stratum: [permutation]."""
    random = np.random.default_rng(seed)
    return np.array([auroc(shuffled(labels, strata, random), scores) for _ in range(count)], dtype=np.float64)


def p_value(null: Values, value: float) -> float:
    """Share of the null at least as large, the value itself counted in: never 0 (Phipson & Smyth 2010)."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))
