"""Columns and neurons are two names of the same thing, in layers of any width."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backend.forward.columns import named, of, starts
from backend.neurons import NeuronId


@given(widths=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_column_is_one_neuron_and_back(widths: list[int]) -> None:
    every = [NeuronId(layer, index) for layer, width in enumerate(widths) for index in range(width)]
    assert starts(widths)[-1] == len(every)
    assert named(np.arange(len(every)), widths) == every
    assert of(every, widths).tolist() == list(range(len(every)))
