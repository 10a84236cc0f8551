"""Stage 7 continued: the probe of a set of items, with C chosen from a path of fits.

Owns cross-validation on the training part and the choice of C. Never gets held-out items. The solver is
`backend.identify.fit.solver`'s, the evaluation `backend.identify.evaluation.report`'s.
Source: Gao et al. 2025, section 6.1.3 (labels 3-vs-1; C by accuracy plus what suppression leaves of the answers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput, BadSettings
from backend.identify.fit.selection import About, Steering, matched, steering
from backend.identify.fit.solver import Fit, h_neurons, least_c, path
from backend.statistics.intervals import estimate, standard_error
from backend.statistics.neurons import mean_overlap, single_neurons
from backend.statistics.scores import accuracy, auroc
from backend.types.estimate import Estimate
from backend.types.plan import Training
from backend.types.report import PathPoint
from backend.watch import SILENT, Watch, between

GRID = tuple(np.geomspace(3, 300, 12).tolist())
"""Values of C, as multiples of the smallest C that gives a neuron a weight."""
NEAR = (*np.geomspace(1.05, 2.7, 6).tolist(), *GRID)
"""Those that are tried where the number of H-neurons is limited: just above that C there are only a few."""
MeasureKept = Callable[[Int[np.ndarray, " neuron"]], Estimate]
"""The share of right answers that stay right with these neurons off."""


@dataclass(frozen=True)
class Items:
    """The data of a fit: CETT over each answer and over its other tokens, labels (1 is wrong), entities and folds.
    `about` is None for features that come without their questions."""

    answer: Float[np.ndarray, "item neuron"]
    other: Float[np.ndarray, "item neuron"] | None
    labels: Int[np.ndarray, " item"]
    entities: Int[np.ndarray, " item"]
    folds: Int[np.ndarray, " item"]
    about: About | None = None

    @cached_property
    def alone(self) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
        """`single_neurons` of these items, computed once: for a large model it takes minutes."""
        return single_neurons(self.answer, self.labels)

    def take(self, places: np.ndarray) -> Items:
        """Only these items; a place may occur more than once, as in a bootstrap."""
        other_rows = None if self.other is None else self.other[places]
        about = None if self.about is None else self.about.take(places)
        return Items(
            self.answer[places], other_rows, self.labels[places], self.entities[places], self.folds[places], about
        )

    def relabelled(self, labels: Int[np.ndarray, " item"]) -> Items:
        """The same items under other labels."""
        return Items(self.answer, self.other, labels, self.entities, self.folds, self.about)


@dataclass(frozen=True)
class Trained:
    """The chosen fit on all items, the whole path with the cross-validation of each C, and each item's log-odds by a
    fit at the chosen C that did not see the item."""

    fit: Fit
    fits: tuple[Fit, ...]
    points: tuple[PathPoint, ...]
    unseen: Float[np.ndarray, " item"]


@dataclass(frozen=True)
class Validated:
    """Log-odds of each item by a fit that did not see its fold, for each C [c item]; overlap of the folds' H-neurons
    [c]."""

    logits: Float[np.ndarray, "c item"]
    stability: Float[np.ndarray, " c"]


@dataclass(frozen=True)
class Tried:
    """One C of a path: H-neurons of the fit on all training items, cross-validated AUROC and accuracy, and the share
    of right answers that stay right with these neurons off (None unless measured)."""

    c: float
    positive: int
    auroc: float
    accuracy: float
    kept: float | None = None


def fits(items: Items, training: Training, cs: tuple[float, ...] | None = None) -> list[Fit]:
    """A fit for each C on these items, with the plan's kind of labels and its selection. Raises BadInput."""
    items = _selected(items, training)
    features, labels = _features_and_labels(items, training)
    asked = _steering(items, training)
    return path(features, labels, cs or training.cs, standardise=training.standardise, steering=asked)


def _selected(items: Items, training: Training) -> Items:
    """The items that the selection fits on."""
    return items.take(matched(items.labels, items.about)) if training.select == "matched" else items


def _steering(items: Items, training: Training) -> Steering | None:
    return steering(training.select, items.answer, items.labels, items.entities, items.about)


def _features_and_labels(items: Items, training: Training) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels) for the plan's kind of labels."""
    if training.labels == "1-vs-1":
        return items.answer, items.labels
    if items.other is None:
        raise BadSettings("3-vs-1 needs the other tokens", "only the answer's were read", "choose 1-vs-1")
    return np.concatenate([items.answer, items.other]), np.concatenate([items.labels, np.zeros_like(items.labels)])


def with_grid(items: Items, training: Training) -> Training:
    """The same settings with values of C: the given ones, or else `GRID` times the smallest C that gives a neuron a
    weight, `NEAR` where the number of H-neurons is limited.

    The size of CETT depends on the model, the tokens and the unit, so no fixed grid fits all.
    """
    cs = training.cs
    if not cs:
        chosen = _selected(items, training)
        least = least_c(
            *_features_and_labels(chosen, training),
            standardise=training.standardise,
            steering=_steering(chosen, training),
        )
        grid = GRID if training.most is None else NEAR
        cs = tuple(dict.fromkeys(float(f"{least * times:.2g}") for times in grid))
    return training.model_copy(update={"cs": tuple(sorted({*cs, *([training.c] if training.c else [])}))})


