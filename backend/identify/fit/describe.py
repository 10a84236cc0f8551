"""What is known of each neuron: the table of all of them, and the cards of those with a weight.

Owns the per-neuron figures, all from the training part but `leave_out`, which is of the held-out one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from backend.identify.answers.responses import asked
from backend.identify.fit.choice import Items
from backend.identify.fit.solver import Fit
from backend.layout import Layout
from backend.neurons import NeuronId
from backend.statistics.neurons import cohens_d, measure_by_blocks, partners
from backend.statistics.scores import auroc
from backend.types.identify import Item, Question, Sampling
from backend.types.probe import Histogram, ProbeNeuron, TopItem

BINS = 24
TOP = 8


def places(layout: Layout) -> dict[str, Int[np.ndarray, " neuron"]]:
    """Where each neuron is, in the order of the features: layer, expert where the model has some, and its number."""
    sites, index = layout.places_of(np.arange(layout.size))
    expert = {} if layout.is_dense else {"expert": layout.experts[sites].astype(np.int32)}
    return {"layer": layout.layers[sites].astype(np.int16), **expert, "neuron": index.astype(np.int32)}


def table(train: Items, fit: Fit, frequency: Float[np.ndarray, "sign neuron"], layout: Layout) -> pd.DataFrame:
    """A row a neuron: where it is, its weight, and what it tells alone. `expert` is -1 beside the experts."""
    areas, q = train.alone
    wrong = train.labels == 1

    def moments(block: np.ndarray) -> np.ndarray:
        means = (block[side].mean(0, dtype=np.float64) for side in (~wrong, wrong))
        return np.stack([block.std(0, dtype=np.float64), *means])

    spread, mean_right, mean_wrong = measure_by_blocks(moments, train.answer)
    return pd.DataFrame(
        {
            **places(layout),
            "weight": fit.weights,
            "mean_right": mean_right.astype(np.float32),
            "mean_wrong": mean_wrong.astype(np.float32),
            "sd": spread.astype(np.float32),
            "effect": fit.weights * spread,
            "auroc": areas.astype(np.float32),
            "q": q.astype(np.float32),
            "d": cohens_d(train.answer, train.labels).astype(np.float32),
            "frequency_positive": frequency[0].astype(np.float32),
            "frequency_negative": frequency[1].astype(np.float32),
        }
    )


def cards(
    train: Items,
    test: Items,
    fit: Fit,
    rows: pd.DataFrame,
    layout: Layout,
    items: Sequence[Item],
    questions: Mapping[str, Question],
    sampling: Sampling,
) -> tuple[ProbeNeuron, ...]:
    """Everything about each neuron that has a weight; `items` are those of the training part."""
    return tuple(
        one.model_copy(
            update={"top": tuple(_top(items[best], questions, sampling, value) for best, value in strongest)}
        )
        for one, strongest in figures(train, test, fit, rows, layout)
    )


def figures(
    train: Items, test: Items | None, fit: Fit, rows: pd.DataFrame, layout: Layout
) -> list[tuple[ProbeNeuron, list[tuple[int, float]]]]:
    """Each neuron that has a weight with its figures, and the places of the training items where it is strongest.

    Without held-out items it is not known what the probe is without a neuron.
    """
    chosen = np.flatnonzero(fit.weights)

    def named(place: int) -> NeuronId:
        return layout.neurons([place])[0]

    told = []
    for place, near in zip(map(int, chosen), partners(train.answer, chosen), strict=True):
        values = train.answer[:, place].astype(np.float64)
        row = rows.iloc[place]
        frequency = float(row[f"frequency_{'positive' if fit.weights[place] > 0 else 'negative'}"])
        one = ProbeNeuron(
            neuron=named(place),
            weight=float(fit.weights[place]),
            mean=float(values.mean()),
            **{name: float(row[name]) for name in ("sd", "effect", "auroc", "q", "d")},
            leave_out=None if test is None else _left_out(test, fit, place),
            frequency=frequency if np.isfinite(frequency) else None,
            partners=tuple((named(other), correlation) for other, correlation in near),
            histogram=histogram(values, train.labels),
        )
        told.append((one, [(int(best), float(values[best])) for best in np.argsort(-values)[:TOP]]))
    return told


def _left_out(test: Items, fit: Fit, place: int) -> float:
    """How much the held-out AUROC falls without a neuron."""
    whole = fit.logits(test.answer)
    without = whole - fit.weights[place] * test.answer[:, place].astype(np.float64)
    return auroc(test.labels, whole) - auroc(test.labels, without)


def histogram(values: Float[np.ndarray, " item"], labels: Int[np.ndarray, " item"]) -> Histogram:
    """Right and wrong items by CETT, in bins of one width."""
    edges = np.histogram_bin_edges(values, BINS)
    right, wrong = (np.histogram(values[labels == side], edges)[0] for side in (0, 1))
    return Histogram(edges=tuple(map(float, edges)), right=tuple(map(int, right)), wrong=tuple(map(int, wrong)))


def _top(item: Item, questions: Mapping[str, Question], sampling: Sampling, value: float) -> TopItem:
    question = questions[item.question]
    return TopItem(
        question=question.text,
        prompt=asked(question, sampling).prompt,
        response=item.response,
        side=item.side,
        cett=value,
    )
