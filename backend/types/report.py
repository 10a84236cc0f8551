"""A probe's report card: how good it is on held-out items, compared with chance and with simple scores.

The type of every statistic includes its n and interval. Source of the method: Gao et al. 2025, section 6.1.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import CalibrationBin, Funnel, Scores
from backend.types.requests import Threshold

Known = Annotated[Estimate | None, Field(exclude_if=lambda part: part is None)]
"""Not written where it is not known, so that a probe of an older version is written as it was read."""


class PathPoint(Frozen):
    """One C: neurons with positive and negative weight in the fit on all training items; how they did in
    cross-validation on them; `stability`, the mean Jaccard overlap of the H-neurons of two folds' fits; `kept`, the
    share of right answers that stay right with the H-neurons off (None unless asked)."""

    c: float
    positive: int
    negative: int
    auroc: Estimate
    accuracy: Estimate
    stability: float
    train_auroc: float
    kept: Estimate | None = None


class RandomSets(Frozen):
    """Sets of as many random neurons, each fitted anew: the mean AUROC over the sets, and the AUROC of each.

    better: the AUROC of the H-neurons, fitted in the same way, minus that mean.
    """

    kind: Literal["free", "layer"]
    auroc: Estimate
    draws: tuple[float, ...]
    better: Estimate


class Null(Frozen):
    """Null distribution: labels shuffled within each relation, and the probe fitted again to each shuffle.

    p includes the real AUROC. `neurons` are the numbers of H-neurons of these fits.
    """

    aurocs: tuple[float, ...]
    neurons: tuple[int, ...]
    mean: float
    high: float
    p: float


class Baseline(Frozen):
    """A score that uses no neurons, on the held-out items."""

    name: str
    auroc: Estimate


class Flagged(Frozen):
    """The threshold detector on the same items: the share of neurons above mu + k sigma.

    right, wrong: per mille of all neurons, for each token of an answer. auroc: of the count in an answer.
    h_right, h_wrong: share of H-neurons that are flagged. overlap: per mille of H-neurons among the flagged
    (neuron, answer) pairs.
    """

    threshold: Threshold
    right: Estimate
    wrong: Estimate
    auroc: Estimate
    h_right: float
    h_wrong: float
    overlap: float


class Effect(Frozen):
    """Held-out questions answered with a set of neurons scaled by alpha.

    changed: share of all answers that changed. right_kept: share of the answers right at the baseline that stay right.
    wrong_righted, wrong_uncertain: share of those wrong at the baseline that become right, and uncertain. cut: share of
    all answers that reach the maximum length.
    """

    arm: Literal["H-neurons", "random twin", "negative weights"]
    alpha: float
    sets: int
    neurons: int
    changed: Estimate
    right_kept: Estimate | None
    wrong_righted: Estimate | None
    wrong_uncertain: Estimate | None
    cut: float
    mean_tokens: float


class Variation(Frozen):
    """The probe made again with one decision changed. Answers are held out if those of their entity were; entities that
    the probe does not have are split in the same proportion.

    overlap: Jaccard index of its H-neurons and the probe's. `note` says why there are no values.
    """

    name: str
    items: int
    positive: int = 0
    auroc: Estimate | None = None
    within: Estimate | None = None
    overlap: float | None = None
    note: str = ""


class Agreement(Frozen):
    """How often two judges, `one` and `other`, give the same verdict on an answer.

    share: share of agreement among the answers with two verdicts. kappa: Cohen's, None if a judge gave only one
    verdict. counts: "right/wrong" -> number of answers that `one` calls right and `other` wrong. unread: replies
    without a verdict.
    """

    one: str
    other: str
    share: Estimate
    kappa: float | None
    counts: dict[str, int]
    unread: int = 0


class Report(Frozen):
    """The report card. All statistics are of the held-out items unless stated otherwise.

    within: AUROC over pairs of the same relation. matched: over equal numbers of right and wrong items of each length
    in tokens. unseen: over items whose subject and answer do not occur by name in the training part. left_out: each
    relation scored by a fit without its items. The last three are None if no items are left to compare.
    positive_only, negative_only: the neurons of one sign alone, refitted; positive_as_is, negative_as_is: with the
    weights that they have in the probe. None without such a weight, or in a probe of an older version. carried_over:
    positive_as_is on each group of relations by a fit on the others, over pairs within a group; None too where there is
    one relation. adds: AUROC of the simple baselines together with the probe's score, minus their AUROC without it.
    length_correlation: Spearman correlation of score and length, None if all have the same length.
    """

    asked: int
    funnel: Funnel
    funnels: dict[str, Funnel]
    relations: dict[str, tuple[int, int]]
    train_items: int
    test_items: int
    path: tuple[PathPoint, ...]
    scores: Scores
    within: Estimate
    matched: Estimate | None
    left_out: Estimate | None
    unseen: Estimate | None = None
    positive_only: Estimate
    positive_as_is: Known = None
    negative_only: Known = None
    negative_as_is: Known = None
    carried_over: Known = None
    adds: Estimate
    calibration: tuple[CalibrationBin, ...]
    roc: tuple[tuple[float, float], ...]
    random: tuple[RandomSets, ...]
    null: Null | None
    permutation_p: float | None
    all_neurons: Estimate
    baselines: tuple[Baseline, ...]
    unbalanced_prior: float
    significant: int
    flagged: tuple[Flagged, ...]
    effects: tuple[Effect, ...]
    variations: tuple[Variation, ...]
    length_correlation: float | None
    agreement: tuple[Agreement, ...] = ()

    @property
    def own(self) -> Estimate:
        """The AUROC of the H-neurons alone: with their weights as they are or refitted, whichever is worse."""
        known = [part for part in (self.positive_as_is, self.positive_only) if part is not None]
        return min(known, key=lambda part: part.value)

    @property
    def harder(self) -> dict[str, Estimate | None]:
        """The probe's AUROC on harder comparisons than all held-out items, by what is compared."""
        return {
            "within one relation": self.within,
            "relation left out of the fit": self.left_out,
            "same length in tokens": self.matched,
            "neither subject nor answer seen in training": self.unseen,
        }
