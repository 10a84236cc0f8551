"""What luck finds, and how firmly each neuron is chosen: the probe made anew many times over.

Owns fits on shuffled labels and on resampled items. Each fit is kept when done, so that a run goes on where it was.
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


class Luck(Frozen):
    """What a probe of shuffled labels reached on the held-out items, and how many H-neurons it has."""

    auroc: float
    neurons: int


class Signs(Frozen):
    """The neurons that a fit on resampled items gave a positive, and a negative, weight."""

    positive: Places = ()
    negative: Places = ()


def null(
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
    """`count` probes of shuffled training labels, C chosen anew in each, judged on the real held-out labels.

    Args:
        strata: each training item's relation. value: the real probe's AUROC.
    """
    if not count:
        return None

    def one(number: int) -> Luck:
        labels = shuffle_within_strata(train.labels, strata, np.random.default_rng((seed, number)))
        fit = trained_fit(train.relabelled(labels), training, watch)
        return Luck(auroc=auroc(test.labels, fit.logits(test.answer)), neurons=len(h_neurons(fit)))

    found = _repeated(one, count, journal, Luck, watch, "fitting shuffled labels")
    aurocs = np.array([luck.auroc for luck in found])
    return Null(
        aurocs=tuple(map(float, aurocs)),
        neurons=tuple(luck.neurons for luck in found),
        mean=float(aurocs.mean()),
        high=float(np.quantile(aurocs, 0.95)),
        p=p_value(aurocs, value),
    )


def frequencies(
    train: Items, training: Training, c: float, count: int, seed: int, journal: Journal, watch: Watch = SILENT
) -> Float[np.ndarray, "sign neuron"]:
    """How often each neuron gets a positive, and a negative, weight in fits at `c` on resampled entities; NaN where
    none are asked for."""
    if not count:
        return np.full((2, train.answer.shape[1]), np.nan)
    names, member = np.unique(train.entities, return_inverse=True)
    places = [np.flatnonzero(member == name) for name in range(len(names))]

    def one(number: int) -> Signs:
        random = np.random.default_rng((seed, number))
        drawn = np.concatenate([places[name] for name in random.integers(0, len(names), len(names))])
        if len(np.unique(train.labels[drawn])) < 2:
            return Signs()
        weights = fits(train.take(drawn), training, (c,))[0].weights
        return Signs(
            positive=tuple(np.flatnonzero(weights > 0).tolist()), negative=tuple(np.flatnonzero(weights < 0).tolist())
        )

    counts = np.zeros((2, train.answer.shape[1]))
    for number, signs in enumerate(_repeated(one, count, journal, Signs, watch, "fitting resampled items"), 1):
        if max((*signs.positive, *signs.negative), default=0) >= counts.shape[1]:
            raise damaged_record(journal, number, "a neuron is named that the model does not have", ONWARDS)
        counts[0, list(signs.positive)] += 1
        counts[1, list(signs.negative)] += 1
    return counts / count


def _repeated(
    one: Callable[[int], R], count: int, journal: Journal, kind: type[R], watch: Watch, doing: str
) -> list[R]:
    """`one` for each number below `count`; those that the journal has are not done again."""
    with journal.writing():
        done = read_records(journal, kind, ONWARDS)[:count]
        pace = Pace(count, len(done))
        for number in range(len(done), count):
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            found = one(number)
            journal.append([found.model_dump(mode="json")])
            done.append(found)
            pace.add(1)
    return done
