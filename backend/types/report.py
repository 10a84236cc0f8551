"""A probe's report card: what it is worth on held-out items, beside chance and beside simple scores.

Every figure carries its n and interval in its type. Source of the method: Gao et al. 2025, section 6.1.
"""

from __future__ import annotations

from typing import Literal

from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import CalibrationBin, Funnel, Scores
from backend.types.requests import Threshold


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
    """As many random neurons, each draw fitted anew: mean AUROC over the draws, and each draw's.

    better: the H-neurons' AUROC, fitted the same way, minus that mean.
    """

    kind: Literal["free", "layer"]
    auroc: Estimate
    draws: tuple[float, ...]
    better: Estimate


class Null(Frozen):
    """Labels shuffled within each relation, the probe made anew from there on: what luck finds.

    p counts the real AUROC in. `neurons` are the H-neurons that each fit "found".
    """

    aurocs: tuple[float, ...]
    neurons: tuple[int, ...]
    mean: float
    high: float
    p: float


class Baseline(Frozen):
    """A score that needs no neuron, on the held-out items."""

    name: str
    auroc: Estimate


class Flagged(Frozen):
    """The threshold detector on the same items: which share of neurons stands above mu + k sigma.

    right, wrong: per mille of all neurons, at an answer's token. auroc: of an answer's count.
    h_right, h_wrong: share of H-neurons flagged; overlap: of the flagged (neuron, answer) pairs, the per mille that
    are of H-neurons.
    """

    threshold: Threshold
    right: Estimate
    wrong: Estimate
    auroc: Estimate
    h_right: float
    h_wrong: float
    overlap: float


class Effect(Frozen):
    """Held-out questions answered with a set at alpha. Shares: of all answers that `changed`; of those right at
    the baseline that stay right; of those wrong that become right, and uncertain; of all that hit the length's end.
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
    """The probe made again with one decision taken otherwise. Other answers are held out where their entity is; those
    of entities that the probe does not have are split anew in the same proportion.

    overlap: Jaccard of its H-neurons with the probe's. `note` says why there is no figure.
    """

    name: str
    items: int
    positive: int = 0
    auroc: Estimate | None = None
    within: Estimate | None = None
    overlap: float | None = None
    note: str = ""


class Agreement(Frozen):
    """How often two judges give one answer the same verdict.

    share: of the answers on which both gave one. kappa: Cohen's, None where a judge gave all the same.
    counts: "right/wrong" -> answers that the one calls right and the other wrong. unread: replies without a verdict.
    """

    one: str
    other: str
    share: Estimate
    kappa: float | None
    counts: dict[str, int]
    unread: int = 0


class Report(Frozen):
    """The report card. Unless it says otherwise a figure is of the held-out items.

    within: AUROC over pairs of one relation. matched: over as many right as wrong items of each length in tokens.
    unseen: over items of which neither subject nor answer stands in the training part by name. left_out: each
    relation scored by a fit that saw none of its items. These three are None where nothing is left to compare.
    positive_only: H-neurons alone, refitted. adds: AUROC of the simple baselines together with the probe's score,
    minus without it. length_correlation: Spearman's of score and length, None where all are of one length.
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
