"""Which layers an axis names, one rule for every chart.

Owns the places of the ticks. Left to itself, plotly names half layers where there are few. Pure: no Streamlit.
"""

from __future__ import annotations


def layer_ticks(layers: int) -> list[int]:
    """The first layer and the last, and between them each of a few, every fifth, or every tenth or more of many; none
    so near the last that the two would touch."""
    step = 1 if layers <= 12 else 5 if layers <= 50 else 10 * -(-layers // 120)
    return [*range(0, layers - (step + 1) // 2, step), layers - 1]
