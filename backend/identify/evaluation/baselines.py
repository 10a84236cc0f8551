"""Baselines for the probe: simple scores, random neurons, all neurons, and the kind of question alone.

Owns what the probe is compared with on its report card. Each baseline is fitted on the training part and evaluated on
the held-out one, as the probe is. Does not fit the probe.
Source: Gao et al. 2025, Table 1 (random neurons, retrained); the others rule out other explanations of a good score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backend.forward.controls import draw
from backend.identify.fit.choice import Items
from backend.layout import Layout
from backend.neurons import NeuronSet
from backend.statistics.intervals import estimate
from backend.statistics.scores import auroc, auroc_difference, aurocs
from backend.types.estimate import Estimate
from backend.types.identify import Confidence
from backend.types.report import Baseline, RandomSets

SIMPLE = ("answer length", "mean log-probability", "first token's probability", "entropy")
"""Columns of `simple_scores`. The sign of each is chosen on the training part, so that larger means wrong."""
FIRST_PROBABILITY = SIMPLE.index("first token's probability")

WORDS = "the answer's own words"
"""A model that gives the same answer to many questions is wrong with some words more often than with others."""


def simple_scores(confidences: Sequence[Confidence]) -> Float[np.ndarray, "item 4"]:
    """Scores of an answer that need no neuron, in the order of `SIMPLE`."""
    return np.array(
        [
            [float(confidence.tokens), confidence.log_prob, confidence.first_probability, confidence.entropy]
            for confidence in confidences
        ]
    ).reshape(len(confidences), len(SIMPLE))


def refitted_logits(train: Items, test: Items, columns: Int[np.ndarray, " neuron"]) -> Float[np.ndarray, " item"]:
    """Log-odds of the test items by a logistic regression on these neurons alone, standardised, barely penalised."""
    return _logistic_logits(train.answer[:, columns], train.labels, test.answer[:, columns])


def _logistic_logits(features: np.ndarray, labels: np.ndarray, test_features: np.ndarray) -> Float[np.ndarray, " item"]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    model.fit(np.asarray(features, np.float64), labels)
    return np.asarray(model.decision_function(np.asarray(test_features, np.float64)))


def simple_baselines(
    train: Items,
    test: Items,
    simple_train: np.ndarray,
    simple_test: np.ndarray,
    relations: tuple[np.ndarray, np.ndarray],
    words: tuple[np.ndarray, np.ndarray],
) -> tuple[Baseline, ...]:
    """The AUROC of each simple score alone, of all of them together, and of names alone: the relation, and the words of
    the answer. `relations` and `words` are (of the training items, of the test items)."""
    baselines = []
    for place, name in enumerate(SIMPLE):
        sign = 1.0 if auroc(train.labels, simple_train[:, place]) >= 0.5 else -1.0
        baselines.append(Baseline(name=name, auroc=_auroc_on(test, sign * simple_test[:, place])))
    four_together = _logistic_logits(simple_train, train.labels, simple_test)
    baselines.append(Baseline(name="these four together", auroc=_auroc_on(test, four_together)))
    baselines.append(Baseline(name="kind of question", auroc=_auroc_on(test, share_by_name(train.labels, *relations))))
    baselines.append(Baseline(name=WORDS, auroc=_auroc_on(test, share_by_name(train.labels, *words, pull=1.0))))
    return tuple(baselines)


def _auroc_on(test: Items, scores: np.ndarray) -> Estimate:
    return estimate(auroc, test.labels, scores, test.entities)


def share_by_name(
    labels: np.ndarray, names: np.ndarray, names_to_score: np.ndarray, pull: float = 0.0
) -> Float[np.ndarray, " item"]:
    """The share of wrong answers among the training items of the same name; 0.5 for a name that none of them has.

    Args:
        pull: pseudo-items added to each name, half of each side: a single item alone is not certain.
    """
    groups = {name: labels[names == name] for name in np.unique(names)}
    shares = {name: (group.sum() + pull / 2) / (len(group) + pull) for name, group in groups.items()}
    return np.array([shares.get(name, 0.5) for name in names_to_score])


def added_auroc(
    train: Items,
    test: Items,
    simple_train: np.ndarray,
    simple_test: np.ndarray,
    probe_train: np.ndarray,
    probe_test: np.ndarray,
) -> Estimate:
    """What the probe's score adds to the simple ones, in AUROC.

    `probe_train` are cross-validated log-odds: those of a fit on the same items would be too good.
    """
    without = _logistic_logits(simple_train, train.labels, simple_test)
    beside = _logistic_logits(
        np.column_stack([simple_train, probe_train]), train.labels, np.column_stack([simple_test, probe_test])
    )
    return auroc_difference(test.labels, beside, without[:, None], test.entities)


def random_sets(
    train: Items,
    test: Items,
    positive: NeuronSet,
    avoid: NeuronSet,
    places: Int[np.ndarray, " neuron"],
    layout: Layout,
    kind: Literal["free", "layer"],
    count: int,
    seed: int,
) -> RandomSets:
    """As many random neurons as H-neurons, `count` times, each fitted as the H-neurons (`places`) are."""
    columns = [layout.columns(draw(positive, kind, seed + number, layout, avoid)) for number in range(count)]
    scores = np.column_stack([refitted_logits(train, test, columns_of_set) for columns_of_set in columns])

    def mean(labels: np.ndarray, columns_of_scores: np.ndarray, weights: np.ndarray | None) -> float:
        return float(aurocs(labels, columns_of_scores, weights).mean())

    return RandomSets(
        kind=kind,
        auroc=estimate(mean, test.labels, scores, test.entities),
        draws=tuple(map(float, aurocs(test.labels, scores))),
        better=auroc_difference(test.labels, refitted_logits(train, test, places), scores, test.entities),
    )


def all_neurons(train: Items, test: Items) -> Estimate:
    """L2-penalised logistic regression on every neuron, C chosen by cross-validation.

    Fitted on the principal components, of which there are at most as many as items: a rotation does not change an L2
    penalty.
    """
    components = PCA(svd_solver="full").fit(np.asarray(train.answer, np.float32))
    projected = components.transform(train.answer)
    unit = projected.std()
    model = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 13).tolist(), cv=PredefinedSplit(train.folds), scoring="roc_auc", max_iter=2000,
        use_legacy_attributes=False, l1_ratios=(0,),
    )  # fmt: skip
    model.fit(projected / unit, train.labels)
    return _auroc_on(test, model.decision_function(components.transform(test.answer) / unit))
