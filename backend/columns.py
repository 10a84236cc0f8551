"""Neurons as columns of an array in which the layers lie one behind another.

Owns the way from a column to its neuron and back. Layers may differ in width; experts have no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

from backend.neurons import NeuronId


def starts(widths: Sequence[int]) -> Int[np.ndarray, " layer"]:
    """The first column of each layer, and behind them the number of all columns."""
    return np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])


def named(columns: Int[np.ndarray, " neuron"], widths: Sequence[int]) -> list[NeuronId]:
    """The neuron of each column."""
    first = starts(widths)
    layers = np.searchsorted(first, columns, side="right") - 1
    return [NeuronId(int(layer), int(column - first[layer])) for layer, column in zip(layers, columns, strict=True)]


def of(neurons: Iterable[NeuronId], widths: Sequence[int]) -> Int[np.ndarray, " neuron"]:
    """The column of each neuron."""
    first = starts(widths)
    return np.array([int(first[one.layer]) + one.index for one in neurons], dtype=np.int64)
