"""Columns that are worked on together. Which neuron a column is, `backend.layout` tells."""

from __future__ import annotations

BLOCK = 1_024
"""Columns that are worked on together: bounds memory, not the result."""


def blocks(columns: int) -> list[slice]:
    """All columns, `BLOCK` at a time: what is worked out in float64 or in ranks has no room for a large model's."""
    return [slice(start, min(start + BLOCK, columns)) for start in range(0, columns, BLOCK)]
