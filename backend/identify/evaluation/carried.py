"""Whether a set of H-neurons carries over: its score on questions of other relations, or of other kinds, than those of
its fit.

Owns the fits with groups of questions left out, and the AUROC of the H-neurons' own part: their CETT times their
weights as fitted, nothing refitted. Two fits weigh neurons in different units, so only answers of the same left-out
group are compared.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import GroupKFold

from backend.errors import BadInput
from backend.identify.fit.choice import Items, fits
from backend.identify.fit.solver import Fit
from backend.statistics.intervals import estimate
from backend.statistics.scores import auroc_within_strata
from backend.types.estimate import Estimate
from backend.types.plan import Training
from backend.watch import SILENT, Watch, between

PARTS = 10
"""Groups of relations, each left out once."""


def parts_of(names: np.ndarray, parts: int = PARTS) -> Int[np.ndarray, " item"]:
    """A number for each item's group of names [item]; groups have about equally many items, and each is of whole
    names."""
    groups = np.zeros(len(names), dtype=np.int64)
    count = min(parts, len(np.unique(names)))
    if count > 1:
        for number, (_, left_out) in enumerate(GroupKFold(count).split(names, groups=names)):
            groups[left_out] = number
    return groups


def fit_without(train: Items, inside: Int[np.ndarray, " some"], training: Training, c: float) -> Fit | None:
    """The fit on these items; None where they have one side alone, or the selection finds no neuron in them."""
    try:
        return fits(train.take(inside), training, (c,))[0]
    except BadInput:
        return None


def carried_over(
    train: Items,
    asked: Items,
    left_out: tuple[Int[np.ndarray, " item"], Int[np.ndarray, " asked"]],
    training: Training,
    c: float,
    watch: Watch = SILENT,
) -> Estimate | None:
    """AUROC of the H-neurons' own part on each group of questions, by a fit on the other groups; over pairs within a
    group, with its 95 % interval. None with a single group.

    Args:
        train: the items of the fits. asked: those that are scored; they may be the same ones, or others, whose entities
            are numbered together with theirs.
        left_out: the group of each of `train` and of `asked`. Items of an entity that is asked about in a group are in
            no fit for it either.
    A group for which nothing can be fitted, or no neuron is chosen, counts as a half: its answers are not told apart.
    Raises Stopped between fits.
    """
    of_train, of_asked = left_out
    groups = np.unique(of_asked)
    if len(np.unique(of_train)) < 2:
        return None
    scores = np.zeros(len(asked.labels))
    for group in groups:
        between(watch)
        mine = np.flatnonzero(of_asked == group)
        others = (of_train != group) & ~np.isin(train.entities, asked.entities[mine])
        fit = fit_without(train, np.flatnonzero(others), training, c)
        if fit is not None:
            scores[mine] = fit.part(asked.answer[mine], 1)

    def measure(labels: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> float:
        return auroc_within_strata(labels, values, of_asked, weights)

    return estimate(measure, asked.labels, scores, asked.entities)
