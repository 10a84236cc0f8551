"""The figures of a scoring: AUROC of the probe, of each sign's part, and of everything that they are held against.

Nothing is fitted to these answers but `together`, which is the strong opponent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backend.identify.answers.items import entity_numbers, labels
from backend.identify.elsewhere.readings import Readings
from backend.identify.evaluation.baselines import SIMPLE
from backend.probes.scoring import Scorer
from backend.statistics.intervals import estimate
from backend.statistics.scores import auroc, auroc_difference, aurocs, calibration
from backend.types.estimate import Estimate
from backend.types.identify import Item, Question
from backend.types.scoring import NeuronElsewhere, ScoredAurocs, Scoring

SIGNS: Mapping[str, float] = dict(zip(SIMPLE, (1.0, -1.0, -1.0, 1.0), strict=True))
"""Which sign of each simple score means wrong: longer, less probable, a less probable first token, more entropy."""
PARTS = 5
"""Parts of the cross-validation of the simple scores together."""

Labels = Int[np.ndarray, " item"]
Values = Float[np.ndarray, " item"]


def measure(
    scoring: Scoring, scorer: Scorer, items: Sequence[Item], questions: Mapping[str, Question], readings: Readings
) -> Scoring:
    """`scoring` with its figures; as it is where right or wrong answers are missing."""
    wrong = labels(items)
    if len(np.unique(wrong)) < 2:
        return scoring
    entities = entity_numbers(items, questions)
    weight_of = {one.neuron: one.weight for one in scorer.probe.neurons}
    trained = {one.neuron: one.auroc for one in scorer.probe.neurons}
    weights = np.array([weight_of[neuron] for neuron in scorer.neurons])
    log_odds = readings.cett @ weights + scorer.probe.intercept
    return scoring.model_copy(
        update={
            "auroc": _aurocs(wrong, entities, readings, weights),
            "accuracy": estimate(_balanced_accuracy, wrong, log_odds, entities),
            "calibration": calibration(wrong, log_odds),
            "random_sets": readings.random.shape[1],
            "why_no_sets": readings.why_no_sets,
            "neurons": tuple(
                NeuronElsewhere(neuron=neuron, weight=weight_of[neuron], trained=trained[neuron], here=float(here))
                for neuron, here in zip(scorer.neurons, aurocs(wrong, readings.cett), strict=True)
            ),
        }
    )


def _aurocs(
    wrong: Labels,
    entities: Int[np.ndarray, " item"],
    readings: Readings,
    weights: Float[np.ndarray, " neuron"],
) -> ScoredAurocs:
    def of(scores: Values) -> Estimate:
        return estimate(auroc, wrong, scores, entities)

    def of_sign(sign: int) -> Estimate | None:
        part = weights * sign > 0
        return of(readings.cett[:, part] @ weights[part]) if part.any() else None

    length, log_probability, first_token, entropy = (
        of(sign * column) for sign, column in zip(SIGNS.values(), readings.simple.T, strict=True)
    )
    random = better = None
    if readings.random.shape[1]:
        positive = weights > 0
        random = estimate(_mean_auroc, wrong, readings.random, entities)
        better = auroc_difference(wrong, readings.cett[:, positive] @ weights[positive], readings.random, entities)
    return ScoredAurocs(
        probe=of(readings.cett @ weights),
        positive=of_sign(1),
        negative=of_sign(-1),
        length=length,
        log_probability=log_probability,
        first_token=first_token,
        entropy=entropy,
        together=_together(wrong, entities, readings.simple),
        random=random,
        better=better,
    )


def _mean_auroc(wrong: Labels, scores: Float[np.ndarray, "item set"], weights: Values | None) -> float:
    return float(aurocs(wrong, scores, weights).mean())


def _together(
    wrong: Labels, entities: Int[np.ndarray, " item"], simple: Float[np.ndarray, "item 4"]
) -> Estimate | None:
    """The four simple scores together, each answer scored by a fit on answers of other entities; None for too few."""
    if min(len(np.unique(entities[wrong == side])) for side in (0, 1)) < 2 * PARTS:
        return None
    splits = list(GroupKFold(PARTS, shuffle=True, random_state=0).split(simple, wrong, entities))
    if any(len(np.unique(wrong[inside])) < 2 for inside, _ in splits):
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_predict(model, simple, wrong, cv=splits, method="decision_function")
    return estimate(auroc, wrong, scores, entities)


def _balanced_accuracy(wrong: Labels, log_odds: Values, weights: Values | None) -> float:
    """Mean of the shares of right and of wrong answers that lie on their side of log-odds 0; a half where a resample
    has answers of one side alone, as `auroc` has it."""
    drawn = np.ones(len(wrong)) if weights is None else weights
    if len(np.unique(wrong[drawn > 0])) < 2:
        return 0.5
    return float(balanced_accuracy_score(wrong, log_odds > 0, sample_weight=drawn))
