"""Neurons as columns of an array in which the layers lie one behind another.

Owns the way from a column to its neuron and back. Layers may differ in width; experts have no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

from backend.neurons import NeuronId

BLOCK = 1_024
"""Columns that are worked on together: bounds memory, not the result."""


def blocks(columns: int) -> list[slice]:
    """All columns, `BLOCK` at a time: what is worked out in float64 or in ranks has no room for a large model's."""
    return [slice(start, min(start + BLOCK, columns)) for start in range(0, columns, BLOCK)]


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
