"""Stage 7, probe: sparse logistic regression from CETT to "this answer is wrong", along a path of C.

Owns the fit and what it means: a neuron with a positive weight is an H-neuron, a negative weight is evidence for a
right answer. The solver is skglm's prox-Newton: on 1,000 x 46,080 it took 0.3 s for each value of C with a warm start,
where scikit-learn's liblinear takes 5 to 7 s; it reaches a lower objective, and does not penalise the intercept.
Statistics on held-out items are `backend.statistics`'s.

Source: Gao et al. 2025, section 6.1.3: minimise |w|_1 + C * sum of log(1 + exp(-y (w x + b))). The authors' code
does not standardise; with `standardise` each neuron is divided by its SD first, so that a weight is per SD.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from skglm.datafits import Logistic
from skglm.penalties import L1
from skglm.solvers import ProxNewton

from backend.errors import BadInput
from backend.forward.columns import blocks
from backend.identify.fit.selection import Steering

TOLERANCE = 1e-4
Moments = Float[np.ndarray, " neuron"]


@dataclass(frozen=True)
class Fit:
    """One value of C: weights in units of 1 / CETT [neuron], and the intercept."""

    c: float
    weights: Float[np.ndarray, " neuron"]
    intercept: float

    def logits(self, features: Float[np.ndarray, "item neuron"]) -> Float[np.ndarray, " item"]:
        """The log-odds of "wrong" for each item."""
        chosen = np.flatnonzero(self.weights)
        return features[:, chosen].astype(np.float64) @ self.weights[chosen] + self.intercept

    def part(self, features: Float[np.ndarray, "item neuron"], sign: int) -> Float[np.ndarray, " item"]:
        """CETT of the neurons whose weight has this sign times their weights as they are, nothing refitted."""
        columns = np.flatnonzero(self.weights * sign > 0)
        return np.asarray(features[:, columns], np.float64) @ self.weights[columns]


class _Logistic(Logistic):
    """skglm 0.5's class returns no specification, but its compilation for float32 needs one."""

    def get_spec(self) -> tuple[()]:
        return ()


def path(
    features: Float[np.ndarray, "item neuron"],
    labels: Int[np.ndarray, " item"],
    cs: Sequence[float],
    *,
    standardise: bool,
    steering: Steering | None = None,
) -> list[Fit]:
    """A fit for each C, from the smallest to the largest, each starting from the solution of the last one.

    Args:
        features: CETT, float32. labels: 1 for wrong, 0 for right.
        cs: inverse penalties, ascending. steering: what neurons cost, and which sign their weights may have.
    Raises BadInput where one side is missing or a feature is not finite.
    """
    if len(np.unique(labels)) < 2:
        raise BadInput(
            "There is nothing to tell apart", "all items are of one side", "ask more questions, or soften the filter"
        )
    mean, scale = spread(features)
    if not np.isfinite(mean).all():
        raise BadInput("Some features are no numbers", "a region without a token has no CETT", "leave such items out")
    # Centring changes only the intercept, and the solver converges faster.
    divisor = np.where(scale > 0, scale, 1.0) if standardise else np.ones_like(scale)
    unit = float(scale.mean()) or 1.0
    divisor = divisor if standardise else divisor * unit
    one_sided = False
    if steering is not None:
        # A price of p is a column that is p times as small, a negative side a column with its sign changed; a column
        # divided by infinity is 0 and gets no weight.
        one_sided = steering.side is not None
        divisor = divisor * steering.price * (1.0 if steering.side is None else steering.side)
    matrix = _centred(features, mean, divisor)
    signs = np.where(labels == 1, 1.0, -1.0).astype(np.float32)
    solver = ProxNewton(tol=TOLERANCE, fit_intercept=True, max_iter=50, max_pn_iter=1000)
    start, product = np.zeros(matrix.shape[1] + 1, np.float32), np.zeros(len(signs), np.float32)
    fits = []
    for c in cs:
        penalty = 1.0 / (c * len(signs) * (1.0 if standardise else unit))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solution, _, _ = solver.solve(
                matrix, signs, _Logistic(), L1(penalty, one_sided), w_init=start, Xw_init=product
            )
        start = solution.astype(np.float32)
        product = (matrix @ start[:-1] + start[-1]).astype(np.float32)
        weights = solution[:-1].astype(np.float64) / divisor
        fits.append(Fit(float(c), weights, float(solution[-1] - weights @ mean)))
    return fits


def least_c(
    features: Float[np.ndarray, "item neuron"],
    labels: Int[np.ndarray, " item"],
    *,
    standardise: bool,
    steering: Steering | None = None,
) -> float:
    """The largest C at which all weights are 0: the inverse of the loss's steepest slope at weights of 0, with an
    intercept that gives the share of wrong answers.

    Raises BadInput where no neuron separates the sides at all.
    """
    apart = labels - labels.mean()
    steepest = 0.0
    for block in blocks(features.shape[1]):
        part = features[:, block].astype(np.float64)
        slope = apart @ part
        if steering is not None:
            slope = slope / steering.price[block]
        if steering is None or steering.side is None:
            slope = np.abs(slope)
        else:
            slope = np.maximum(slope * steering.side[block], 0.0)
        if standardise:
            scale = part.std(0)
            slope = np.divide(slope, scale, out=np.zeros_like(slope), where=scale > 0)
        steepest = max(steepest, float(slope.max(initial=0.0)))
    if not steepest > 0 or not np.isfinite(steepest):
        raise BadInput(
            "No neuron tells the sides apart", "every feature has the same mean on both", "ask other questions"
        )
    return 1.0 / steepest


def spread(features: Float[np.ndarray, "item neuron"]) -> tuple[Moments, Moments]:
    """(mean, SD) of each neuron, in float64, a block of neurons at a time: a study may be larger than memory."""
    mean, scale = np.empty(features.shape[1]), np.empty(features.shape[1])
    for block in blocks(features.shape[1]):
        part = features[:, block].astype(np.float64)
        mean[block], scale[block] = part.mean(0), part.std(0)
    return mean, scale


def _centred(features: Float[np.ndarray, "item neuron"], mean: Moments, divisor: Moments) -> np.ndarray:
    """(features - mean) / divisor in float32, neuron by neuron in memory, as the solver reads it."""
    matrix = np.empty(features.shape, np.float32, order="F")
    for block in blocks(features.shape[1]):
        matrix[:, block] = (features[:, block] - mean[block]) / divisor[block]
    return matrix


def h_neurons(fit: Fit) -> Int[np.ndarray, " neuron"]:
    """Places of the positive weights, largest first (Gao et al. 2025, section 6.1.3)."""
    order = np.argsort(-fit.weights, kind="stable")
    return order[: int((fit.weights > 0).sum())]
