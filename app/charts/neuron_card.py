"""One neuron's figures: output tokens it pushes, its usual CETT, its CETT along the text.

Owns bars and histogram. "Here" is the value of the cell the person looks at, never a verdict.
Pure: no Streamlit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import chart_text, fitting_labels
from app.style import TOKEN, Palette
from backend.types import NeuronCard
from backend.types.numbers import counted, short, signed

PUSHES = "When it fires, it pushes the next token **towards** these (bars to the right) or **away from** them (left):"
"""Stands above the bars of what it pushes, as Markdown."""
TOKENS = 5
"""Output tokens drawn each way; the table has all."""
BARS_HEIGHT, USUAL_HEIGHT, ALONG_HEIGHT = 250, 118, 150
ALONG_WIDTH = 320.0
"""Pixels that its bars share on a screen 1280 wide."""
FLOOR = 1e-4
"""Left end of the CETT axis, on which all smaller values stand together."""


def pushes(card: NeuronCard, palette: Palette) -> go.Figure:
    """Bars: tokens whose logit the neuron's output direction raises, then those it lowers."""
    up, down = card.promotes[:TOKENS], card.suppresses[:TOKENS]
    both = (*up, *reversed(down))
    places = list(range(len(both)))
    reach = max((abs(pushed.logit) for pushed in both), default=1.0) or 1.0
    chart = go.Figure(
        go.Bar(
            y=places, x=[pushed.logit for pushed in both], orientation="h", cliponaxis=False, textangle=0,
            marker_color=[palette.chosen] * len(up) + [palette.baseline] * len(down), textposition="outside",
            text=[signed(pushed.logit) for pushed in both],
            textfont={"size": TOKEN, "color": palette.muted},
            customdata=[chart_text(pushed.shown, 40) for pushed in both],
            hovertext=[signed(pushed.logit, 3) for pushed in both],
            hovertemplate="%{customdata}<br>%{hovertext}<extra></extra>",
        )
    )  # fmt: skip
    palette.style(chart, BARS_HEIGHT)
    chart.update_yaxes(
        autorange="reversed", tickvals=places, ticktext=[chart_text(pushed.shown) for pushed in both],
        tickfont={"color": palette.text}, automargin=True,
    )  # fmt: skip
    chart.update_xaxes(
        range=[-1.3 * reach, 1.3 * reach], showticklabels=False, zeroline=True, zerolinecolor=palette.border
    )
    chart.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, bargap=0.35)
    return chart


def pushes_table(card: NeuronCard) -> pd.DataFrame:
    """Output tokens and how far a unit of the direction moves their logit, raised first."""
    both = (*card.promotes, *card.suppresses)
    return pd.DataFrame(
        {
            "token": [pushed.shown for pushed in both],
            "token id": [pushed.id for pushed in both],
            "logit": [pushed.logit for pushed in both],
            "way": ["raises"] * len(card.promotes) + ["lowers"] * len(card.suppresses),
        }
    )


def pushes_alt(card: NeuronCard) -> str:
    """The bars in words."""
    up = ", ".join(pushed.shown for pushed in card.promotes[:TOKENS])
    down = ", ".join(pushed.shown for pushed in card.suppresses[:TOKENS])
    return f"Bars of output tokens. Neuron {card.neuron} raises {up}; it lowers {down}."


