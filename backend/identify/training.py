"""Stage 7 continued: the probe of a set of items, C chosen among a path of fits.

Owns cross-validation on the training part and the choice of C. Held-out items never come here. Refuses the solver
(`backend.identify.probe`) and what is said of the result (`backend.identify.report`).
Source: Gao et al. 2025, section 6.1.3 (labels 3-vs-1; C by accuracy plus what suppression leaves of the answers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadSettings
from backend.identify.probe import Fit, h_neurons, path
from backend.identify.statistics import auroc, estimate
from backend.types.identify import Estimate
from backend.types.plan import Training
from backend.types.probe import PathPoint
from backend.watch import SILENT, Watch, between

Kept = Callable[[Int[np.ndarray, " neuron"]], Estimate]
"""The share of right answers that stay right with these neurons off."""


@dataclass(frozen=True)
class Items:
    """What a fit sees: CETT over each answer and over the rest, labels (1 is wrong), entities and folds."""

    answer: Float[np.ndarray, "item neuron"]
    other: Float[np.ndarray, "item neuron"] | None
    labels: Int[np.ndarray, " item"]
    entities: Int[np.ndarray, " item"]
    folds: Int[np.ndarray, " item"]

    def take(self, places: np.ndarray) -> Items:
        """Only these items; entities may stand more than once, as a bootstrap draws them."""
        other = None if self.other is None else self.other[places]
        return Items(self.answer[places], other, self.labels[places], self.entities[places], self.folds[places])

    def relabelled(self, labels: Int[np.ndarray, " item"]) -> Items:
        """The same items under other labels."""
        return Items(self.answer, self.other, labels, self.entities, self.folds)


@dataclass(frozen=True)
class Trained:
    """The chosen fit on all items, the whole path with what cross-validation said of each C, and each item's log-odds
    by fits at the chosen C that did not see it."""

    fit: Fit
    fits: tuple[Fit, ...]
    points: tuple[PathPoint, ...]
    unseen: Float[np.ndarray, " item"]


@dataclass(frozen=True)
class Validated:
    """Log-odds of each item by fits that did not see its fold, for each C [c item]; overlap of the fits [c]."""

    logits: Float[np.ndarray, "c item"]
    stability: Float[np.ndarray, " c"]


def fits(items: Items, training: Training, cs: tuple[float, ...] | None = None) -> list[Fit]:
    """A fit for each C on these items, under either kind of labels."""
    features, labels = items.answer, items.labels
    if training.labels == "3-vs-1":
        if items.other is None:
            raise BadSettings("3-vs-1 needs the other tokens", "only the answer's were read", "choose 1-vs-1")
        features = np.concatenate([features, items.other])
        labels = np.concatenate([labels, np.zeros_like(labels)])
    return path(features, labels, cs or training.cs, standardise=training.standardise)


def validate(items: Items, training: Training, watch: Watch = SILENT) -> Validated:
    """Each fold scored by a path of fits on the others."""
    logits = np.zeros((len(training.cs), len(items.labels)))
    chosen: list[list[set[int]]] = [[] for _ in training.cs]
    for fold in np.unique(items.folds):
        between(watch)
        inside = items.folds != fold
        for place, fit in enumerate(fits(items.take(np.flatnonzero(inside)), training)):
            logits[place, ~inside] = fit.logits(items.answer[~inside])
            chosen[place].append(set(h_neurons(fit).tolist()))
    return Validated(logits, np.array([_overlap(sets) for sets in chosen]))


def jaccard(one: set[int], other: set[int]) -> float:
    """Shared members of all members; two empty sets are no match."""
    return len(one & other) / len(one | other) if one | other else 0.0


def _overlap(sets: list[set[int]]) -> float:
    pairs = [jaccard(one, other) for one, other in combinations(sets, 2)]
    return float(np.mean(pairs)) if pairs else 0.0


def best(validated: Validated, items: Items, training: Training) -> int:
    """The place of the C that cross-validation chooses: of the largest AUROC, the sparser of equals; or, by "one-se",
    the smallest within one standard error of it."""
    areas = [auroc(items.labels, logits) for logits in validated.logits]
    top = int(np.argmax(areas))
    if training.choice != "one-se":
        return top
    least = areas[top] - standard_error(estimate(auroc, items.labels, validated.logits[top], items.entities))
    return next(place for place, area in enumerate(areas) if area >= least)


def standard_error(told: Estimate) -> float:
    """Of a statistic, from its 95 % interval, as if it were normal."""
    return (told.high - told.low) / (2 * 1.96)


def train(items: Items, training: Training, kept: Kept | None = None, watch: Watch = SILENT) -> Trained:
    """The probe of these items. `kept` is needed for the paper's criterion, and measured for each C where given.

    Raises BadInput where one side is missing, Stopped between folds.
    """
    if training.c is not None:
        training = training.model_copy(update={"cs": tuple(sorted({*training.cs, training.c}))})
    validated = validate(items, training, watch)
    whole = fits(items, training)
    points = tuple(_point(items, fit, validated, place, kept) for place, fit in enumerate(whole))
    chosen = choose(points, training)
    return Trained(whole[chosen], tuple(whole), points, validated.logits[chosen])


def choose(points: tuple[PathPoint, ...], training: Training) -> int:
    """The place of the point that `training.choice` takes; one with H-neurons, where there is any."""
    if training.choice == "fixed":
        return [point.c for point in points].index(training.c or 0.0)
    # A fit without an H-neuron is no probe, however it scores.
    real = [place for place, point in enumerate(points) if point.positive] or list(range(len(points)))
    top = max(real, key=lambda place: _merit(points[place], training))
    if training.choice != "one-se":
        return top
    least = points[top].auroc.value - standard_error(points[top].auroc)
    return next(place for place in real if points[place].auroc.value >= least)


def _merit(point: PathPoint, training: Training) -> float:
    if training.choice == "paper" and point.kept is not None:
        return point.accuracy.value + point.kept.value
    return point.auroc.value


def _point(items: Items, fit: Fit, validated: Validated, place: int, kept: Kept | None) -> PathPoint:
    def accuracy(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None) -> float:
        return float(np.average((logits > 0) == (labels == 1), weights=weights))

    held = validated.logits[place]
    positive = h_neurons(fit)
    return PathPoint(
        c=fit.c,
        positive=len(positive),
        negative=int((fit.weights < 0).sum()),
        auroc=estimate(auroc, items.labels, held, items.entities),
        accuracy=estimate(accuracy, items.labels, held, items.entities),
        stability=float(validated.stability[place]),
        train_auroc=auroc(items.labels, fit.logits(items.answer)),
        kept=kept(positive) if kept is not None else None,
    )
