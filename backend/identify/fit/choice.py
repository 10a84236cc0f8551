"""Stage 7 continued: the probe of a set of items, C chosen among a path of fits.

Owns cross-validation on the training part and the choice of C. Held-out items never come here. Refuses the solver
(`backend.identify.fit.solver`) and what is said of the result (`backend.identify.evaluation.report`).
Source: Gao et al. 2025, section 6.1.3 (labels 3-vs-1; C by accuracy plus what suppression leaves of the answers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadSettings
from backend.identify.fit.solver import Fit, h_neurons, least_c, path
from backend.statistics.intervals import estimate, standard_error
from backend.statistics.neurons import mean_overlap, single_neurons
from backend.statistics.scores import accuracy, auroc
from backend.types.estimate import Estimate
from backend.types.plan import Training
from backend.types.report import PathPoint
from backend.watch import SILENT, Watch, between

GRID = tuple(np.geomspace(3, 300, 12).tolist())
"""Values of C as multiples of the least that gives a neuron a weight."""
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

    @cached_property
    def alone(self) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
        """What each neuron tells alone, as `single_neurons`: of a large model it takes minutes, so it is asked once."""
        return single_neurons(self.answer, self.labels)

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


@dataclass(frozen=True)
class Tried:
    """One C of a path: H-neurons of the fit on all training items, cross-validated AUROC and accuracy, and the share
    of right answers that stay right with these neurons off (None unless asked)."""

    c: float
    positive: int
    auroc: float
    accuracy: float
    kept: float | None = None


def fits(items: Items, training: Training, cs: tuple[float, ...] | None = None) -> list[Fit]:
    """A fit for each C on these items, under either kind of labels."""
    features, labels = _told_apart(items, training)
    return path(features, labels, cs or training.cs, standardise=training.standardise)


def _told_apart(items: Items, training: Training) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels) of the plan's kind of labels."""
    if training.labels == "1-vs-1":
        return items.answer, items.labels
    if items.other is None:
        raise BadSettings("3-vs-1 needs the other tokens", "only the answer's were read", "choose 1-vs-1")
    return np.concatenate([items.answer, items.other]), np.concatenate([items.labels, np.zeros_like(items.labels)])


def with_grid(items: Items, training: Training) -> Training:
    """The same with its values of C: those given, else `GRID` times the least C at which a neuron gets a weight.

    CETT is of another size on another model, over other tokens and in units of its SD, so that no fixed grid fits all.
    """
    cs = training.cs
    if not cs:
        least = least_c(*_told_apart(items, training), standardise=training.standardise)
        cs = tuple(dict.fromkeys(float(f"{least * times:.2g}") for times in GRID))
    return training.model_copy(update={"cs": tuple(sorted({*cs, *([training.c] if training.c else [])}))})


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
    return Validated(logits, np.array([mean_overlap(sets) for sets in chosen]))


def train(items: Items, training: Training, kept: Kept | None = None, watch: Watch = SILENT) -> Trained:
    """The probe of these items. `kept` is needed for the paper's criterion, and measured for each C where given.

    Raises BadInput where one side is missing, Stopped between folds.
    """
    training = with_grid(items, training)
    validated = validate(items, training, watch)
    whole = fits(items, training)
    stay = [None if kept is None else kept(h_neurons(fit)) for fit in whole]
    chosen = _chosen(whole, validated, items, training, stay)
    points = tuple(_point(items, fit, validated, place, stay[place]) for place, fit in enumerate(whole))
    return Trained(whole[chosen], tuple(whole), points, validated.logits[chosen])


def trained_fit(items: Items, training: Training, watch: Watch = SILENT) -> Fit:
    """The fit that `train` would take, without the intervals of the path: for probes that are made many times over.

    The paper's criterion asks the model again for each C; here only its other half, the accuracy, decides.
    """
    training = with_grid(items, training)
    validated = validate(items, training, watch)
    whole = fits(items, training)
    return whole[_chosen(whole, validated, items, training, [None] * len(whole))]


def _chosen(
    whole: Sequence[Fit], validated: Validated, items: Items, training: Training, kept: Sequence[Estimate | None]
) -> int:
    tried = [
        Tried(
            fit.c, len(h_neurons(fit)), auroc(items.labels, held), accuracy(items.labels, held),
            None if stay is None else stay.value,
        )
        for fit, held, stay in zip(whole, validated.logits, kept, strict=True)
    ]  # fmt: skip
    return choose(
        tried,
        training,
        lambda top: standard_error(estimate(auroc, items.labels, validated.logits[top], items.entities)),
    )


def choose(tried: Sequence[Tried], training: Training, error: Callable[[int], float]) -> int:
    """The place of the C that `training.choice` takes: one with H-neurons, where there is any; of equals the smallest.

    Args:
        error: the standard error of the AUROC at a place, which is worked out for one place alone.
    """
    if training.choice == "fixed":
        return [one.c for one in tried].index(training.c or 0.0)
    # A fit without an H-neuron is no probe, however it scores.
    real = [place for place, one in enumerate(tried) if one.positive] or list(range(len(tried)))
    if training.choice == "paper":
        return max(real, key=lambda place: tried[place].accuracy + (tried[place].kept or 0.0))
    top = max(real, key=lambda place: tried[place].auroc)
    if training.choice == "cross-validation":
        return top
    least = tried[top].auroc - error(top)
    return next(place for place in real if tried[place].auroc >= least)


def _point(items: Items, fit: Fit, validated: Validated, place: int, kept: Estimate | None) -> PathPoint:
    held = validated.logits[place]
    return PathPoint(
        c=fit.c,
        positive=len(h_neurons(fit)),
        negative=int((fit.weights < 0).sum()),
        auroc=estimate(auroc, items.labels, held, items.entities),
        accuracy=estimate(accuracy, items.labels, held, items.entities),
        stability=float(validated.stability[place]),
        train_auroc=auroc(items.labels, fit.logits(items.answer)),
        kept=kept,
    )
