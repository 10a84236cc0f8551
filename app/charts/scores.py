"""The scores a layer x token map can show: name, axis title, the array, what it means.

Owns the choice and the wording. Refuses to compute a score: each is an array of the exploration, at
most divided by its layer's largest value for the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.cell import Score
from backend.types import Exploration
from backend.types.numbers import fixed


@dataclass(frozen=True)
class ScoreKind:
    """A score's words: switch label, axis title, unit in a sentence, explanation, decimals."""

    label: str
    axis: str
    phrase: str
    help: str
    places: int
    array: Callable[[Exploration], np.ndarray]

    def told(self, value: float) -> str:
        """A value as it is read."""
        return fixed(float(value), self.places)


SCORES: dict[Score, ScoreKind] = {
    "largest": ScoreKind(
        "Largest neuron", "CETT of the largest neuron", "one neuron",
        "CETT of the one neuron that writes most at this layer and token: the length of what it adds, divided by "
        "the length of what its whole layer adds.",
        2, lambda e: e.cett_max,
    ),
    "usual": ScoreKind(
        "× reference mean", "CETT ÷ reference mean", "times reference mean",
        "The largest ratio of a neuron's CETT here to its reference mean, which is its mean CETT on ordinary text. "
        "It shows what is special about this token rather than what is always large.",
        0, lambda e: e.usual_max,
    ),
    "top10": ScoreKind(
        "Top 10", "CETT of the ten largest, summed", "ten largest",
        "CETT of the ten largest neurons, added up. It can pass 1, since what neurons add can cancel.",
        2, lambda e: e.top10,
    ),
    "sum": ScoreKind(
        "Sum", "CETT of all neurons, summed", "all neurons",
        "CETT of all neurons of the layer, added up. It is never below 1: the more they cancel, the larger it is.",
        1, lambda e: e.cett_sum,
    ),
    "concentration": ScoreKind(
        "Concentration", "CETT of ten largest ÷ of all", "concentration",
        "CETT of the ten largest neurons, divided by that of all. Near 1: a few neurons write most; near 0: many do.",
        2, lambda e: e.concentration,
    ),
    "strong": ScoreKind(
        "Strong neurons", "number of strong neurons", "strong neurons",
        "How many neurons have a CETT above the mean + k standard deviations. They occur on true answers too.",
        0, lambda e: e.over,
    ),
}  # fmt: skip


def values(result: Exploration, score: Score) -> np.ndarray:
    """The score [layer pos] as float32, NaN where it is undefined."""
    return np.asarray(SCORES[score].array(result), dtype=np.float32)


def per_layer(array: np.ndarray) -> np.ndarray:
    """Each layer [layer pos] over its own largest value, 0..1; a layer of zeros stays 0."""
    top = np.nanmax(np.where(np.isfinite(array), array, -np.inf), axis=1, keepdims=True, initial=0.0)
    return np.divide(array, top, out=np.zeros_like(array), where=top > 0)


def per_token(array: np.ndarray) -> np.ndarray:
    """The largest value of any layer at each token [pos], 0 where none is defined."""
    return np.nanmax(np.where(np.isfinite(array), array, 0.0), axis=0, initial=0.0)


@dataclass(frozen=True)
class Tints:
    """How deep each token's tint is, 0..1 from the smallest to the largest value among them."""

    shares: dict[int, float]
    low: float
    high: float


def tints(result: Exploration, score: Score, places: Sequence[int]) -> Tints:
    """Tints of the tokens at `places`: any layer's largest value there, spread over the whole range of depth."""
    figures = per_token(values(result, score))
    by_place = {pos: float(figures[pos]) for pos in places}
    low, high = min(by_place.values(), default=0.0), max(by_place.values(), default=0.0)
    reach = (high - low) or 1.0
    return Tints({pos: (value - low) / reach for pos, value in by_place.items()}, low, high)
