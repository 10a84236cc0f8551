"""How far one gets without the probe: simple scores, random neurons, all neurons, and the kind of question alone.

Owns what stands beside the probe on its report card. Each is fitted on the training part and judged on the held-out
one, as the probe is. Refuses the probe's own fit.
Source: Gao et al. 2025, Table 1 (random neurons, retrained); the others answer science's objections to it.
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
"""Columns of `simple`. Each is turned so that larger speaks for wrong, as the training part has it."""

WORDS = "the answer's own words"
"""A model that says the same thing to many questions is wrong with some words more often than with others."""


def simple(confidences: Sequence[Confidence]) -> Float[np.ndarray, "item 4"]:
    """What is known of an answer without looking at a neuron, by the names of `SIMPLE`."""
    return np.array(
        [[float(one.tokens), one.log_prob, one.first_probability, one.entropy] for one in confidences]
    ).reshape(len(confidences), len(SIMPLE))


def refitted(train: Items, test: Items, columns: Int[np.ndarray, " neuron"]) -> Float[np.ndarray, " item"]:
    """Log-odds of the test items by a logistic regression on these neurons alone, standardised, barely penalised."""
    return _logits(train.answer[:, columns], train.labels, test.answer[:, columns])


def _logits(features: np.ndarray, labels: np.ndarray, others: np.ndarray) -> Float[np.ndarray, " item"]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    model.fit(np.asarray(features, np.float64), labels)
    return np.asarray(model.decision_function(np.asarray(others, np.float64)))


def simple_baselines(
    train: Items,
    test: Items,
    simple_train: np.ndarray,
    simple_test: np.ndarray,
    relations: tuple[np.ndarray, np.ndarray],
    words: tuple[np.ndarray, np.ndarray],
) -> tuple[Baseline, ...]:
    """Each simple score alone, all of them together, and what is known by name alone: the relation, and the words of
    the answer (names of train and test items)."""
    told = []
    for place, name in enumerate(SIMPLE):
        turned = 1.0 if auroc(train.labels, simple_train[:, place]) >= 0.5 else -1.0
        told.append(Baseline(name=name, auroc=_judged(test, turned * simple_test[:, place])))
    together = _logits(simple_train, train.labels, simple_test)
    told.append(Baseline(name="these four together", auroc=_judged(test, together)))
    told.append(Baseline(name="kind of question", auroc=_judged(test, prior(train.labels, *relations))))
    told.append(Baseline(name=WORDS, auroc=_judged(test, prior(train.labels, *words, pull=1.0))))
    return tuple(told)


def _judged(test: Items, scores: np.ndarray) -> Estimate:
    return estimate(auroc, test.labels, scores, test.entities)


def prior(labels: np.ndarray, names: np.ndarray, others: np.ndarray, pull: float = 0.0) -> Float[np.ndarray, " item"]:
    """The share of wrong answers among the training items of the same name; 0.5 for a name not seen.

    Args:
        pull: items of either side, together, that are added to each name: one item alone is no certainty.
    """
    groups = {name: labels[names == name] for name in np.unique(names)}
    shares = {name: (group.sum() + pull / 2) / (len(group) + pull) for name, group in groups.items()}
    return np.array([shares.get(name, 0.5) for name in others])


def adds(
    train: Items,
    test: Items,
    simple_train: np.ndarray,
    simple_test: np.ndarray,
    probe_train: np.ndarray,
    probe_test: np.ndarray,
) -> Estimate:
    """What the probe's score adds to the simple ones, in AUROC.

    `probe_train` are cross-validated log-odds: those of the probe's own training items would flatter it.
    """
    without = _logits(simple_train, train.labels, simple_test)
    beside = _logits(
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
    scores = np.column_stack([refitted(train, test, drawn) for drawn in columns])

    def mean(labels: np.ndarray, held: np.ndarray, weights: np.ndarray | None) -> float:
        return float(aurocs(labels, held, weights).mean())

    return RandomSets(
        kind=kind,
        auroc=estimate(mean, test.labels, scores, test.entities),
        draws=tuple(map(float, aurocs(test.labels, scores))),
        better=auroc_difference(test.labels, refitted(train, test, places), scores, test.entities),
    )


def all_neurons(train: Items, test: Items) -> Estimate:
    """L2-penalised logistic regression on every neuron, C chosen by cross-validation.

    Fitted on the principal components, of which there are no more than items: an L2 penalty does not see the turn.
    """
    turned = PCA(svd_solver="full").fit(np.asarray(train.answer, np.float32))
    inner = turned.transform(train.answer)
    unit = inner.std()
    model = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 13).tolist(), cv=PredefinedSplit(train.folds), scoring="roc_auc", max_iter=2000,
        use_legacy_attributes=False, l1_ratios=(0,),
    )  # fmt: skip
    model.fit(inner / unit, train.labels)
    return _judged(test, model.decision_function(turned.transform(test.answer) / unit))
