"""How well a score separates wrong from right answers: measures of a score, some with their interval.

Owns the measures that are computed in every resample, matching, and calibration; scikit-learn has the others.
Fits no probe (`backend.identify.fit.solver` does).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, f1_score

from backend.statistics.intervals import TAILS, Labels, Values, estimate, resampled_weights
from backend.types.estimate import CALIBRATION_RESAMPLES, SEED, Estimate
from backend.types.identify import CalibrationBin, Scores

CALIBRATION_POINTS = 41


def auroc(labels: Labels, scores: Values, weights: Values | None = None) -> float:
    """Chance that a wrong answer scores above a right one, ties counted half; 0.5 where a side is missing.

    scikit-learn's `roc_auc_score` gives the same (a test compares them) but takes thirty times as long for a few
    hundred items, and an interval needs 2,000 calls.
    """
    weight = np.ones(len(labels)) if weights is None else weights
    _, place = np.unique(scores, return_inverse=True)
    wrong, right = (np.bincount(place, weight * (labels == side)) for side in (1, 0))
    pairs = wrong.sum() * right.sum()
    below = np.cumsum(right) - right / 2
    return float(wrong @ below / pairs) if pairs > 0 else 0.5


def aurocs(
    labels: Labels, scores: Float[np.ndarray, "item draw"], weights: Values | None = None
) -> Float[np.ndarray, " draw"]:
    """AUROC of each column."""
    return np.array([auroc(labels, column, weights) for column in scores.T])


def accuracy(labels: Labels, logits: Values, weights: Values | None = None) -> float:
    """Share of items on the right side of log-odds 0."""
    return float(np.average((logits > 0) == (labels == 1), weights=weights))


def scores_of(labels: Labels, logits: Values, clusters: Int[np.ndarray, " item"], seed: int = SEED) -> Scores:
    """AUROC, accuracy, F1 and Brier score of log-odds, each with its interval."""

    def chance(values: Values) -> Values:
        return 1 / (1 + np.exp(-values))

    def f1(y: Labels, s: Values, w: Values | None) -> float:
        return float(f1_score(y, s > 0, sample_weight=w, zero_division=0.0))

    def brier(y: Labels, s: Values, w: Values | None) -> float:
        return float(np.average((chance(s) - y) ** 2, weights=w))

    estimates = {
        name: estimate(measure, labels, logits, clusters, seed)
        for name, measure in (("auroc", auroc), ("accuracy", accuracy), ("f1", f1), ("brier", brier))
    }
    return Scores(**estimates)


def auroc_within_strata(
    labels: Labels, scores: Values, strata: Int[np.ndarray, " item"], weights: Values | None = None
) -> float:
    """AUROC over pairs within a stratum, so that the kind of question cannot help; 0.5 without a pair."""
    total = pairs = 0.0
    for stratum in np.unique(strata):
        here = strata == stratum
        weight = np.ones(here.sum()) if weights is None else weights[here]
        wrong, right = weight[labels[here] == 1].sum(), weight[labels[here] == 0].sum()
        if wrong > 0 and right > 0:
            total += wrong * right * auroc(labels[here], scores[here], weight)
            pairs += wrong * right
    return total / pairs if pairs else 0.5


def auroc_difference(
    labels: Labels, scores: Values, compared: Float[np.ndarray, "item draw"], clusters: Int[np.ndarray, " item"]
) -> Estimate:
    """AUROC of `scores` minus the mean AUROC of the columns of `compared`, on the same resampled items."""

    def measure(labels: np.ndarray, columns: np.ndarray, weights: np.ndarray | None) -> float:
        areas = aurocs(labels, columns, weights)
        return float(areas[0] - areas[1:].mean())

    return estimate(measure, labels, np.column_stack([scores, compared]), clusters)


def rank_correlation(scores: Values, lengths: Int[np.ndarray, " item"]) -> float | None:
    """Spearman's; None where either never varies."""
    if len(np.unique(lengths)) < 2 or len(np.unique(scores)) < 2:
        return None
    return float(spearmanr(scores, lengths).statistic)


def kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two judges' verdicts on the same answers; None where all verdicts of both are the same one."""
    return float(cohen_kappa_score(first, second)) if len({*first, *second}) > 1 else None


def matched_by_length(labels: Labels, lengths: Int[np.ndarray, " item"], seed: int = 0) -> Int[np.ndarray, " pair"]:
    """Places of as many right as wrong items of each length: a subset in which length does not predict the label."""
    random = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    for length in np.unique(lengths):
        sides = [np.flatnonzero((lengths == length) & (labels == side)) for side in (0, 1)]
        count = min(map(len, sides))
        places += [random.choice(side, count, replace=False) for side in sides]
    return np.sort(np.concatenate(places)) if places else np.empty(0, dtype=np.int64)


def calibration(labels: Labels, logits: Values, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Bins of equally many items, by predicted chance; bins without an item, as equal chances make them, are left out.

    The bins are those of scikit-learn's `calibration_curve`, which does not return how many items each holds.
    """
    chances = 1 / (1 + np.exp(-logits))
    inner = np.quantile(chances, np.linspace(0, 1, bins + 1))[1:-1]
    member = np.searchsorted(inner, chances)
    counts, means, shares = (np.bincount(member, weights) for weights in (None, chances, labels))
    return tuple(
        CalibrationBin(chance=float(mean / count), share=float(share / count), n=int(count))
        for count, mean, share in zip(counts, means, shares, strict=True)
        if count
    )


def platt(labels: Labels, logits: Values, weights: Values | None = None) -> Callable[[Values], Values]:
    """From log-odds to the share of wrong answers that score so, by logistic regression on the score (Platt 1999).

    Only two numbers are fitted: isotonic regression overfits below about a thousand items (scikit-learn's guide).
    scikit-learn's default penalty keeps the slope finite where the score separates the items without an error.
    """
    centre, scale = float(logits.mean()), float(logits.std()) or 1.0
    fitted = LogisticRegression().fit(((logits - centre) / scale)[:, None], labels, sample_weight=weights)
    return lambda values: np.asarray(fitted.predict_proba(((values - centre) / scale)[:, None])[:, 1])


def calibration_curve(
    labels: Labels, logits: Values, clusters: Int[np.ndarray, " item"], seed: int = SEED
) -> tuple[Values, Float[np.ndarray, "curve point"]]:
    """(log-odds [point] from the smallest to the largest, share of wrong answers there with its 95 % interval
    [value/low/high, point], over resampled clusters). Right and wrong answers must both be among them."""
    points = np.linspace(logits.min(), logits.max(), CALIBRATION_POINTS)
    resampled = [
        platt(labels, logits, weights)(points)
        for weights in resampled_weights(clusters, CALIBRATION_RESAMPLES, seed)
        if len(np.unique(labels[weights > 0])) == 2
    ]
    value = platt(labels, logits)(points)
    low, high = np.quantile(np.array(resampled or [value]), TAILS, axis=0)
    # The interval of a percentile bootstrap need not contain the estimate where one side has a handful of answers.
    return points, np.stack([value, np.minimum(low, value), np.maximum(high, value)])
