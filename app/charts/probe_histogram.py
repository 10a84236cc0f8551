"""One neuron's CETT on right and on wrong answers, mirrored. Pure: no Streamlit."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.style import Palette
from backend.types.numbers import short, signed
from backend.types.probe import Histogram, ProbeNeuron

HEIGHT = 230


def figure(histogram: Histogram, palette: Palette) -> go.Figure:
    """Wrong answers up, right ones down, as shares of each."""
    centres = [(a + b) / 2 for a, b in zip(histogram.edges, histogram.edges[1:], strict=False)]
    width = histogram.edges[1] - histogram.edges[0]
    chart = go.Figure()
    for counts, sign, tint, words in (
        (histogram.wrong, 1, palette.chosen, "wrong answers"),
        (histogram.right, -1, palette.baseline, "right answers"),
    ):
        total = max(sum(counts), 1)
        chart.add_bar(
            x=centres, y=[sign * 100 * n / total for n in counts], width=0.92 * width, marker_color=tint,
            customdata=[f"{n:,} of {total:,}<br>CETT about {short(x)}" for n, x in zip(counts, centres, strict=True)],
            hovertemplate=f"{words}: %{{customdata}}<extra></extra>",
        )  # fmt: skip
        chart.add_annotation(
            x=1, xref="paper", y=1 if sign > 0 else 0, yref="paper", xanchor="right", showarrow=False,
            yanchor="top" if sign > 0 else "bottom", text=f"{words}, n = {total}", font={"color": tint},
            bgcolor=palette.page,
        )  # fmt: skip
    palette.style(chart, HEIGHT)
    chart.update_xaxes(title={"text": "its CETT over the answer’s words"}, nticks=6)
    chart.update_yaxes(
        zeroline=True, zerolinecolor=palette.border, showticklabels=False, title={"text": "share of answers"}
    )
    chart.update_layout(margin={"l": 28, "r": 8, "t": 8, "b": 48}, barmode="relative", bargap=0.05)
    return chart


def table(histogram: Histogram) -> pd.DataFrame:
    """The bins."""
    return pd.DataFrame(
        {
            "CETT from": histogram.edges[:-1],
            "to": histogram.edges[1:],
            "right": histogram.right,
            "wrong": histogram.wrong,
        }
    )


def alt(weighted: ProbeNeuron) -> str:
    """The histogram in words."""
    d = "" if weighted.d is None else f", Cohen's d {signed(weighted.d)}"
    return f"CETT of {weighted.neuron} on right and on wrong answers{d}."
