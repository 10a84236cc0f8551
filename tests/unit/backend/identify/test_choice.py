"""Which C is taken of a path: the best, the fewest neurons near it, the paper's, a given one."""

from __future__ import annotations

import numpy as np
import pytest

from backend.identify.training import Items, Validated, best, choose, standard_error
from backend.types.identify import Estimate
from backend.types.plan import Choice, Training
from backend.types.probe import PathPoint

CS = (1.0, 2.0, 3.0, 5.0)


def told(value: float, around: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - around, high=value + around, n=100, clusters=100)


def point(c: float, positive: int, auroc: float, accuracy: float = 0.5, kept: float | None = None) -> PathPoint:
    return PathPoint(
        c=c, positive=positive, negative=1, auroc=told(auroc), accuracy=told(accuracy), stability=0.5, train_auroc=1.0,
        kept=None if kept is None else told(kept),
    )  # fmt: skip


def taken(points: tuple[PathPoint, ...], choice: Choice, c: float | None = None) -> float:
    return points[choose(points, Training(cs=CS, choice=choice, c=c))].c


def test_the_fewest_within_a_standard_error_of_the_best_are_taken() -> None:
    # The standard error is 0.05 / 1.96 = 0.0255: 0.875 reaches 0.90 - 0.0255, and 0.87 does not.
    points = (point(1, 4, 0.87), point(2, 8, 0.875), point(3, 20, 0.89), point(5, 60, 0.90))
    assert standard_error(points[3].auroc) == pytest.approx(0.0255, abs=1e-4)
    assert taken(points, "one-se") == 2
    assert taken(points, "cross-validation") == 5
    assert taken(points, "fixed", 3.0) == 3


def test_a_fit_without_h_neurons_is_taken_by_no_rule() -> None:
    points = (point(1, 0, 0.95), point(2, 3, 0.90), point(3, 9, 0.91))
    assert taken(points, "cross-validation") == 3
    assert taken(points, "one-se") == 2


def test_the_papers_criterion_adds_the_answers_that_stay_right() -> None:
    points = (point(1, 2, 0.8, 0.70, 0.95), point(2, 9, 0.9, 0.80, 0.80), point(3, 40, 0.95, 0.85, 0.60))
    assert taken(points, "paper") == 1


def test_cross_validation_alone_chooses_by_the_same_rule() -> None:
    """What shuffled labels and other decisions go through: log-odds instead of points."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    noise = rng.normal(size=200)
    # Each C tells the sides apart a little better, the last two nearly alike.
    logits = np.stack([labels * shift + noise for shift in (0.3, 1.4, 1.5)])
    items = Items(np.zeros((200, 1)), None, labels, np.arange(200), np.zeros(200, dtype=int))
    validated = Validated(logits, np.zeros(3))
    assert best(validated, items, Training(cs=(1, 2, 3), choice="cross-validation")) == 2
    assert best(validated, items, Training(cs=(1, 2, 3), choice="one-se")) == 1
