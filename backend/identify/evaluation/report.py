"""Stage 9, the report card: what the probe is worth on the held-out items, and what else gets as far.

Owns the assembly; each figure comes from its own module. The held-out part is scored here, and nothing is chosen
after it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import roc_curve
from sklearn.model_selection import GroupKFold

from backend.identify.evaluation.baselines import adds, all_neurons, random_sets, refitted, simple_baselines
from backend.identify.features.study import Part, Study
from backend.identify.fit.choice import Trained, fits
from backend.identify.fit.solver import Fit, h_neurons
from backend.layout import Layout
from backend.neurons import NeuronSet
from backend.statistics.intervals import estimate
from backend.statistics.permutation import p_value, permuted_aurocs
from backend.statistics.scores import (
    auroc,
    auroc_within_strata,
    calibration,
    matched_by_length,
    rank_correlation,
    scores_of,
)
from backend.types.estimate import Estimate
from backend.types.identify import Funnel
from backend.types.plan import Plan
from backend.types.report import Agreement, Effect, Flagged, Null, RandomSets, Report, Variation
from backend.watch import SILENT, Watch, between

SIGNIFICANT = 0.05
ROC_POINTS = 200


@dataclass(frozen=True)
class Found:
    """What other stages measured for the card."""

    funnels: dict[str, Funnel]
    null: Null | None
    flagged: tuple[Flagged, ...]
    effects: tuple[Effect, ...]
    variations: tuple[Variation, ...]
    agreement: tuple[Agreement, ...] = ()


def report(
    study: Study,
    trained: Trained,
    plan: Plan,
    funnel: Funnel,
    found: Found,
    layout: Layout,
    watch: Watch = SILENT,
) -> Report:
    """The card of `trained` on the held-out part. Raises Stopped between two figures."""
    train, test = study.train, study.test
    held = trained.fit.logits(test.seen.answer)
    between(watch)
    pairs = matched_by_length(test.seen.labels, test.lengths, plan.seed)
    null = permuted_aurocs(test.seen.labels, held, test.strata, plan.checks.permutations, plan.seed)
    return Report(
        asked=funnel.asked,
        funnel=funnel,
        funnels=found.funnels,
        relations=_relations(study),
        train_items=len(train.items),
        test_items=len(test.items),
        path=trained.points,
        scores=scores_of(test.seen.labels, held, test.seen.entities),
        within=judged_within(test, held),
        matched=_over(pairs, test, held),
        unseen=_over(unseen(train, test), test, held),
        left_out=_left_out(study, trained.fit, plan),
        positive_only=estimate(
            auroc, test.seen.labels, refitted(train.seen, test.seen, h_neurons(trained.fit)), test.seen.entities
        ),
        adds=adds(train.seen, test.seen, train.simple, test.simple, trained.unseen, held),
        calibration=calibration(test.seen.labels, held),
        roc=_roc(test.seen.labels, held),
        random=_random(study, trained.fit, plan, layout, watch),
        null=found.null,
        permutation_p=p_value(null, auroc(test.seen.labels, held)) if len(null) else None,
        all_neurons=all_neurons(train.seen, test.seen),
        baselines=simple_baselines(
            train.seen,
            test.seen,
            train.simple,
            test.simple,
            (train.relations, test.relations),
            (train.words, test.words),
        ),
        unbalanced_prior=unbalanced(funnel),
        significant=int((train.seen.alone[1] < SIGNIFICANT).sum()),
        flagged=found.flagged,
        effects=found.effects,
        variations=found.variations,
        length_correlation=rank_correlation(held, test.lengths),
        agreement=found.agreement,
    )


def judged_within(part: Part, scores: Float[np.ndarray, " item"]) -> Estimate:
    """AUROC over pairs of one relation, with its interval."""
    strata = part.strata

    def measure(labels: np.ndarray, held: np.ndarray, weights: np.ndarray | None) -> float:
        return auroc_within_strata(labels, held, strata, weights)

    return estimate(measure, part.seen.labels, scores, part.seen.entities)


def _over(places: Int[np.ndarray, " some"], part: Part, scores: Float[np.ndarray, " item"]) -> Estimate | None:
    """AUROC over these items alone; None where a side is missing among them."""
    labels = part.seen.labels[places]
    if len(np.unique(labels)) < 2:
        return None
    return estimate(auroc, labels, scores[places], part.seen.entities[places])


def unseen(train: Part, test: Part) -> Int[np.ndarray, " some"]:
    """Places of the held-out items that share no name with the training part: neither their subject nor their
    answer's words are a subject or an answer there. What is told of them cannot be known by name."""
    known = {*train.words, *train.subjects} - {""}
    return np.array(
        [place for place, names in enumerate(zip(test.words, test.subjects, strict=True)) if not known & {*names}],
        dtype=np.int64,
    )


