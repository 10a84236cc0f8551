"""Stage 9, the report card: how good the probe is on the held-out items, and what else reaches the same.

Owns the assembly; each figure comes from its own module. The held-out part is scored here, after everything is chosen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import roc_curve
from sklearn.model_selection import GroupKFold

from backend.identify.evaluation.baselines import (
    added_auroc,
    all_neurons,
    random_sets,
    refitted_logits,
    simple_baselines,
)
from backend.identify.evaluation.carried import carried_over, fit_without, parts_of
from backend.identify.features.study import Part, Study
from backend.identify.fit.choice import Trained
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
class StageResults:
    """What other stages have measured for the card."""

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
    results: StageResults,
    layout: Layout,
    watch: Watch = SILENT,
) -> Report:
    """The card of `trained` on the held-out part. Raises Stopped between two figures."""
    train, test = study.train, study.test
    log_odds = trained.fit.logits(test.seen.answer)
    between(watch)
    pairs = matched_by_length(test.seen.labels, test.lengths, plan.seed)
    null = permuted_aurocs(test.seen.labels, log_odds, test.strata, plan.checks.permutations, plan.seed)
    return Report(
        asked=funnel.asked,
        funnel=funnel,
        funnels=results.funnels,
        relations=_counts_by_relation(study),
        train_items=len(train.items),
        test_items=len(test.items),
        path=trained.points,
        scores=scores_of(test.seen.labels, log_odds, test.seen.entities),
        within=auroc_within_relations(test, log_odds),
        matched=_auroc_over(pairs, test, log_odds),
        unseen=_auroc_over(without_known_names(train, test), test, log_odds),
        left_out=_auroc_left_out(study, trained.fit, plan),
        positive_only=estimate(
            auroc, test.seen.labels, refitted_logits(train.seen, test.seen, h_neurons(trained.fit)), test.seen.entities
        ),
        **_parts(study, trained.fit),
        carried_over=_carried_over(study, trained.fit, plan, watch),
        adds=added_auroc(train.seen, test.seen, train.simple, test.simple, trained.unseen, log_odds),
        calibration=calibration(test.seen.labels, log_odds),
        roc=_roc(test.seen.labels, log_odds),
        random=_random_sets(study, trained.fit, plan, layout, watch),
        null=results.null,
        permutation_p=p_value(null, auroc(test.seen.labels, log_odds)) if len(null) else None,
        all_neurons=all_neurons(train.seen, test.seen),
        baselines=simple_baselines(
            train.seen,
            test.seen,
            train.simple,
            test.simple,
            (train.relations, test.relations),
            (train.words, test.words),
        ),
        unbalanced_prior=unbalanced_auroc(funnel),
        significant=int((train.seen.alone[1] < SIGNIFICANT).sum()),
        flagged=results.flagged,
        effects=results.effects,
        variations=results.variations,
        length_correlation=rank_correlation(log_odds, test.lengths),
        agreement=results.agreement,
    )


def _parts(study: Study, fit: Fit) -> dict[str, Estimate | None]:
    """The weights of each sign alone as they are, and the negative ones refitted too."""
    train, test = study.train.seen, study.test.seen

    def measured(scores: Float[np.ndarray, " item"]) -> Estimate:
        return estimate(auroc, test.labels, scores, test.entities)

    as_is = {
        f"{name}_as_is": measured(fit.part(test.answer, sign)) if (fit.weights * sign > 0).any() else None
        for name, sign in (("positive", 1), ("negative", -1))
    }
    negative = np.flatnonzero(fit.weights < 0)
    refitted = measured(refitted_logits(train, test, negative)) if len(negative) else None
    return {**as_is, "negative_only": refitted}


def _carried_over(study: Study, fit: Fit, plan: Plan, watch: Watch) -> Estimate | None:
    """The H-neurons' own part on relations left out of the fit."""
    train, test = study.train, study.test
    groups = parts_of(np.concatenate([train.relations, test.relations]))
    left_out = groups[: len(train.items)], groups[len(train.items) :]
    return carried_over(train.seen, test.seen, left_out, plan.training, fit.c, watch)


