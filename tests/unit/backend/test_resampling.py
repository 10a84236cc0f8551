"""Intervals are quantiles of what is drawn again, and measures under weights are those of repeated items."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, cohen_kappa_score, f1_score

from backend.statistics import intervals, scores
from backend.statistics.intervals import estimate, mean_estimate, mean_interval, resampled_weights
from backend.statistics.neurons import cohens_d, jaccard, mean_overlap, partners
from backend.statistics.permutation import p_value, permuted_aurocs, shuffle_within_strata
from backend.statistics.scores import (
    accuracy,
    auroc,
    auroc_difference,
    auroc_within_strata,
    calibration_curve,
    kappa,
    matched_by_length,
    platt,
    rank_correlation,
    scores_of,
)

ITEMS = 60
RANDOM = np.random.default_rng(11)
LABELS = RANDOM.integers(0, 2, ITEMS)
LOGITS = RANDOM.normal(0, 1.5, ITEMS) + LABELS
CLUSTERS = np.arange(ITEMS) // 2
WEIGHTS = RANDOM.integers(0, 4, ITEMS)
REPEATED = np.repeat(np.arange(ITEMS), WEIGHTS)


def test_clusters_are_drawn_whole_and_as_many_as_there_are() -> None:
    clusters = np.array([7, 7, 3, 9, 9, 9])
    drawn = list(resampled_weights(clusters, 500, 3))
    assert len(drawn) == 500
    for times in drawn:
        assert times[0] == times[1] and times[3] == times[4] == times[5]
        assert times[0] + times[2] + times[3] == 3
    assert np.mean(drawn, axis=0) == pytest.approx(np.ones(6), abs=0.1)
    again = list(resampled_weights(clusters, 500, 3))
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, list(resampled_weights(clusters, 500, 4)))


def test_an_interval_is_the_middle_95_percent_of_what_is_drawn_again() -> None:
    held = estimate(auroc, LABELS, LOGITS, CLUSTERS, 5)
    drawn = [auroc(LABELS, LOGITS, times) for times in resampled_weights(CLUSTERS, intervals.RESAMPLES, 5)]
    assert (held.low, held.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert held.value == auroc(LABELS, LOGITS)
    assert (held.n, held.clusters, held.resamples, held.seed) == (ITEMS, 30, 2_000, 5)


def test_a_share_is_a_mean_whose_interval_is_over_clusters() -> None:
    held = mean_estimate(LOGITS, CLUSTERS, 5)
    drawn = [np.average(LOGITS, weights=times) for times in resampled_weights(CLUSTERS, intervals.RESAMPLES, 5)]
    assert held.value == pytest.approx(LOGITS.mean())
    assert (held.low, held.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert (held.n, held.clusters, held.seed) == (ITEMS, 30, 5)


def test_the_interval_of_a_texts_mean_is_the_middle_of_a_thousand_draws_and_the_same_each_time() -> None:
    assert mean_interval(np.array([0.0, 1.0])) == (0.0, 1.0)
    assert mean_interval(np.array([1.0])) is None
    # Of ten positions one stands out: 95 % of draws hold it three times at most.
    assert mean_interval(np.array([0.0] * 9 + [10.0])) == (0.0, 3.0)
    # Kept results hold such figures; they are worked out again to the same ones.
    assert mean_interval(np.exp(np.arange(7.0))) == pytest.approx((12.787043816, 200.232708507), rel=1e-9)


def test_a_p_value_counts_the_ties_and_the_value_itself() -> None:
    assert p_value(np.array([0.5, 0.6, 0.7]), 0.6) == 3 / 4


def test_a_correlation_needs_two_different_values_on_either_side() -> None:
    assert rank_correlation(np.array([0.1, 0.2]), np.array([3, 9])) == pytest.approx(1.0)
    assert rank_correlation(np.array([0.2, 0.1, 0.1]), np.array([3, 9, 9])) == pytest.approx(-1.0)
    assert rank_correlation(np.array([0.1, 0.2]), np.array([3, 3])) is None
    assert rank_correlation(np.array([0.1, 0.1]), np.array([3, 9])) is None


def test_a_neuron_has_five_partners_unless_more_are_asked_for() -> None:
    features = np.random.default_rng(0).normal(size=(20, 12))
    assert [len(row) for row in partners(features, np.array([0, 4]))] == [5, 5]
    assert [len(row) for row in partners(features, np.array([0, 4]), 7)] == [7, 7]


def test_a_difference_in_units_of_the_sd_is_the_same_in_every_unit() -> None:
    """CETT is far below 1, and so is its SD."""
    features = RANDOM.normal(0, 3, (ITEMS, 5)) + LABELS[:, None]
    assert cohens_d(features / 1000, LABELS) == pytest.approx(cohens_d(features, LABELS))
    assert np.abs(cohens_d(features, LABELS)).min() > 0


def test_of_neurons_that_go_with_one_equally_the_first_are_its_partners() -> None:
    features = np.tile(np.array([[0.0], [1.0]]), (1, 100))
    assert [place for place, _ in partners(features, np.array([0]))[0]] == [1, 2, 3, 4, 5]


def test_scores_under_weights_are_those_of_repeated_items() -> None:
    strata = np.arange(ITEMS) % 3
    for measure in (auroc, accuracy):
        assert measure(LABELS, LOGITS, WEIGHTS.astype(float)) == pytest.approx(
            measure(LABELS[REPEATED], LOGITS[REPEATED])
        )
    assert auroc_within_strata(LABELS, LOGITS, strata, WEIGHTS.astype(float)) == pytest.approx(
        auroc_within_strata(LABELS[REPEATED], LOGITS[REPEATED], strata[REPEATED])
    )
    assert accuracy(LABELS, LOGITS) == np.mean((LOGITS > 0) == LABELS)
    assert accuracy(np.array([0, 0, 0, 1]), np.zeros(4)) == 0.75, "log-odds of 0 do not speak for wrong"


def test_within_strata_each_counts_by_its_pairs() -> None:
    labels, strata = np.array([1, 0, 1, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1, 1, 2, 2])
    values = np.array([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 5.0, 6.0])
    # One pair of the first stratum is out of order, four of the second are in order, the third has no pair.
    assert auroc_within_strata(labels, values, strata) == pytest.approx(4 / 5)


def test_the_four_scores_and_their_intervals_are_scikit_learns_under_the_same_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 50)
    held = scores_of(LABELS, LOGITS, CLUSTERS, 3)
    chances = 1 / (1 + np.exp(-LOGITS))
    assert held.f1.value == pytest.approx(f1_score(LABELS, LOGITS > 0))
    assert held.brier.value == pytest.approx(brier_score_loss(LABELS, chances))
    drawn = list(resampled_weights(CLUSTERS, 50, 3))
    for told, values in (
        (held.f1, [f1_score(LABELS, LOGITS > 0, sample_weight=times) for times in drawn]),
        (held.brier, [brier_score_loss(LABELS, chances, sample_weight=times) for times in drawn]),
        (held.accuracy, [accuracy(LABELS, LOGITS, times) for times in drawn]),
    ):
        assert (told.low, told.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
        assert (told.seed, told.clusters) == (3, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = scores_of(LABELS, np.full(ITEMS, -1.0), CLUSTERS)
    assert nothing.f1.value == 0, "where nothing is called wrong there is no F1 but 0, and no warning"


def test_labels_are_shuffled_within_their_strata_and_each_stays_there() -> None:
    strata = np.arange(ITEMS) % 3
    mixed = shuffle_within_strata(LABELS, strata, np.random.default_rng(0))
    for stratum in range(3):
        assert sorted(mixed[strata == stratum]) == sorted(LABELS[strata == stratum])
    assert not np.array_equal(mixed, LABELS)
    null = permuted_aurocs(LABELS, LOGITS, strata, 20, 4)
    random = np.random.default_rng(4)
    assert null.tolist() == [auroc(shuffle_within_strata(LABELS, strata, random), LOGITS) for _ in range(20)]
    assert len(permuted_aurocs(LABELS, LOGITS, strata)) == 1_000
    assert np.array_equal(permuted_aurocs(LABELS, LOGITS, strata, 20), permuted_aurocs(LABELS, LOGITS, strata, 20, 0))


def test_matching_draws_by_its_seed_and_keeps_the_rarer_side_whole() -> None:
    labels, lengths = np.array([0] * 30 + [1] * 10 + [0]), np.array([4] * 40 + [9])
    kept = matched_by_length(labels, lengths, 1)
    assert kept.tolist() == sorted(kept.tolist())
    assert kept[10:].tolist() == list(range(30, 40)) and len(kept) == 20
    assert np.array_equal(kept, matched_by_length(labels, lengths, 1))
    assert not np.array_equal(kept, matched_by_length(labels, lengths, 2))
    assert np.array_equal(matched_by_length(labels, lengths), matched_by_length(labels, lengths, 0))
    # What was kept of a run was matched so; another draw would be of other items.
    assert kept[:10].tolist() == [0, 3, 7, 9, 11, 17, 22, 26, 27, 29]
    both = matched_by_length(np.array([0, 1] * 10 + [0] * 4), np.array([1, 1, 2, 2] * 6), 1)
    assert both.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 18, 19, 20, 22, 23]
    none = matched_by_length(np.empty(0, int), np.empty(0, int))
    assert none.tolist() == [] and LABELS[none].tolist() == [], "places, of which there are none"


def test_a_difference_of_scores_is_of_the_same_draws_of_clusters() -> None:
    others = np.column_stack([LOGITS[::-1], RANDOM.normal(size=ITEMS)])
    held = auroc_difference(LABELS, LOGITS, others, CLUSTERS)

    def gap(weights: np.ndarray | None) -> float:
        beside = np.mean([auroc(LABELS, column, weights) for column in others.T])
        return float(auroc(LABELS, LOGITS, weights) - beside)

    drawn = [gap(times) for times in resampled_weights(CLUSTERS, intervals.RESAMPLES)]
    assert held.value == pytest.approx(gap(None))
    assert (held.low, held.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert (held.n, held.clusters) == (ITEMS, 30)


def test_agreement_beyond_chance_is_cohens_and_none_where_nothing_varies() -> None:
    ones, others = ["right", "wrong", "right", "right"], ["right", "wrong", "wrong", "right"]
    assert kappa(ones, others) == pytest.approx(cohen_kappa_score(ones, others)) == pytest.approx(0.5)
    assert kappa(["right"] * 3, ["right"] * 3) is None
    assert kappa(["right"] * 3, ["wrong"] * 3) == 0


def test_overlap_is_what_two_sets_share_of_all_and_its_mean_is_over_pairs() -> None:
    assert jaccard({1, 2}, {2, 3}) == pytest.approx(1 / 3)
    assert (jaccard({1}, {1}), jaccard({1}, {2}), jaccard(set(), {1}), jaccard(set(), set())) == (1, 0, 0, 0)
    assert mean_overlap([{1, 2}, {2, 3}, {1, 2}]) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert mean_overlap([{1}]) == mean_overlap([]) == 0


def test_platts_curve_is_a_logistic_regression_on_the_scaled_score_whatever_its_unit() -> None:
    points = np.linspace(-3, 3, 7)
    held = platt(LABELS, LOGITS)(points)
    scaled = (LOGITS - LOGITS.mean()) / LOGITS.std()
    peer = LogisticRegression().fit(scaled[:, None], LABELS)
    expected = peer.predict_proba(((points - LOGITS.mean()) / LOGITS.std())[:, None])[:, 1]
    assert held == pytest.approx(expected)
    assert platt(LABELS, 100 * LOGITS)(100 * points) == pytest.approx(held, abs=1e-6)
    weighted = LogisticRegression().fit(scaled[:, None], LABELS, sample_weight=WEIGHTS)
    expected = weighted.predict_proba(((points - LOGITS.mean()) / LOGITS.std())[:, None])[:, 1]
    assert platt(LABELS, LOGITS, WEIGHTS.astype(float))(points) == pytest.approx(expected)
    assert platt(LABELS, np.ones(ITEMS))(np.ones(2)) == pytest.approx([LABELS.mean()] * 2, abs=1e-3), "no slope"


def test_the_calibrated_curve_goes_over_all_scores_and_its_band_is_of_resampled_clusters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scores, "CALIBRATION_RESAMPLES", 40)
    points, (value, low, high) = calibration_curve(LABELS, LOGITS, CLUSTERS, 2)
    assert points.tolist() == np.linspace(LOGITS.min(), LOGITS.max(), 41).tolist()
    assert value == pytest.approx(platt(LABELS, LOGITS)(points))
    drawn = [platt(LABELS, LOGITS, times)(points) for times in resampled_weights(CLUSTERS, 40, 2)]
    bounds = np.quantile(drawn, [0.025, 0.975], axis=0)
    assert low == pytest.approx(np.minimum(bounds[0], value)) and high == pytest.approx(np.maximum(bounds[1], value))


def test_a_resample_of_one_side_alone_has_no_curve_and_the_band_still_holds_the_estimate() -> None:
    """Two clusters, a side each: of their resamples half are of one side."""
    labels, values = np.array([0, 0, 1, 1]), np.array([-1.0, 0.5, 0.0, 2.0])
    _, (value, low, high) = calibration_curve(labels, values, labels, 0)
    assert np.all(low <= value) and np.all(value <= high)
    assert np.isfinite(low).all() and np.isfinite(high).all()
