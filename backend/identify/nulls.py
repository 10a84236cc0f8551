"""What luck finds, and how firmly each neuron is chosen: the probe made anew many times over.

Owns fits on shuffled labels and on resampled items. Each fit is kept when done, so that a run goes on where it was.
Source: Ojala & Garriga 2010 (permutation within groups); Meinshausen & Buhlmann 2010 (selection frequency).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend.identify.pace import Pace
from backend.identify.probe import h_neurons
from backend.identify.statistics import auroc, p_value
from backend.identify.training import Items, fits, trained_fit
from backend.types import StageEvent
from backend.types.plan import Training
from backend.types.probe import Null
from backend.watch import SILENT, Watch, between
from cache.journal import Journal


def shuffled(
    labels: Int[np.ndarray, " item"], strata: Int[np.ndarray, " item"], random: np.random.Generator
) -> Int[np.ndarray, " item"]:
    """The labels, each exchanged with another of its stratum."""
    found = labels.copy()
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        found[places] = labels[random.permutation(places)]
    return found


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

    def one(number: int) -> dict[str, Any]:
        labels = shuffled(train.labels, strata, np.random.default_rng((seed, number)))
        fit = trained_fit(train.relabelled(labels), training, watch)
        return {"auroc": auroc(test.labels, fit.logits(test.answer)), "neurons": len(h_neurons(fit))}

    found = _repeated(one, count, journal, watch, "fitting shuffled labels")
    aurocs = np.array([record["auroc"] for record in found])
    return Null(
        aurocs=tuple(map(float, aurocs)),
        neurons=tuple(record["neurons"] for record in found),
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

    def one(number: int) -> dict[str, Any]:
        random = np.random.default_rng((seed, number))
        drawn = np.concatenate([places[name] for name in random.integers(0, len(names), len(names))])
        if len(np.unique(train.labels[drawn])) < 2:
            return {"positive": [], "negative": []}
        weights = fits(train.take(drawn), training, (c,))[0].weights
        return {
            "positive": np.flatnonzero(weights > 0).tolist(),
            "negative": np.flatnonzero(weights < 0).tolist(),
        }

    counts = np.zeros((2, train.answer.shape[1]))
    for record in _repeated(one, count, journal, watch, "fitting resampled items"):
        counts[0, record["positive"]] += 1
        counts[1, record["negative"]] += 1
    return counts / count


def _repeated(
    one: Callable[[int], dict[str, Any]], count: int, journal: Journal, watch: Watch, doing: str
) -> list[dict[str, Any]]:
    """`one` for each number below `count`; those that the journal has are not done again."""
    with journal.writing():
        done = journal.read()[:count]
        pace = Pace(count - len(done))
        for number in range(len(done), count):
            between(watch)
            watch.emit(StageEvent(stage=pace.told(doing), fraction=pace.fraction))
            record = one(number)
            journal.append([record])
            done.append(record)
            pace.add(1)
    return done
