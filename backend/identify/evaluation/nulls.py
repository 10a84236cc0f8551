"""What chance alone finds, and how reliably each neuron is chosen: the probe fitted again many times.

Owns fits on shuffled labels and on resampled items. Each fit is kept when it is done, so that a run can be resumed.
Source: Ojala & Garriga 2010 (permutation within groups); Meinshausen & Buhlmann 2010 (selection frequency).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from backend.identify.fit.choice import Items, fits, trained_fit
from backend.identify.fit.solver import h_neurons
from backend.runs.pace import Pace
from backend.runs.records import ONWARDS, R, damaged_record, read_records
from backend.statistics.permutation import p_value, shuffle_within_strata
from backend.statistics.scores import auroc
from backend.types import Frozen, StageEvent
from backend.types.plan import Training
from backend.types.report import Null
from backend.watch import SILENT, Watch, between
from cache.journal import Journal

Places = tuple[Annotated[int, Field(ge=0)], ...]
"""Columns of neurons."""


class NullFit(Frozen):
    """The AUROC of a probe of shuffled labels on the held-out items, and the number of its H-neurons."""

    auroc: float
    neurons: int


class ChosenNeurons(Frozen):
    """The neurons with a positive, and with a negative, weight in a fit on resampled items."""

    positive: Places = ()
    negative: Places = ()


def null_distribution(
    train: Items,
    test: Items,
    strata: Int[np.ndarray, " item"],
    training: Training,
    value: float,
    count: int,
    seed: int,
    journal: Journal,
    watch: Watch = SILENT,
) -> Null | None:
    """`count` probes of shuffled training labels, C chosen for each, evaluated on the real held-out labels.

    Args:
        strata: each training item's relation. value: the real probe's AUROC.
    """
    if not count:
        return None

    def fit_shuffled(number: int) -> NullFit:
        labels = shuffle_within_strata(train.labels, strata, np.random.default_rng((seed, number)))
        fit = trained_fit(train.relabelled(labels), training, watch)
        return NullFit(auroc=auroc(test.labels, fit.logits(test.answer)), neurons=len(h_neurons(fit)))

    fits_on_shuffled = _repeat_fits(fit_shuffled, count, journal, NullFit, watch, "fitting shuffled labels")
    aurocs = np.array([null_fit.auroc for null_fit in fits_on_shuffled])
    return Null(
        aurocs=tuple(map(float, aurocs)),
        neurons=tuple(null_fit.neurons for null_fit in fits_on_shuffled),
        mean=float(aurocs.mean()),
        high=float(np.quantile(aurocs, 0.95)),
        p=p_value(aurocs, value),
    )


def selection_frequencies(
    train: Items, training: Training, c: float, count: int, seed: int, journal: Journal, watch: Watch = SILENT
) -> Float[np.ndarray, "sign neuron"]:
    """Share of fits at `c` on resampled entities in which each neuron has a positive, and a negative, weight; NaN where
    `count` is 0."""
    if not count:
        return np.full((2, train.answer.shape[1]), np.nan)
    names, member = np.unique(train.entities, return_inverse=True)
    places = [np.flatnonzero(member == name) for name in range(len(names))]

    def fit_resampled(number: int) -> ChosenNeurons:
        random = np.random.default_rng((seed, number))
        drawn_items = np.concatenate([places[name] for name in random.integers(0, len(names), len(names))])
        if len(np.unique(train.labels[drawn_items])) < 2:
            return ChosenNeurons()
        weights = fits(train.take(drawn_items), training, (c,))[0].weights
        return ChosenNeurons(
            positive=tuple(np.flatnonzero(weights > 0).tolist()), negative=tuple(np.flatnonzero(weights < 0).tolist())
        )

    counts = np.zeros((2, train.answer.shape[1]))
    for number, chosen in enumerate(
        _repeat_fits(fit_resampled, count, journal, ChosenNeurons, watch, "fitting resampled items"), 1
    ):
        if max((*chosen.positive, *chosen.negative), default=0) >= counts.shape[1]:
            raise damaged_record(journal, number, "a neuron is named that the model does not have", ONWARDS)
        counts[0, list(chosen.positive)] += 1
        counts[1, list(chosen.negative)] += 1
    return counts / count


def _repeat_fits(
    make_fit: Callable[[int], R], count: int, journal: Journal, kind: type[R], watch: Watch, doing: str
) -> list[R]:
    """`make_fit` of each number below `count`; fits that the journal has are not made again."""
    with journal.writing():
        done = read_records(journal, kind, ONWARDS)[:count]
        pace = Pace(count, len(done))
        for number in range(len(done), count):
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            record = make_fit(number)
            journal.append([record.model_dump(mode="json")])
            done.append(record)
            pace.add(1)
    return done
