"""What is known of each neuron: the table of all neurons, and the cards of those with a weight.

Owns the figures of each neuron, all from the training part except `leave_out`, which is of the held-out one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from backend.identify.answers.responses import asked_with_suffix
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
    """Layer, expert (where the model has experts) and number of each neuron, in the order of the features."""
    sites, index = layout.places_of(np.arange(layout.size))
    expert = {} if layout.is_dense else {"expert": layout.experts[sites].astype(np.int32)}
    return {"layer": layout.layers[sites].astype(np.int16), **expert, "neuron": index.astype(np.int32)}


def neuron_table(train: Items, fit: Fit, frequency: Float[np.ndarray, "sign neuron"], layout: Layout) -> pd.DataFrame:
    """One row for each neuron: its place, its weight, and how well it alone separates the items. `expert` is -1 for
    neurons outside the experts."""
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


def neuron_cards(
    train: Items,
    test: Items,
    fit: Fit,
    rows: pd.DataFrame,
    layout: Layout,
    items: Sequence[Item],
    questions: Mapping[str, Question],
    sampling: Sampling,
) -> tuple[ProbeNeuron, ...]:
    """The card of each neuron that has a weight; `items` are those of the training part."""
    return tuple(
        card.model_copy(
            update={"top": tuple(_top_item(items[best], questions, sampling, value) for best, value in strongest)}
        )
        for card, strongest in neuron_figures(train, test, fit, rows, layout)
    )


def neuron_figures(
    train: Items, test: Items | None, fit: Fit, rows: pd.DataFrame, layout: Layout
) -> list[tuple[ProbeNeuron, list[tuple[int, float]]]]:
    """The figures of each neuron that has a weight, with (place, CETT) of the training items where it is strongest.

    Without held-out items (`test` is None) `held_out` and `leave_out` are None.
    """
    chosen = np.flatnonzero(fit.weights)

    def named(place: int) -> NeuronId:
        return layout.neurons([place])[0]

    result = []
    for place, near in zip(map(int, chosen), partners(train.answer, chosen), strict=True):
        values = train.answer[:, place].astype(np.float64)
        row = rows.iloc[place]
        frequency = float(row[f"frequency_{'positive' if fit.weights[place] > 0 else 'negative'}"])
        card = ProbeNeuron(
            neuron=named(place),
            weight=float(fit.weights[place]),
            mean=float(values.mean()),
            **{name: float(row[name]) for name in ("sd", "effect", "auroc", "q", "d")},
            held_out=None if test is None else auroc(test.labels, test.answer[:, place]),
            leave_out=None if test is None else _auroc_lost(test, fit, place),
            frequency=frequency if np.isfinite(frequency) else None,
            partners=tuple((named(partner), correlation) for partner, correlation in near),
            histogram=histogram(values, train.labels),
        )
        result.append((card, [(int(best), float(values[best])) for best in np.argsort(-values)[:TOP]]))
    return result


def _auroc_lost(test: Items, fit: Fit, place: int) -> float:
    """How much the held-out AUROC falls without the neuron at `place`."""
    with_all = fit.logits(test.answer)
    without = with_all - fit.weights[place] * test.answer[:, place].astype(np.float64)
    return auroc(test.labels, with_all) - auroc(test.labels, without)


def histogram(values: Float[np.ndarray, " item"], labels: Int[np.ndarray, " item"]) -> Histogram:
    """Counts of right and wrong items by CETT, in bins of equal width."""
    edges = np.histogram_bin_edges(values, BINS)
    right, wrong = (np.histogram(values[labels == side], edges)[0] for side in (0, 1))
    return Histogram(edges=tuple(map(float, edges)), right=tuple(map(int, right)), wrong=tuple(map(int, wrong)))


def _top_item(item: Item, questions: Mapping[str, Question], sampling: Sampling, value: float) -> TopItem:
    question = questions[item.question]
    return TopItem(
        question=question.text,
        prompt=asked_with_suffix(question, sampling).prompt,
        response=item.response,
        side=item.side,
        cett=value,
    )