def _left_out(study: Study, fit: Fit, plan: Plan) -> Estimate | None:
    """AUROC of `left_out`; None with a single relation, which leaves nothing to fit on."""
    if len(np.unique(study.train.relations)) < 2:
        return None
    seen = study.test.seen
    return estimate(auroc, seen.labels, left_out(study, fit, plan), seen.entities)


def left_out(study: Study, fit: Fit, plan: Plan, parts: int = 10) -> Float[np.ndarray, " item"]:
    """Log-odds of the held-out items, each by a fit at the same C that saw no item of its relation."""
    train, test = study.train, study.test
    names = np.unique(train.relations)
    splitter = GroupKFold(min(parts, len(names)))
    found = np.zeros(len(test.items))
    for inside, _ in splitter.split(train.relations, groups=train.relations):
        seen = set(train.relations[inside])
        mine = np.array([relation not in seen for relation in test.relations])
        if len(np.unique(train.seen.labels[inside])) == 2 and mine.any():
            found[mine] = fits(train.seen.take(inside), plan.training, (fit.c,))[0].logits(test.seen.answer[mine])
    return found


def chosen(fit: Fit, layout: Layout, sign: int) -> NeuronSet:
    """The neurons whose weight has this sign."""
    return NeuronSet(tuple(layout.neurons(np.flatnonzero(fit.weights * sign > 0))))


def _random(study: Study, fit: Fit, plan: Plan, layout: Layout, watch: Watch) -> tuple[RandomSets, ...]:
    if not plan.checks.random_sets:
        return ()
    between(watch)
    positive, negative = chosen(fit, layout, 1), chosen(fit, layout, -1)
    return tuple(
        random_sets(
            study.train.seen,
            study.test.seen,
            positive,
            negative,
            h_neurons(fit),
            layout,
            kind,
            plan.checks.random_sets,
            plan.seed,
        )
        for kind in ("layer", "free")
    )


def _relations(study: Study) -> dict[str, tuple[int, int]]:
    counts = [Counter(map(str, part.relations)) for part in (study.train, study.test)]
    return {name: (counts[0][name], counts[1][name]) for name in sorted({*counts[0], *counts[1]})}


def _roc(labels: np.ndarray, scores: np.ndarray) -> tuple[tuple[float, float], ...]:
    false, true, _ = roc_curve(labels, scores, drop_intermediate=True)
    step = max(1, len(false) // ROC_POINTS)
    kept = sorted({*range(0, len(false), step), len(false) - 1})
    return tuple((float(false[i]), float(true[i])) for i in kept)


def unbalanced(funnel: Funnel) -> float:
    """AUROC of a relation's share of wrong answers over all items before balancing: what the balance takes away."""
    labels, scores, weights = [], [], []
    for right, wrong, _ in funnel.relations.values():
        for side, count in ((0, right), (1, wrong)):
            if count:
                labels.append(side)
                scores.append(wrong / (right + wrong))
                weights.append(count)
    return auroc(np.array(labels), np.array(scores), np.array(weights, dtype=np.float64)) if labels else 0.5
