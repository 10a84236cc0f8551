"""The statistics are what their names say: against plain definitions, known nulls and published figures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from backend.statistics import intervals
from backend.statistics.intervals import estimate
from backend.statistics.neurons import cohens_d, partners, single_neurons
from backend.statistics.permutation import p_value, permuted_aurocs
from backend.statistics.scores import auroc, auroc_within_strata, calibration, matched_by_length, scores_of
from tests.places import SHARED

RANDOM = np.random.default_rng(0)


def paired_d(differences: np.ndarray) -> np.ndarray:
    """Mean difference of pairs in units of its SD (Cohen's d of paired values), over the first axis."""
    return np.asarray(differences.mean(0) / differences.std(0, ddof=1))


def made(items: int, effect: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, items)
    return labels, random.normal(0, 1, items) + effect * labels


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    labels, scores = made(60, 0.7, 1)
    scores = scores.round(1)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert auroc(labels, scores) == pytest.approx(np.mean(pairs))
    assert auroc(np.ones(3, int), np.arange(3.0)) == 0.5


def test_a_weight_is_a_repeated_item() -> None:
    labels, scores = made(30, 0.7, 2)
    weights = np.random.default_rng(0).integers(0, 4, 30)
    repeated = np.repeat(np.arange(30), weights)
    assert auroc(labels, scores, weights.astype(float)) == pytest.approx(auroc(labels[repeated], scores[repeated]))


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Normal scores 1 SD apart have an AUROC of 0.7602; 95 % intervals of 200 data sets hold it 88 to 99 % of times."""
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    held = 0
    for seed in range(200):
        labels, scores = made(120, 1.0, seed)
        found = estimate(auroc, labels, scores, np.arange(120), seed)
        held += found.low <= 0.7602 <= found.high
    assert 176 <= held <= 198


def test_copies_of_an_item_make_no_interval_narrower() -> None:
    labels, scores = made(80, 1.0, 3)
    clusters = np.arange(80)
    alone = estimate(auroc, labels, scores, clusters)
    copied = estimate(auroc, np.tile(labels, 4), np.tile(scores, 4), np.tile(clusters, 4))
    assert (copied.n, copied.clusters, alone.n) == (320, 80, 80)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)
    naive = estimate(auroc, np.tile(labels, 4), np.tile(scores, 4), np.arange(320))
    assert naive.high - naive.low < 0.7 * (alone.high - alone.low), "the guard: without clusters it would be"


def test_scores_of_a_perfect_and_of_a_blind_detector() -> None:
    labels = np.array([0, 1] * 40)
    perfect = scores_of(labels, np.where(labels == 1, 9.0, -9.0), np.arange(80))
    assert perfect.auroc.value == perfect.accuracy.value == perfect.f1.value == 1
    # Every chance is 1 / (1 + exp(-9)) of what is right.
    assert perfect.brier.value == pytest.approx((1 / (1 + np.exp(9.0))) ** 2)
    blind = scores_of(labels, np.zeros(80), np.arange(80))
    assert blind.auroc.value == 0.5 and blind.brier.value == pytest.approx(0.25)


def test_within_a_stratum_its_prior_tells_nothing() -> None:
    """Scores that only know the stratum reach 0.9 over all and 0.5 within."""
    strata = np.repeat([0, 1], 100)
    labels = np.concatenate([[1] * 10 + [0] * 90, [1] * 90 + [0] * 10])
    assert auroc(labels, strata.astype(float)) == pytest.approx(0.9)
    assert auroc_within_strata(labels, strata.astype(float), strata) == 0.5
    assert auroc_within_strata(labels, labels + 0.1 * strata, strata) == 1.0
    assert auroc_within_strata(np.ones(4, int), np.arange(4.0), np.zeros(4, int)) == 0.5


def test_matched_items_have_the_same_lengths_on_both_sides() -> None:
    labels = RANDOM.integers(0, 2, 300)
    lengths = RANDOM.integers(1, 6, 300) + 2 * labels
    kept = matched_by_length(labels, lengths)
    assert len(kept) > 50 and len(set(kept.tolist())) == len(kept)
    assert np.array_equal(np.sort(lengths[kept][labels[kept] == 1]), np.sort(lengths[kept][labels[kept] == 0]))
    assert auroc(labels[kept], lengths[kept].astype(float)) == 0.5
    assert len(matched_by_length(np.array([0, 1]), np.array([3, 4]))) == 0


def test_shuffled_labels_leave_no_signal_and_p_values_are_never_nought() -> None:
    labels, scores = made(200, 1.0, 5)
    null = permuted_aurocs(labels, scores, np.repeat([0, 1], 100), 300)
    assert abs(null.mean() - 0.5) < 0.01 and null.std() < 0.06
    assert p_value(null, auroc(labels, scores)) == pytest.approx(1 / 301)
    assert p_value(null, 0.0) == 1.0


def test_neurons_alone_are_judged_after_correction_for_their_number() -> None:
    random = np.random.default_rng(7)
    labels = np.repeat([0, 1], 100)
    features = random.gamma(2, 1, (200, 2000)).astype(np.float32)
    features[labels == 1, 5] *= 2
    features[:, 9] = 0.5
    areas, p = single_neurons(features, labels)
    assert areas[5] == pytest.approx(auroc(labels, features[:, 5]))
    assert p[5] < 0.001 and (p < 0.05).sum() <= 3
    assert areas[9] == 0.5 and p[9] == 1.0
    d = cohens_d(features, labels)
    assert d[5] > 0.7 and d[9] == 0
    assert np.abs(np.delete(d, 5)).max() < 0.7


def test_partners_are_the_neurons_that_go_along() -> None:
    random = np.random.default_rng(8)
    features = random.gamma(2, 1, (300, 50)).astype(np.float32)
    features[:, 20] = features[:, 3] ** 2
    features[:, 30] = -features[:, 3] + random.normal(0, 0.3, 300)
    found = partners(features, np.array([3]), 2)[0]
    assert [place for place, _ in found] == [20, 30]
    assert found[0][1] == pytest.approx(1.0, abs=1e-3) and found[1][1] < -0.8


def test_calibration_of_honest_chances_lies_on_the_diagonal() -> None:
    random = np.random.default_rng(9)
    logits = random.normal(0, 2, 20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(-logits))).astype(int)
    bins = calibration(labels, logits)
    assert len(bins) == 10 and sum(one.n for one in bins) == 20_000
    assert max(abs(one.chance - one.share) for one in bins) < 0.03


@pytest.mark.parametrize(("items", "step"), [(101, 0.0), (400, 0.0), (101, 0.5)])
def test_the_counts_of_calibration_are_of_the_bins_that_its_chances_and_shares_are_of(items: int, step: float) -> None:
    """Chance and share are scikit-learn's; so count times share must be the wrong items of each bin. With equal
    chances (rounded to a step) some bins are empty."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 1, items)
    if step:
        logits = (logits / step).round() * step
    labels = random.integers(0, 2, items)
    bins = calibration(labels, logits)
    shares, means = calibration_curve(labels, 1 / (1 + np.exp(-logits)), n_bins=10, strategy="quantile")
    assert [one.share for one in bins] == pytest.approx(shares.tolist())
    assert [one.chance for one in bins] == pytest.approx(means.tolist())
    assert sum(one.n for one in bins) == items and sum(one.n * one.share for one in bins) == pytest.approx(labels.sum())
    assert all(abs(one.n * one.share - round(one.n * one.share)) < 1e-9 for one in bins)
    if items == 101 and not step:
        assert [one.n for one in bins] == [11, *[10] * 9]


@pytest.mark.skipif(not SHARED.exists(), reason="the published figures are not on this machine")
def test_the_published_detectors_figures_come_out() -> None:
    """780 held-out questions of a published detector: accuracy 0.7654, AUROC 0.8429."""
    with (SHARED / "gemma3_4b_detector_probabilities.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows])
    chances = np.array([float(row["probability"]) for row in rows])
    found = scores_of(labels, np.log(chances / (1 - chances)), np.arange(len(rows)))
    assert round(found.accuracy.value, 4) == 0.7654
    assert round(found.auroc.value, 4) == 0.8429
    assert 0.80 < found.auroc.low < 0.8429 < found.auroc.high < 0.88


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not part of the project")
@pytest.mark.parametrize(
    ("pooling", "truth", "length", "dominant"), [("mean", -0.502, -1.864, 36), ("max", -0.265, 4.277, 34)]
)
def test_length_moves_the_published_h_neurons_more_than_truth(
    pooling: str, truth: float, length: float, dominant: int
) -> None:
    """100 questions answered short and long, true and false; CETT of 38 published H-neurons."""
    held = json.loads((SHARED / "gemma3_4b_h_neuron_cett.json").read_text("utf-8"))[f"{pooling}_activations"]
    short_true, long_true, short_false, long_false = (
        np.array(held[name]) for name in ("short_true", "long_true", "short_false", "long_false")
    )
    if pooling == "mean":
        means = [part.mean() for part in (short_true, long_true, short_false, long_false)]
        assert means == pytest.approx([0.10328, 0.09516, 0.10093, 0.09506], abs=5e-6)
    by_truth = (short_false + long_false - short_true - long_true) / 2
    by_length = (long_true + long_false - short_true - short_false) / 2
    assert float(paired_d(by_truth.mean(1))) == pytest.approx(truth, abs=5e-4)
    assert float(paired_d(by_length.mean(1))) == pytest.approx(length, abs=5e-4)
    assert int((np.abs(paired_d(by_length)) > np.abs(paired_d(by_truth))).sum()) == dominant
