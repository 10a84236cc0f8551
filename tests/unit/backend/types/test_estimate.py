"""An estimate says what it was made from, and what is stored keeps its bytes."""

from __future__ import annotations

import numpy as np
import pytest

from backend import bundled
from backend.statistics import intervals
from backend.statistics.scores import auroc
from backend.types.estimate import CARD_RESAMPLES, POSITION_RESAMPLES, Estimate
from backend.types.probe import Probe
from backend.types.results import Comparison
from tests.comparisons import asked, comparison

PLAIN = b'{"value":0.5,"low":0.25,"high":0.75,"n":9,"clusters":4}'


def test_an_estimate_stored_without_what_was_resampled_is_of_a_report_card_and_keeps_its_bytes() -> None:
    held = Estimate.model_validate_json(PLAIN)
    assert (held.unit, held.resamples, held.seed) == ("entity", CARD_RESAMPLES, 0)
    assert held.model_dump_json().encode() == held.to_bytes() == PLAIN
    assert held.resampled == "2,000 resamples of 4 entities, seed 0"


def test_what_is_otherwise_is_written_and_read_back() -> None:
    made = Estimate(value=0.5, low=0.25, high=0.75, n=9, clusters=9, unit="position", resamples=1_000, seed=3)
    assert Estimate.model_validate_json(made.to_bytes()) == made
    assert made.resampled == "1,000 resamples of 9 positions, seed 3"


def test_the_probe_that_ships_is_read_and_written_byte_for_byte() -> None:
    for path in bundled.PROBES.glob("*/probe.json"):
        payload = path.read_text("utf-8")
        assert Probe.model_validate_json(payload).model_dump_json(indent=1) == payload


def test_the_comparison_that_ships_is_read_and_written_byte_for_byte() -> None:
    payload = (bundled.EXAMPLES / "compare.json").read_bytes()
    told = Comparison.model_validate_json(payload)
    assert told.to_bytes() + b"\n" == payload
    moved = [row for row in told.rows if row.kl_interval is not None]
    assert moved
    for row in moved:
        held = row.kl_estimate
        assert held is not None and (held.low, held.high) == row.kl_interval and held.value == row.kl_mean
        assert held.n == held.clusters == row.kl.size and held.unit == "position"


def test_the_estimate_of_a_row_is_what_its_draws_give() -> None:
    """The view tells how many draws there were; the interval is worked out elsewhere, and must be of as many."""
    row = comparison(asked()).rows[1]
    kl = np.array([0.1, 0.4, 0.2, 0.0, 0.9], np.float32)
    told = row.model_copy(update={"kl": kl, "kl_mean": float(kl.mean()), "kl_interval": intervals.mean_interval(kl)})
    held = told.kl_estimate
    assert held is not None and held.low < held.value < held.high
    random = np.random.default_rng(held.seed)
    drawn = [random.choice(kl, len(kl)).mean() for _ in range(held.resamples)]
    assert np.quantile(drawn, 0.025) == pytest.approx(held.low, abs=float(np.std(drawn)) / 2)
    assert held.resamples == POSITION_RESAMPLES
    assert told.model_copy(update={"kl_interval": None}).kl_estimate is None


def test_an_interval_says_how_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 20)
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.4, 0.3])
    told = intervals.estimate(auroc, labels, scores, np.array([0, 0, 1, 2]), seed=5)
    assert (told.resamples, told.seed, told.n, told.clusters) == (20, 5, 4, 3)
    assert Estimate.model_validate_json(told.to_bytes()) == told