def validate(items: Items, training: Training, watch: Watch = SILENT) -> Validated:
    """Cross-validation: each fold scored by a path of fits on the other folds."""
    logits = np.zeros((len(training.cs), len(items.labels)))
    chosen: list[list[set[int]]] = [[] for _ in training.cs]
    for fold in np.unique(items.folds):
        between(watch)
        inside = items.folds != fold
        for place, fit in enumerate(fits(items.take(np.flatnonzero(inside)), training)):
            logits[place, ~inside] = fit.logits(items.answer[~inside])
            chosen[place].append(set(h_neurons(fit).tolist()))
    return Validated(logits, np.array([mean_overlap(sets) for sets in chosen]))


def train_probe(
    items: Items, training: Training, measure_kept: MeasureKept | None = None, watch: Watch = SILENT
) -> Trained:
    """The probe of these items. `measure_kept`, which the paper's criterion needs, is called for each C where given.

    Raises BadInput where one side is missing, Stopped between folds.
    """
    training = with_grid(items, training)
    validated = validate(items, training, watch)
    path_of_fits = fits(items, training)
    kept_shares = [None if measure_kept is None else measure_kept(h_neurons(fit)) for fit in path_of_fits]
    place_of_chosen = _chosen_place(path_of_fits, validated, items, training, kept_shares)
    points = tuple(
        _path_point(items, fit, validated, place, kept_shares[place]) for place, fit in enumerate(path_of_fits)
    )
    return Trained(path_of_fits[place_of_chosen], tuple(path_of_fits), points, validated.logits[place_of_chosen])


def trained_fit(items: Items, training: Training, watch: Watch = SILENT) -> Fit:
    """The fit that `train_probe` would choose, without the intervals of the path: for probes that are made many times.

    The paper's criterion needs new answers of the model for each C; here only its other part, the accuracy, decides.
    """
    training = with_grid(items, training)
    validated = validate(items, training, watch)
    path_of_fits = fits(items, training)
    return path_of_fits[_chosen_place(path_of_fits, validated, items, training, [None] * len(path_of_fits))]


def _chosen_place(
    path_of_fits: Sequence[Fit],
    validated: Validated,
    items: Items,
    training: Training,
    kept_shares: Sequence[Estimate | None],
) -> int:
    tried = [
        Tried(
            fit.c, len(h_neurons(fit)), auroc(items.labels, logits), accuracy(items.labels, logits),
            None if share is None else share.value,
        )
        for fit, logits, share in zip(path_of_fits, validated.logits, kept_shares, strict=True)
    ]  # fmt: skip
    return choose_c(
        tried,
        training,
        lambda top: standard_error(estimate(auroc, items.labels, validated.logits[top], items.entities)),
        items.answer.shape[1],
    )


def choose_c(tried: Sequence[Tried], training: Training, error: Callable[[int], float], neurons: int) -> int:
    """The place of the C that `training.choice` selects: one with H-neurons, where there is any, and not more of them
    than `training.most`; among equals the smallest.

    Args:
        error: returns the standard error of the AUROC at a place; called for one place at most, since it is slow.
        neurons: of the model.
    Raises BadInput where every C gives too many H-neurons.
    """
    if training.choice == "fixed":
        return [candidate.c for candidate in tried].index(training.c or 0.0)
    # A fit without an H-neuron is no probe, whatever its score.
    with_h_neurons = [place for place, candidate in enumerate(tried) if candidate.positive] or list(range(len(tried)))
    if training.most is not None:
        with_h_neurons = _few_enough(with_h_neurons, tried, training.most, neurons)
    if training.choice == "paper":
        return max(with_h_neurons, key=lambda place: tried[place].accuracy + (tried[place].kept or 0.0))
    top = max(with_h_neurons, key=lambda place: tried[place].auroc)
    if training.choice == "cross-validation":
        return top
    least = tried[top].auroc - error(top)
    return next(place for place in with_h_neurons if tried[place].auroc >= least)


def _few_enough(places: Sequence[int], tried: Sequence[Tried], most: float, neurons: int) -> list[int]:
    """The places with at most `most` per mille H-neurons."""
    few = [place for place in places if tried[place].positive <= most * neurons / 1000]
    if not few:
        least = min(tried[place].positive for place in places)
        raise BadInput(
            f"No C gives {most:g} per mille of H-neurons or fewer",
            f"of {neurons:,} neurons, {least:,} are the fewest that one gave a positive weight",
            "allow more, or give smaller values of C",
        )
    return few


def _path_point(items: Items, fit: Fit, validated: Validated, place: int, kept_share: Estimate | None) -> PathPoint:
    logits = validated.logits[place]
    return PathPoint(
        c=fit.c,
        positive=len(h_neurons(fit)),
        negative=int((fit.weights < 0).sum()),
        auroc=estimate(auroc, items.labels, logits, items.entities),
        accuracy=estimate(accuracy, items.labels, logits, items.entities),
        stability=float(validated.stability[place]),
        train_auroc=auroc(items.labels, fit.logits(items.answer)),
        kept=kept_share,
    )
