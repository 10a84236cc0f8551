"""The probe's score along an answer: how it stands after each token.

Owns the line and its table. The score is the engine's (`Probe.along`). Pure: no Streamlit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import chart_text, fitting_labels
from app.style import TOKEN, Palette
from backend.types import Exploration

HEIGHT = 116
WIDTH = 620.0
"""Pixels that the answer's tokens share on a screen 1280 wide."""


def shown(result: Exploration) -> list[str]:
    """The answer's tokens."""
    return [token.shown for token in result.tokens[result.answer_start :]]


def figure(result: Exploration, chances: np.ndarray, palette: Palette) -> go.Figure:
    """The score after each token of the answer, 0 to 1, `chances` [answer pos]; a line at one half."""
    tokens, places = shown(result), list(range(len(chances)))
    chart = go.Figure()
    chart.add_hline(y=0.5, line={"color": palette.border, "width": 1, "dash": "dash"})
    chart.add_scatter(
        x=places, y=chances.tolist(), mode="lines+markers", line={"color": palette.chosen, "width": 2},
        marker={"symbol": "triangle-up", "size": 8, "color": palette.chosen},
        text=[f"after {chart_text(token)}: {chance:.2f}" for token, chance in zip(tokens, chances, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    palette.style(chart, HEIGHT)
    step = WIDTH / max(len(tokens), 1)
    kept = fitting_labels(tokens, [step * (place + 0.5) for place in places])
    chart.update_xaxes(
        tickvals=kept, ticktext=[chart_text(tokens[place]) for place in kept], tickangle=0,
        range=[-0.5, len(tokens) - 0.5], tickfont={"size": TOKEN, "color": palette.text},
    )  # fmt: skip
    chart.update_yaxes(range=[-0.04, 1.04], tickvals=[0, 0.5, 1], ticktext=["0 right", "0.5", "1 wrong"])
    chart.update_layout(margin={"l": 58, "r": 8, "t": 6, "b": 26})
    return chart


def table(result: Exploration, chances: np.ndarray) -> pd.DataFrame:
    """A row a token."""
    return pd.DataFrame({"token": shown(result), "score so far": chances})


def alt(result: Exploration, chances: np.ndarray) -> str:
    """The line in words."""
    return (
        f"Score of the probe after each of the answer's {len(chances)} tokens, from 0 like right answers to 1 like "
        f"wrong ones. It begins at {chances[0]:.2f} and ends at {chances[-1]:.2f}."
    )
