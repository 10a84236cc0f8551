"""What is told of every neuron does not hang on how many are measured together, and takes little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu, spearmanr

from backend.forward import columns
from backend.identify.fit import describe
from backend.identify.fit.choice import Items
from backend.identify.fit.solver import Fit
from backend.layout import Layout
from backend.statistics.neurons import cohens_d, partners, single_neurons

ITEMS = 200


def planted(neurons: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], ITEMS // 2)
    features = random.gamma(2, 1, (ITEMS, neurons)).astype(np.float32)
    features[labels == 1, 5] *= 2
    features[:, 9] = 0.5
    features[:, 20] = features[:, 3] ** 2
    return features, labels


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "BLOCK", 7)


@pytest.mark.usefixtures("small_blocks")
def test_neurons_measured_in_blocks_have_the_figures_that_scipy_gives_all_of_them_at_once() -> None:
    features, labels = planted(50)
    wrong, right = features[labels == 1], features[labels == 0]
    tested = mannwhitneyu(wrong, right, axis=0, method="asymptotic")
    areas, q = single_neurons(features, labels)
    # The same float64 sums of each neuron, blocks or not: each figure may be some thousand roundings off, and no more.
    assert areas == pytest.approx(tested.statistic / (len(wrong) * len(right)), rel=1e-12, abs=0)
    assert q == pytest.approx(false_discovery_control(np.nan_to_num(tested.pvalue, nan=1.0)), rel=1e-12, abs=0)
    pooled = np.sqrt((wrong.astype(float).var(0, ddof=1) + right.astype(float).var(0, ddof=1)) / 2)
    gap = wrong.astype(float).mean(0) - right.astype(float).mean(0)
    moving = pooled > 0
    # Two float64 means of one size are taken from each other: what is left may be a hundredth of them, and less exact.
    assert cohens_d(features, labels)[moving] == pytest.approx(gap[moving] / pooled[moving], rel=1e-9, abs=0)
    assert cohens_d(features, labels)[9] == 0


@pytest.mark.usefixtures("small_blocks")
def test_partners_found_in_blocks_are_the_largest_of_all_spearman_correlations() -> None:
    features, _ = planted(50)
    features[:, 9] = np.arange(ITEMS)
    chosen = np.array([3, 6, 48])
    # A sum of 200 float32 products of both signs rounds at 6e-8 of 1, and the least correlation here is a tenth.
    near = 1e-5
    whole = spearmanr(features).statistic
    np.fill_diagonal(whole, 0.0)
    for neuron, found in zip(chosen, partners(features, chosen, 4), strict=True):
        best = np.argsort(-np.abs(whole[neuron]))[:4]
        assert [place for place, _ in found] == best.tolist()
        assert [value for _, value in found] == pytest.approx(whole[neuron][best], rel=near, abs=0)
    assert partners(features, np.array([], dtype=np.int64)) == []


@pytest.mark.usefixtures("small_blocks")
def test_the_table_of_all_neurons_has_each_ones_mean_on_either_side_and_spread() -> None:
    features, labels = planted(50)
    rows = described(features, labels)
    assert rows.mean_right.to_numpy() == pytest.approx(features[:100].mean(0, dtype=float), rel=1e-6)
    assert rows.mean_wrong.to_numpy() == pytest.approx(features[100:].mean(0, dtype=float), rel=1e-6)
    assert rows.sd.to_numpy() == pytest.approx(features.std(0, dtype=float), rel=1e-6)


def described(features: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    neurons = features.shape[1]
    items = Items(features, None, labels, np.arange(ITEMS), np.zeros(ITEMS, int))
    unknown, layout = np.full((2, neurons), np.nan), Layout.dense((neurons,))
    return describe.neuron_table(items, Fit(1.0, np.zeros(neurons), 0.0), unknown, layout)


@pytest.mark.parametrize(
    "measure",
    [
        single_neurons,
        cohens_d,
        described,
        lambda features, labels: partners(features, np.arange(30)),
    ],
    ids=["single_neurons", "cohens_d", "table", "partners"],
)
def test_measuring_all_neurons_takes_less_memory_than_they_do(measure: Callable[..., object]) -> None:
    features, labels = planted(20_000)
    tracemalloc.start()
    try:
        measure(features, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes, f"{peak / features.nbytes:.1f} times the array"
