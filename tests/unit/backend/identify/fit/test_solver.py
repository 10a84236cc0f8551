"""The probe solves its problem, finds planted neurons, and says nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from backend.errors import BadInput
from backend.forward import columns
from backend.identify.fit.solver import Fit, h_neurons, path, spread
from tests.unit.backend.identify.planted import planted

CS = {True: (0.02, 0.05, 0.2), False: (3.0, 10.0, 30.0)}


@pytest.mark.parametrize("standardise", [True, False])
def test_each_point_of_the_path_has_the_lowest_objective(standardise: bool) -> None:
    """Against scikit-learn's own solvers on the same problem: never worse by more than a thousandth."""
    features, labels, _ = planted(300, 800, 8, 1.0, 0)
    scale = features.std(0) if standardise else np.ones(features.shape[1])
    z = ((features - features.mean(0)) / scale).astype(np.float64)
    signs = np.where(labels == 1, 1, -1)

    def objective(weights: np.ndarray, intercept: float, c: float) -> float:
        return float(np.abs(weights).sum() + c * np.logaddexp(0, -signs * (z @ weights + intercept)).sum())

    for fit in path(features, labels, CS[standardise], standardise=standardise):
        peer = LogisticRegression(
            l1_ratio=1.0, C=fit.c, solver="saga" if standardise else "liblinear", max_iter=4000, tol=1e-6,
            intercept_scaling=100.0,
        ).fit(z, labels)  # fmt: skip
        ours = objective(fit.weights * scale, fit.intercept + float(fit.weights @ features.mean(0)), fit.c)
        assert ours <= objective(peer.coef_[0], float(peer.intercept_[0]), fit.c) * (1 + 1e-3)
        assert abs(int((fit.weights != 0).sum()) - int((peer.coef_ != 0).sum())) <= 5


def test_logits_are_in_units_of_cett() -> None:
    features, labels, _ = planted(300, 800, 8, 1.0, 1)
    for standardise in (True, False):
        fit = path(features, labels, CS[standardise], standardise=standardise)[1]
        expected = features.astype(np.float64) @ fit.weights + fit.intercept
        assert np.allclose(fit.logits(features), expected)
        assert roc_auc_score(labels, fit.logits(features)) > 0.8
        chances = 1 / (1 + np.exp(-fit.logits(features)))
        # The difference is the intercept's slope, of which the solver leaves 1e-4 at most of a loss of size 1.
        assert abs(chances.mean() - labels.mean()) < 5e-3 * labels.mean(), "an intercept without penalty keeps the mean"


def test_a_smaller_c_chooses_fewer_and_the_smallest_none() -> None:
    features, labels, _ = planted(300, 800, 8, 1.0, 2)
    counts = [int((fit.weights != 0).sum()) for fit in path(features, labels, [1e-5, 0.02, 0.2], standardise=True)]
    assert counts[0] == 0 and counts == sorted(counts)


def test_mean_and_sd_are_each_neurons_own_however_many_are_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "BLOCK", 7)
    features, _, _ = planted(40, 30, 2, 1.0, 5)
    mean, scale = spread(features)
    assert mean == pytest.approx(features.mean(0, dtype=np.float64), rel=1e-12)
    assert scale == pytest.approx(features.std(0, dtype=np.float64), rel=1e-12)


def test_h_neurons_are_the_positive_weights_largest_first() -> None:
    fit = Fit(1.0, np.array([0.0, 2.0, -3.0, 5.0, 0.0]), 0.0)
    assert h_neurons(fit).tolist() == [3, 1]


def test_a_constant_neuron_is_never_chosen() -> None:
    features, labels, _ = planted(200, 100, 4, 1.0, 3)
    features[:, 7] = 0.25
    for standardise in (True, False):
        assert all(fit.weights[7] == 0 for fit in path(features, labels, CS[standardise], standardise=standardise))


def test_one_side_alone_or_missing_features_are_refused() -> None:
    features, labels, _ = planted(50, 20, 2, 1.0, 4)
    with pytest.raises(BadInput, match="nothing to tell apart: all items are of one side; ask more questions"):
        path(features, np.zeros_like(labels), [0.1], standardise=True)
    features[3, 4] = np.nan
    with pytest.raises(BadInput, match="no numbers: a region without a token has no CETT; leave such items out"):
        path(features, labels, [0.1], standardise=True)