def usual(card: NeuronCard, here: float | None, palette: Palette) -> go.Figure:
    """Histogram of the neuron's CETT on ordinary text, log axis, with a line where it is here."""
    left = np.maximum(card.usual_edges[: len(card.usual_counts)], FLOOR / 1.4)
    right = np.append(left[1:], left[-1] * 1.44)
    chart = go.Figure(
        go.Bar(
            x=np.sqrt(left * right), width=(right - left) * 0.92, y=card.usual_counts, marker_color=palette.baseline,
            customdata=[
                f"{_bin(a, b)}<br>{counted(int(n), 'token')}"
                for a, b, n in zip(left, right, card.usual_counts, strict=False)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )  # fmt: skip
    palette.style(chart, USUAL_HEIGHT)
    filled = np.flatnonzero(card.usual_counts)
    largest = max(float(right[filled[-1]]) if len(filled) else FLOOR, here or 0.0, 10 * FLOOR)
    ticks = [t for t in (1e-4, 1e-3, 1e-2, 0.1, 1.0) if t <= largest * 1.3]
    chart.update_xaxes(
        type="log", range=[np.log10(FLOOR / 2.5), np.log10(largest * 1.5)], tickvals=ticks,
        ticktext=["≤ 0.0001" if t == FLOOR else short(t) for t in ticks],
        title={"text": f"CETT on {counted(card.usual_tokens, 'token')} of ordinary text (log scale)"},
    )  # fmt: skip
    chart.update_yaxes(showticklabels=False, rangemode="tozero")
    if here is not None:
        # Near the right end the words stand to the left of the line, or the chart's edge would cut them.
        _here(chart, max(here, FLOOR), here, palette, is_last=max(here, FLOOR) > largest / 10)
    chart.update_layout(margin={"l": 4, "r": 4, "t": 24, "b": 40}, bargap=0.05)
    return chart


def _bin(left: float, right: float) -> str:
    return f"CETT {short(left, 2)} to {short(right, 2)}" if left >= FLOOR else f"CETT below {short(FLOOR)}"


def _here(chart: go.Figure, place: float, value: float, palette: Palette, *, is_last: bool) -> None:
    chart.add_shape(
        type="line", x0=place, x1=place, y0=0, y1=1, yref="paper", line={"color": palette.chosen, "width": 2}
    )
    chart.add_annotation(
        x=float(np.log10(place)), y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"here {short(value, 2)}",
        xanchor="right" if is_last else "left", font={"color": palette.chosen},
    )  # fmt: skip


def usual_table(card: NeuronCard) -> pd.DataFrame:
    """The histogram's bins: from, and how many tokens of the reference text."""
    edges = card.usual_edges[: len(card.usual_counts)]
    return pd.DataFrame({"CETT from": edges, "tokens": card.usual_counts})


def usual_alt(card: NeuronCard, here: float | None) -> str:
    """The histogram in words."""
    sentence = (
        f"Histogram of neuron {card.neuron}'s CETT on {card.usual_tokens:,} tokens of ordinary text: mean "
        f"{short(card.usual_mean, 2)}, largest {short(card.usual_max, 2)}."
    )
    return sentence if here is None else f"{sentence} Here it is {short(here, 2)}."


def along(card: NeuronCard, palette: Palette, pos: int | None = None) -> go.Figure | None:
    """Bars of the neuron's CETT at each token after the first turn of the template; None without a text."""
    rows = along_table(card)
    if rows.empty:
        return None
    places = list(range(len(rows)))
    tint = [palette.chosen if p == pos else palette.baseline for p in rows["position"]]
    chart = go.Figure(
        go.Bar(
            x=places, y=rows["CETT"], marker_color=tint,
            customdata=[chart_text(token, 40) for token in rows["token"]],
            hovertext=[short(value) for value in rows["CETT"]],
            hovertemplate="%{customdata}<br>CETT %{hovertext}<extra></extra>",
        )
    )  # fmt: skip
    palette.style(chart, ALONG_HEIGHT)
    names = list(rows["token"])
    kept = fitting_labels(names, [(place + 0.5) * ALONG_WIDTH / len(names) for place in places])
    chart.update_xaxes(
        tickvals=kept, ticktext=[chart_text(names[place]) for place in kept], range=[-0.5, len(names) - 0.5],
        tickangle=0, tickfont={"size": TOKEN}, title={"text": "tokens of question and answer"},
    )  # fmt: skip
    chart.update_yaxes(nticks=3, showgrid=True, gridcolor=palette.border, rangemode="tozero", title={"text": "CETT"})
    chart.update_layout(margin={"l": 52, "r": 4, "t": 8, "b": 44}, bargap=0.15)
    return chart


def along_table(card: NeuronCard) -> pd.DataFrame:
    """Token, position, CETT and signed activation along the text, the template's tokens left out."""
    if card.cett is None or card.act is None:
        return pd.DataFrame({"position": [], "token": [], "CETT": [], "activation": []})
    kept = [i for i, token in enumerate(card.tokens) if token.role != "template"]
    return pd.DataFrame(
        {
            "position": kept,
            "token": [card.tokens[i].shown for i in kept],
            "CETT": card.cett[kept],
            "activation": card.act[kept],
        }
    )


def along_alt(card: NeuronCard) -> str:
    """The bars in words."""
    rows = along_table(card)
    if rows.empty:
        return "The neuron was not followed along a text."
    top = rows.loc[rows["CETT"].idxmax()]
    sentence = f"Neuron {card.neuron}'s CETT at {counted(len(rows), 'token')}"
    return f"{sentence}; largest {short(top['CETT'], 2)} at {top['token']}."
