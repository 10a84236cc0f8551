"""The probe's score along an answer: how it stands after each token.

Owns the line and its table. The score is the engine's (`backend.types.score`). Pure: no Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import chart_text, fitting_labels
from app.style import TOKEN, Palette
from backend.types import Exploration
from backend.types.numbers import counted, fixed

HEIGHT = 116
WIDTH = 620.0
"""Pixels that the answer's tokens share on a screen 1280 wide."""


def shown(result: Exploration) -> list[str]:
    """The answer's tokens."""
    return [token.shown for token in result.tokens[result.answer_start :]]


def figure(result: Exploration, chances: Sequence[float], palette: Palette) -> go.Figure:
    """The score after each token of the answer, `chances` [answer pos], and a line at one half.

    The axis has words and no figures: a score over all words is no chance.
    """
    tokens, places = shown(result), list(range(len(chances)))
    chart = go.Figure()
    chart.add_hline(y=0.5, line={"color": palette.border, "width": 1, "dash": "dash"})
    chart.add_scatter(
        x=places, y=list(chances), mode="lines+markers", line={"color": palette.chosen, "width": 2},
        marker={"symbol": "triangle-up", "size": 8, "color": palette.chosen},
        text=[f"after {chart_text(token)}: {fixed(chance)}" for token, chance in zip(tokens, chances, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    palette.style(chart, HEIGHT)
    step = WIDTH / max(len(tokens), 1)
    kept = fitting_labels(tokens, [step * (place + 0.5) for place in places])
    chart.update_xaxes(
        tickvals=kept, ticktext=[chart_text(tokens[place]) for place in kept], tickangle=0,
        range=[-0.5, len(tokens) - 0.5], tickfont={"size": TOKEN, "color": palette.text},
    )  # fmt: skip
    chart.update_yaxes(range=[-0.04, 1.04], tickvals=[0, 0.5, 1], ticktext=["like right", "", "like wrong"])
    chart.update_layout(margin={"l": 72, "r": 8, "t": 6, "b": 26})
    return chart


def table(result: Exploration, chances: Sequence[float]) -> pd.DataFrame:
    """A row a token."""
    return pd.DataFrame({"token": shown(result), "score so far (0 like right, 1 like wrong)": chances})


def alt(result: Exploration, chances: Sequence[float]) -> str:
    """The line in words."""
    return (
        f"Score of the probe after each of the answer's {counted(len(chances), 'token')}, from 0 (like the right "
        f"answers that it was trained on) to 1 (like the wrong ones). It begins at {fixed(chances[0])} and ends at "
        f"{fixed(chances[-1])}."
    )
