"""Stage 9, statistics: what a score is worth on items that no fit has seen.

Owns intervals, matching and permutation, and the measures that are asked for in every resample; scikit-learn and
SciPy own the others. An interval resamples clusters, since items of one entity are no two observations. A label is
1 for wrong. Refuses fits (`backend.identify.fit.solver`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control, mannwhitneyu, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from backend.forward.columns import blocks
from backend.types.identify import CalibrationBin, Estimate, Scores

RESAMPLES = 2_000
CALIBRATION_POINTS, CALIBRATION_RESAMPLES = 41, 200
Labels = Int[np.ndarray, " item"]
Values = Float[np.ndarray, " item"]
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
"""(labels, scores, weights) -> a statistic."""


def auroc(labels: Labels, scores: Values, weights: Values | None = None) -> float:
    """Chance that a wrong answer scores above a right one, ties counted half; 0.5 where a side is missing.

    scikit-learn's `roc_auc_score`, to which it is held equal by test, takes thirty times as long for a few hundred
    items, and an interval asks 2,000 times.
    """
    weight = np.ones(len(labels)) if weights is None else weights
    values, place = np.unique(scores, return_inverse=True)
    wrong = np.bincount(place, weight * (labels == 1), len(values))
    right = np.bincount(place, weight * (labels == 0), len(values))
    pairs = wrong.sum() * right.sum()
    below = np.cumsum(right) - right / 2
    return float(wrong @ below / pairs) if pairs > 0 else 0.5


def estimate(
    measure: Measure, labels: Labels, scores: Values, clusters: Int[np.ndarray, " item"], seed: int = 0
) -> Estimate:
    """`measure` with its 95 % percentile interval over resampled clusters.

    Source: Efron & Tibshirani 1993, chapter 13; clusters as in Cameron et al. 2008.
    """
    names, member = np.unique(clusters, return_inverse=True)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        found.append(measure(labels, scores, drawn[member].astype(np.float64)))
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(
        value=measure(labels, scores, None), low=float(low), high=float(high), n=len(labels), clusters=len(names)
    )


def share(values: Values, clusters: Int[np.ndarray, " item"], seed: int = 0) -> Estimate:
    """The mean of `values`, in their own unit, with its interval."""

    def mean(labels: Labels, held: Values, weights: Values | None) -> float:
        return float(np.average(held, weights=weights))

    return estimate(mean, np.zeros(len(values), dtype=np.int64), values, clusters, seed)


def scores_of(labels: Labels, logits: Values, clusters: Int[np.ndarray, " item"], seed: int = 0) -> Scores:
    """AUROC, accuracy, F1 and Brier score of log-odds, each with its interval."""

    def chance(values: Values) -> Values:
        return 1 / (1 + np.exp(-values))

    def accuracy(y: Labels, s: Values, w: Values | None) -> float:
        return float(np.average((s > 0) == (y == 1), weights=w))

    def f1(y: Labels, s: Values, w: Values | None) -> float:
        return float(f1_score(y, s > 0, sample_weight=w, zero_division=0.0))

    def brier(y: Labels, s: Values, w: Values | None) -> float:
        return float(np.average((chance(s) - y) ** 2, weights=w))

    told = {
        name: estimate(measure, labels, logits, clusters, seed)
        for name, measure in (("auroc", auroc), ("accuracy", accuracy), ("f1", f1), ("brier", brier))
    }
    return Scores(**told)


def calibration(labels: Labels, logits: Values, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Bins of equally many items, by predicted chance; bins without an item, as equal chances make them, are left out.

    The bins are those of scikit-learn's `calibration_curve`, which does not tell how many items each holds.
    """
    chances = 1 / (1 + np.exp(-logits))
    inner = np.quantile(chances, np.linspace(0, 1, bins + 1))[1:-1]
    member = np.searchsorted(inner, chances)
    counts, means, shares = (np.bincount(member, weights, bins) for weights in (None, chances, labels))
    return tuple(
        CalibrationBin(chance=float(mean / count), share=float(share / count), n=int(count))
        for count, mean, share in zip(counts, means, shares, strict=True)
        if count
    )


def platt(labels: Labels, logits: Values, weights: Values | None = None) -> Callable[[Values], Values]:
    """From log-odds to the share of wrong answers that score so, by logistic regression on the score (Platt 1999).

    Two figures are fitted and no shape: isotonic regression overfits below about a thousand items (scikit-learn's
    guide). scikit-learn's own penalty holds the slope finite where the items are apart without an error.
    """
    centre, scale = float(logits.mean()), float(logits.std()) or 1.0
    fitted = LogisticRegression().fit(((logits - centre) / scale)[:, None], labels, sample_weight=weights)
    return lambda values: np.asarray(fitted.predict_proba(((values - centre) / scale)[:, None])[:, 1])


def calibrated(
    labels: Labels, logits: Values, clusters: Int[np.ndarray, " item"], seed: int = 0
) -> tuple[Values, Float[np.ndarray, "curve point"]]:
    """(log-odds [point] from the smallest to the largest, share of wrong answers there with its 95 % interval
    [value/low/high, point], over resampled clusters). Both sides must be there."""
    points = np.linspace(logits.min(), logits.max(), CALIBRATION_POINTS)
    names, member = np.unique(clusters, return_inverse=True)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(CALIBRATION_RESAMPLES):
        drawn = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[member]
        if len(np.unique(labels[drawn > 0])) == 2:
            found.append(platt(labels, logits, drawn.astype(np.float64))(points))
    value = platt(labels, logits)(points)
    low, high = np.quantile(np.array(found or [value]), [0.025, 0.975], axis=0)
    # The interval of a percentile bootstrap need not hold the estimate where one side is a handful.
    return points, np.stack([value, np.minimum(low, value), np.maximum(high, value)])


def within(labels: Labels, scores: Values, strata: Int[np.ndarray, " item"], weights: Values | None = None) -> float:
    """AUROC over pairs of one stratum only: what is left when the kind of question cannot help; 0.5 without a pair."""
    total = pairs = 0.0
    for stratum in np.unique(strata):
        here = strata == stratum
        weight = np.ones(here.sum()) if weights is None else weights[here]
        wrong, right = weight[labels[here] == 1].sum(), weight[labels[here] == 0].sum()
        if wrong > 0 and right > 0:
            total += wrong * right * auroc(labels[here], scores[here], weight)
            pairs += wrong * right
    return total / pairs if pairs else 0.5


def matched(labels: Labels, lengths: Int[np.ndarray, " item"], seed: int = 0) -> Int[np.ndarray, " pair"]:
    """Places of as many right as wrong items of each length: a subset in which length tells nothing."""
    random = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    for length in np.unique(lengths):
        sides = [np.flatnonzero((lengths == length) & (labels == side)) for side in (0, 1)]
        count = min(map(len, sides))
        kept += [random.choice(side, count, replace=False) for side in sides]
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, dtype=np.int64)


def permuted(
    labels: Labels, scores: Values, strata: Int[np.ndarray, " item"], count: int = 1_000, seed: int = 0
) -> Values:
    """AUROC of the same scores after labels were shuffled within each stratum: [permutation]."""
    random = np.random.default_rng(seed)
    places = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    found = np.empty(count)
    shuffled = labels.copy()
    for number in range(count):
        for group in places:
            shuffled[group] = random.permutation(labels[group])
        found[number] = auroc(shuffled, scores)
    return found


def p_value(null: Values, value: float) -> float:
    """Share of the null at least as large, the value itself counted in: never 0 (Phipson & Smyth 2010)."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))


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
