"""A probe from features alone: right and wrong items whose CETT was computed elsewhere, as the authors publish them.

Owns the way from features to such a probe. Does not compute CETT (`backend.identify.features.exact` does, over the
tokens of their answers). What depends on questions (relations, lengths, switched answers) is not known here, so the
probe has no report card, only the held-out scores. Source of the layout: thunlp/H-Neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from sklearn.model_selection import StratifiedKFold

from backend.errors import BadInput
from backend.identify.fit import describe
from backend.identify.fit.choice import Items, train_probe
from backend.identify.fit.solver import h_neurons
from backend.identify.formats import thunlp, thunlp_features
from backend.layout import Layout
from backend.statistics.scores import scores_of
from backend.types.identify import Scores
from backend.types.plan import Training
from backend.types.probe import Probe
from backend.types.report import PathPoint
from backend.types.results import ModelInfo
from backend.watch import SILENT, Watch


@dataclass(frozen=True)
class Fitted:
    """The probe, the cross-validation of each C, and its scores on the held-out items: None where none was held out."""

    probe: Probe
    path: tuple[PathPoint, ...]
    scores: Scores | None


@dataclass(frozen=True)
class Given:
    """Features from elsewhere, labels (1 is wrong), and their source. `other` is None where it was not read."""

    answer: Float[np.ndarray, "item neuron"]
    other: Float[np.ndarray, "item neuron"] | None
    labels: Int[np.ndarray, " item"]
    layout: Layout
    source: str

    def take(self, places: Int[np.ndarray, " place"], folds: Int[np.ndarray, " place"]) -> Items:
        """The items at these places, each an entity of its own."""
        other_rows = None if self.other is None else self.other[places]
        return Items(self.answer[places], other_rows, self.labels[places], places, folds)


def fit(
    folder: Path,
    ids: Path,
    training: Training,
    name: str,
    info: ModelInfo | None = None,
    seed: int = 0,
    watch: Watch = SILENT,
    all_items: bool = False,
) -> Fitted:
    """Fit a probe on `act_ID.npy` of `folder` for the ids of a qids.json; one part of `held_out` is held out.

    Args:
        all_items: fit on every item, as the authors' code does, and hold none out.
        info: the model that the features are of, where it is loaded; without it the probe belongs to no model.
    Raises BadInput for files that do not fit together or too few items, Stopped between folds.
    """
    sides = thunlp.read_ids(ids)
    other = None
    if training.labels == "3-vs-1":
        answer, other, labels, (layers, width) = thunlp_features.read_both(sides, folder)
    else:
        answer, labels, _, (layers, width) = thunlp_features.read_features(sides, thunlp_features.answers_in(folder))
    layout = Layout.dense((width,) * layers)
    if info is not None and info.layout != layout:
        raise BadInput(
            f"{folder.name} holds features of another model",
            f"they have {layers} layers of {width:,} neurons, {info.name} has {info.n_layers} of {info.widths[0]:,}"
            + ("" if info.layout.is_dense else ", in experts"),
            "name the model that they were read on",
        )
    given = Given(answer, other, labels, layout, folder.name or str(folder))
    return fit_given(given, training, name, info, seed, watch, all_items)


def fit_given(
    given: Given,
    training: Training,
    name: str,
    info: ModelInfo | None,
    seed: int = 0,
    watch: Watch = SILENT,
    all_items: bool = False,
) -> Fitted:
    """Fit a probe on features; one part of `held_out` is held out, and scored over the answers alone. With `all_items`
    none is: then the probe's scores on other items are not known.

    Raises BadInput for too few items or features that are not finite, Stopped between folds.
    """
    labels = given.labels
    if not all(np.isfinite(part).all() for part in (given.answer, given.other) if part is not None):
        raise BadInput("Some features are no numbers", "a region without a token has no CETT", "leave such items out")
    rarer = int(min(labels.sum(), len(labels) - labels.sum()))
    if rarer < 2 * max(training.folds, 0 if all_items else training.held_out):
        parts = "they make" if all_items else f"one of {training.held_out} parts is held out, and the others make"
        raise BadInput(
            f"{rarer} items of the rarer side are too few",
            f"{parts} {training.folds} folds",
            "give more items" if all_items else "give more items, or fit on all of them",
        )
    inside, outside = (np.arange(len(labels)), np.arange(0)) if all_items else _split(labels, training.held_out, seed)
    folds = np.zeros(len(inside), dtype=np.int64)
    for number, (_, test) in enumerate(_splitter(training.folds, seed).split(inside, labels[inside])):
        folds[test] = number
    seen, unseen = given.take(inside, folds), given.take(outside, folds[:0])
    trained = train_probe(seen, training, watch=watch)
    if not len(h_neurons(trained.fit)):
        raise BadInput("The probe has no H-neuron", "no weight is positive", "allow a larger C")
    unknown = np.full((2, given.answer.shape[1]), np.nan)
    rows = describe.neuron_table(seen, trained.fit, unknown, given.layout)
    probe = Probe(
        name=name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=info,
        c=trained.fit.c,
        intercept=trained.fit.intercept,
        neurons=tuple(
            card
            for card, _ in describe.neuron_figures(seen, None if all_items else unseen, trained.fit, rows, given.layout)
        ),
        imported=given.source,
    )
    if all_items:
        return Fitted(probe, trained.points, None)
    held_out = scores_of(unseen.labels, trained.fit.logits(unseen.answer), unseen.entities)
    return Fitted(probe, trained.points, held_out)


def _splitter(parts: int, seed: int) -> StratifiedKFold:
    return StratifiedKFold(parts, shuffle=True, random_state=seed)


def _split(labels: np.ndarray, parts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the items to fit on, and of one part of `parts` that is held out."""
    inside, outside = next(iter(_splitter(parts, seed).split(labels, labels)))
    return np.asarray(inside), np.asarray(outside)
