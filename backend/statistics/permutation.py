"""What chance alone reaches: labels shuffled within their strata.

Owns shuffling and the p-value of a null. Source: Ojala & Garriga 2010 (permutation within groups).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from backend.statistics.intervals import Labels, Values
from backend.statistics.scores import auroc


def shuffle_within_strata(labels: Labels, strata: Int[np.ndarray, " item"], random: np.random.Generator) -> Labels:
    """The labels, shuffled within each stratum."""
    permuted_labels = labels.copy()
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        permuted_labels[places] = labels[random.permutation(places)]
    return permuted_labels


def permuted_aurocs(
    labels: Labels, scores: Values, strata: Int[np.ndarray, " item"], count: int = 1_000, seed: int = 0
) -> Values:
    """AUROC of the same scores after labels were shuffled within each stratum: [permutation]."""
    random = np.random.default_rng(seed)
    return np.array(
        [auroc(shuffle_within_strata(labels, strata, random), scores) for _ in range(count)], dtype=np.float64
    )


def p_value(null: Values, value: float) -> float:
    """Share of the null that is at least as large as `value`, which is counted too: never 0 (Phipson & Smyth 2010)."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))
