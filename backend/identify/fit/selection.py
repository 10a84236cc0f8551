"""Selections: which neurons a fit may choose, at which price, with which sign, and from which items.

Owns what makes a set of neurons carry over to other questions than those of its fit. A neuron's *direction* is the side
on which its CETT is larger, by ranks within each relation, so that the kind of question cannot make it. Selections are
named in `backend.types.plan.SELECTIONS`; the fit itself is `backend.identify.fit.solver`'s.
Sources: Zou 2006 (a price for each variable); Meinshausen & Buhlmann 2010, Shah & Samworth 2013 (what holds in
resamples, complementary halves); Austin 2011 (matching with a caliper).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from backend.errors import BadInput
from backend.statistics.intervals import resampled_weights
from backend.statistics.neurons import measure_by_blocks
from backend.types.plan import Select

HOLDS = 0.9
"""Share of resamples in which the direction of a stable neuron is that of all items."""
DRAWS = 50
"""Resamples of each kind: entities drawn with replacement, and halves of the relations."""
CALIPER = 0.2
"""Matched answers differ by at most so many SDs of the log-odds of their first token's probability (Austin 2011)."""
EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1, where log-odds are infinite."""


@dataclass(frozen=True)
class About:
    """What a selection knows of items besides their CETT: the number of each item's relation, its length in tokens,
    and the probability of its first token."""

    relations: Int[np.ndarray, " item"]
    lengths: Int[np.ndarray, " item"]
    first: Float[np.ndarray, " item"]

    def take(self, places: Int[np.ndarray, " some"]) -> About:
        """Only these items."""
        return About(self.relations[places], self.lengths[places], self.first[places])


@dataclass(frozen=True)
class Steering:
    """What a selection asks of a fit.

    price: what a weight costs, as a multiple of the penalty; infinite for a neuron that may not be chosen. side: the
    only sign that a weight may have, None for any.
    """

    price: Float[np.ndarray, " neuron"]
    side: Float[np.ndarray, " neuron"] | None = None


def steering(
    select: Select,
    features: Float[np.ndarray, "item neuron"],
    labels: Int[np.ndarray, " item"],
    entities: Int[np.ndarray, " item"],
    about: About | None,
) -> Steering | None:
    """What `select` asks of a fit on these items; None where every neuron is chosen alike.

    Raises BadInput where it needs relations that are not known, or no neuron may be chosen.
    """
    width = features.shape[1]
    match select:
        case "l1" | "matched":
            return None
        case "positive":
            return Steering(np.ones(width), np.ones(width))
        case "stable":
            direction, share = stable_directions(features, labels, _known(about, select).relations, entities)
            holds = (share >= HOLDS) & (direction != 0)
            if not holds.any():
                raise BadInput(
                    "No neuron's direction holds",
                    f"none is on the same side in {HOLDS:.0%} of resamples and of halves of the relations",
                    "ask more questions, or choose another selection",
                )
            return Steering(np.where(holds, 1.0, np.inf), np.where(direction < 0, -1.0, 1.0))
        case "agreeing":
            return Steering(disagreement(features, labels, _known(about, select).relations))


def _known(about: About | None, select: Select) -> About:
    if about is None:
        raise BadInput(
            f"The selection {select} needs more than features",
            "it compares answers of one kind of question, and these items come without their questions",
            "choose another selection, or make the probe from questions",
        )
    return about


def disagreement(
    features: Float[np.ndarray, "item neuron"], labels: Int[np.ndarray, " item"], relations: Int[np.ndarray, " item"]
) -> Float[np.ndarray, " neuron"]:
    """Root mean square of a neuron's directions in the relations, divided by the size of their mean: 1 where all agree,
    infinite where they cancel or nowhere differ. Relations count by their pairs."""
    names = [name for name in np.unique(relations) if len(np.unique(labels[relations == name])) == 2]
    if not names:
        return np.ones(features.shape[1])
    shares = np.array([_pairs(labels[relations == name]) for name in names])
    shares = shares / shares.sum()

    def measured(block: np.ndarray) -> np.ndarray:
        apart = np.stack([_apart(block[relations == name], labels[relations == name]) for name in names])
        mean, square = shares @ apart, shares @ apart**2
        return np.divide(np.sqrt(square), np.abs(mean), out=np.full(len(mean), np.inf), where=np.abs(mean) > 0)

    return measure_by_blocks(measured, features)


def _apart(features: Float[np.ndarray, "item neuron"], labels: Int[np.ndarray, " item"]) -> np.ndarray:
    """2 AUROC - 1 of each neuron: -1 where every right answer has more, 1 where every wrong one has, [neuron]."""
    ranks = rankdata(features, axis=0)
    return 2 * (ranks[labels == 1].mean(0) - ranks[labels == 0].mean(0)) / len(labels)


def _pairs(labels: Int[np.ndarray, " item"]) -> float:
    """What the items of one relation weigh: pairs of a right and a wrong answer, for each answer."""
    wrong = float(labels.sum())
    return wrong * (len(labels) - wrong) / len(labels)


def stable_directions(
    features: Float[np.ndarray, "item neuron"],
    labels: Int[np.ndarray, " item"],
    relations: Int[np.ndarray, " item"],
    entities: Int[np.ndarray, " item"],
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """(each neuron's direction over all relations, -1, 0 or 1; the share of resamples that agree with it).

    The share is the smaller one of two: over entities drawn with replacement, and over halves of the relations.
    """
    everything = np.ones(len(labels))
    kinds = [resampled_weights(entities, DRAWS), _halves(relations)]
    contrasts = [
        np.stack([contrast for contrast in drawn if contrast.any()])
        for drawn in ([_contrast(labels, relations, weights) for weights in (everything, *kind)] for kind in kinds)
    ]

    def measured(block: np.ndarray) -> np.ndarray:
        ranks = np.empty(block.shape, np.float64)
        for relation in np.unique(relations):
            here = relations == relation
            ranks[here] = rankdata(block[here], axis=0) / max(1, int(here.sum()))
        # What is 0 but for rounding is no direction.
        signs = [np.sign(np.round(contrast @ ranks, 12)) for contrast in contrasts]
        shares = [(drawn[1:] == drawn[0]).mean(0) for drawn in signs if len(drawn) > 1]
        return np.stack([signs[0][0], np.min(shares, axis=0)])

    direction, share = measure_by_blocks(measured, features)
    return direction, share


def _halves(relations: Int[np.ndarray, " item"]) -> Iterator[Float[np.ndarray, " item"]]:
    """Weights of the items when half of the relations is left out, each half beside its complement."""
    names = np.unique(relations)
    random = np.random.default_rng(0)
    for _ in range(DRAWS // 2 if len(names) > 1 else 0):
        half = random.permutation(names)[: len(names) // 2]
        inside = np.isin(relations, half)
        yield inside.astype(np.float64)
        yield (~inside).astype(np.float64)


def _contrast(
    labels: Int[np.ndarray, " item"], relations: Int[np.ndarray, " item"], weights: Float[np.ndarray, " item"]
) -> Float[np.ndarray, " item"]:
    """What each item counts in the difference wrong minus right of weighted means, summed over relations by their
    pairs."""
    contrast = np.zeros(len(labels))
    for relation in np.unique(relations):
        here = relations == relation
        wrong, right = weights * (here & (labels == 1)), weights * (here & (labels == 0))
        totals = wrong.sum(), right.sum()
        if min(totals) > 0:
            pairs = totals[0] * totals[1] / sum(totals)
            contrast += pairs * (wrong / totals[0] - right / totals[1])
    return contrast


def matched(labels: Int[np.ndarray, " item"], about: About | None) -> Int[np.ndarray, " some"]:
    """Places of as many right as wrong items, each with a partner of its relation and length whose first token had
    about its probability.

    Raises BadInput where nothing is known of the items, or no two can be matched.
    """
    about = _known(about, "matched")
    first = np.clip(about.first, EDGE, 1 - EDGE)
    log_odds = np.log(first / (1 - first))
    caliper = CALIPER * float(log_odds.std())
    places: list[int] = []
    for relation, length in sorted({*zip(about.relations.tolist(), about.lengths.tolist(), strict=True)}):
        here = (about.relations == relation) & (about.lengths == length)
        right, wrong = (np.flatnonzero(here & (labels == side)) for side in (0, 1))
        gaps = np.abs(log_odds[right][:, None] - log_odds[wrong][None])
        # A pair outside the caliper costs more than all pairs within it together.
        costs = np.where(gaps <= caliper, gaps, caliper * (len(right) + len(wrong) + 1) + 1)
        rows, columns = linear_sum_assignment(costs)
        chosen = gaps[rows, columns] <= caliper
        places += [*right[rows[chosen]].tolist(), *wrong[columns[chosen]].tolist()]
    if not places:
        raise BadInput(
            "No right answer is like a wrong one",
            "none has the same kind of question and length, and a first token about as probable",
            "choose another selection, or ask more questions of the same kinds",
        )
    return np.array(sorted(places), dtype=np.int64)