def auroc_within_relations(part: Part, scores: Float[np.ndarray, " item"]) -> Estimate:
    """AUROC over pairs of one relation, with its interval."""
    strata = part.strata

    def measure(labels: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> float:
        return auroc_within_strata(labels, values, strata, weights)

    return estimate(measure, part.seen.labels, scores, part.seen.entities)


def _auroc_over(places: Int[np.ndarray, " some"], part: Part, scores: Float[np.ndarray, " item"]) -> Estimate | None:
    """AUROC over these items alone; None where all of them are of one side."""
    labels = part.seen.labels[places]
    if len(np.unique(labels)) < 2:
        return None
    return estimate(auroc, labels, scores[places], part.seen.entities[places])


def without_known_names(train: Part, test: Part) -> Int[np.ndarray, " some"]:
    """Places of the held-out items that share no name with the training part: neither their subject nor the words of
    their answer are a subject or an answer there. A score cannot separate them by known names."""
    train_names = {*train.words, *train.subjects} - {""}
    return np.array(
        [
            place
            for place, names in enumerate(zip(test.words, test.subjects, strict=True))
            if not train_names & {*names}
        ],
        dtype=np.int64,
    )


def _auroc_left_out(study: Study, fit: Fit, plan: Plan) -> Estimate | None:
    """AUROC of `left_out_logits`; None with a single relation, which leaves nothing to fit on."""
    if len(np.unique(study.train.relations)) < 2:
        return None
    seen = study.test.seen
    return estimate(auroc, seen.labels, left_out_logits(study, fit, plan), seen.entities)


def left_out_logits(study: Study, fit: Fit, plan: Plan, parts: int = 10) -> Float[np.ndarray, " item"]:
    """Log-odds of the held-out items, each by a fit at the same C on items of other relations only."""
    train, test = study.train, study.test
    names = np.unique(train.relations)
    splitter = GroupKFold(min(parts, len(names)))
    log_odds = np.zeros(len(test.items))
    for inside, _ in splitter.split(train.relations, groups=train.relations):
        seen = set(train.relations[inside])
        mine = np.array([relation not in seen for relation in test.relations])
        other = fit_without(train.seen, inside, plan.training, fit.c) if mine.any() else None
        if other is not None:
            log_odds[mine] = other.logits(test.seen.answer[mine])
    return log_odds


def neurons_of_sign(fit: Fit, layout: Layout, sign: int) -> NeuronSet:
    """The neurons whose weight has this sign."""
    return NeuronSet(tuple(layout.neurons(np.flatnonzero(fit.weights * sign > 0))))


def _random_sets(study: Study, fit: Fit, plan: Plan, layout: Layout, watch: Watch) -> tuple[RandomSets, ...]:
    if not plan.checks.random_sets:
        return ()
    between(watch)
    positive, negative = neurons_of_sign(fit, layout, 1), neurons_of_sign(fit, layout, -1)
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


def _counts_by_relation(study: Study) -> dict[str, tuple[int, int]]:
    counts = [Counter(map(str, part.relations)) for part in (study.train, study.test)]
    return {name: (counts[0][name], counts[1][name]) for name in sorted({*counts[0], *counts[1]})}


def _roc(labels: np.ndarray, scores: np.ndarray) -> tuple[tuple[float, float], ...]:
    false, true, _ = roc_curve(labels, scores, drop_intermediate=True)
    step = max(1, len(false) // ROC_POINTS)
    shown = sorted({*range(0, len(false), step), len(false) - 1})
    return tuple((float(false[i]), float(true[i])) for i in shown)


def unbalanced_auroc(funnel: Funnel) -> float:
    """AUROC of a relation's share of wrong answers over all items before balancing: what balancing removes."""
    labels, scores, weights = [], [], []
    for right, wrong, _ in funnel.relations.values():
        for side, count in ((0, right), (1, wrong)):
            if count:
                labels.append(side)
                scores.append(wrong / (right + wrong))
                weights.append(count)
    return auroc(np.array(labels), np.array(scores), np.array(weights, dtype=np.float64)) if labels else 0.5
