"""Estimates with their interval, by the bootstrap.

Owns resampling. An interval over items resamples clusters, since items of one entity are not independent; an interval
over the tokens of an answer resamples its positions. Defines no measure: callers pass it. Imports no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from backend.types.estimate import POSITION_RESAMPLES, SEED, Estimate

Labels = Int[np.ndarray, " item"]
Values = Float[np.ndarray, " item"]
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
"""(labels, scores, weights) -> a statistic."""
TAILS = (0.025, 0.975)
RESAMPLES = 2_000


def resampled_weights(clusters: Int[np.ndarray, " item"], count: int, seed: int = SEED) -> Iterator[Values]:
    """`count` times: the weight of each item, which is how often its cluster was drawn. As many clusters as there are
    are drawn with replacement."""
    names, member = np.unique(clusters, return_inverse=True)
    random = np.random.default_rng(seed)
    for _ in range(count):
        drawn = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        yield drawn[member].astype(np.float64)


def estimate(
    measure: Measure, labels: Labels, scores: Values, clusters: Int[np.ndarray, " item"], seed: int = SEED
) -> Estimate:
    """`measure` with its 95 % percentile interval over resampled clusters.

    Source: Efron & Tibshirani 1993, chapter 13; clusters as in Cameron et al. 2008.
    """
    resampled = [measure(labels, scores, weights) for weights in resampled_weights(clusters, RESAMPLES, seed)]
    low, high = np.quantile(resampled, TAILS)
    return Estimate(
        value=measure(labels, scores, None), low=float(low), high=float(high), n=len(labels),
        clusters=len(np.unique(clusters)), resamples=RESAMPLES, seed=seed,
    )  # fmt: skip


def mean_estimate(values: Values, clusters: Int[np.ndarray, " item"], seed: int = SEED) -> Estimate:
    """The mean of `values`, in their own unit, with its interval."""

    def mean(labels: Labels, values: Values, weights: Values | None) -> float:
        return float(np.average(values, weights=weights))

    return estimate(mean, np.zeros(len(values), dtype=np.int64), values, clusters, seed)


def mean_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile interval of a mean over the positions of one text; None below two values.

    `backend.types.results.Row.kl_estimate` is the whole estimate.
    """
    if len(values) < 2:
        return None
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=POSITION_RESAMPLES, method="percentile", rng=np.random.default_rng(SEED)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def standard_error(interval: Estimate) -> float:
    """Standard error of a statistic, from its 95 % interval, as if it were normally distributed."""
    return (interval.high - interval.low) / (2 * 1.96)
