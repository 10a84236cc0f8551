"""How far each row's next-token distribution moved from the baseline's: dots with their intervals.

Owns the log axis and what cannot stand on it: a divergence of exactly 0 is told in words. Pure: no Streamlit.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import plain
from app.roles import colour, kind, labels, marks
from app.style import Palette
from backend.types import Comparison, Row
from backend.types.numbers import counted, short

ROW_HEIGHT = 42
LINE, MOST_LABELS = 18, 4
"""Characters of a row's name in a line; numbers along the axis."""


def moved(result: Comparison) -> tuple[tuple[str, Row], ...]:
    """Every row but the baseline with its name, in the order of the batch."""
    named = zip(labels([row.plan for row in result.rows]), result.rows, strict=True)
    return tuple((label, row) for label, row in named if kind(row.plan) != "baseline")


def table(result: Comparison) -> pd.DataFrame:
    """The picture's figures: mean, interval, number of positions and seed of each row."""
    rows = moved(result)
    return pd.DataFrame(
        {
            "row": [label for label, _ in rows],
            "KL mean (nats)": [row.kl_mean for _, row in rows],
            "95 % from": [estimate.low if (estimate := row.kl_estimate) else None for _, row in rows],
            "95 % to": [estimate.high if (estimate := row.kl_estimate) else None for _, row in rows],
            "positions": [int(row.kl.size) for _, row in rows],
            "seed of the draw": [row.plan.seed for _, row in rows],
        }
    )


def alt(result: Comparison) -> str:
    """The picture in words, one clause a row."""
    costs = "; ".join(f"{label}: {figure_text(row)}" for label, row in moved(result))
    return f"Divergence from the baseline in nats per token. {costs}." if costs else "No row but the baseline."


def figure_text(row: Row) -> str:
    """'0.014 (0.01 to 0.02)', 'exactly 0', or the mean with the reason why it has no interval."""
    if row.kl_mean == 0:
        return "exactly 0"
    mean = short(row.kl_mean, 2)
    estimate = row.kl_estimate
    if estimate is None:
        return f"{mean}, no interval: {counted(int(row.kl.size), 'position')}"
    return f"{mean} ({short(estimate.low, 2)} to {short(estimate.high, 2)})"


def limits(rows: Sequence[Row]) -> tuple[float, float] | None:
    """The log axis in nats, in whole decades around every mean and interval; None where all are 0."""
    above = [row.kl_mean for row in rows if row.kl_mean > 0]
    if not above:
        return None
    ends = [end for row in rows if (estimate := row.kl_estimate) for end in (estimate.low, estimate.high) if end > 0]
    low, high = min([*above, *ends]), max([*above, *ends])
    # An interval that reaches down to 0 would stretch the axis for ever: three decades below a mean are enough.
    low = max(low, min(above) / 1000)
    return 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high) + 1e-9)


def figure(result: Comparison, palette: Palette) -> go.Figure:
    """Dot and 95 % interval for every row, on one log axis; a row of exactly 0 is written as such."""
    rows = moved(result)
    axis = limits([row for _, row in rows])
    shapes = dict(zip(labels([row.plan for row in result.rows]), marks([row.plan for row in result.rows]), strict=True))
    chart = go.Figure()
    for place, (label, row) in enumerate(rows):
        tint = colour(kind(row.plan), palette)
        if axis is None or row.kl_mean == 0:
            _words(chart, place, "exactly 0: same as the baseline", tint)
            continue
        _dot(chart, place, label, row, axis, tint, shapes[label])
    palette.style(chart, height=max(120, ROW_HEIGHT * len(rows) + 56))
    chart.update_layout(margin={"l": 8, "r": 16, "t": 8, "b": 44})
    chart.update_yaxes(
        range=[len(rows) - 0.5, -0.5], tickvals=list(range(len(rows))), ticktext=[_wrapped(label) for label, _ in rows],
        automargin="left", tickfont={"color": palette.text},
    )  # fmt: skip
    if axis is None:
        chart.update_xaxes(visible=False, range=[0, 1])
        return chart
    chart.update_xaxes(
        type="log", range=[math.log10(axis[0]), math.log10(axis[1])], tickvals=_ticks(axis), showgrid=True,
        ticktext=_tick_labels(_ticks(axis)), tickangle=0, gridcolor=palette.border,
        title={"text": "KL, nats per token (log scale)"},
    )  # fmt: skip
    return chart


def _ticks(axis: tuple[float, float]) -> list[float]:
    """Powers of ten, and their threes where there is room for them."""
    first, last = round(math.log10(axis[0])), round(math.log10(axis[1]))
    tens = [10.0**power for power in range(first, last + 1)]
    if last - first > 3:
        return tens[:: max(1, (last - first) // 4)]
    return sorted([*tens, *(3 * ten for ten in tens[:-1])])


def _tick_labels(ticks: Sequence[float]) -> list[str]:
    """What stands at each tick: on a phone, beside long names, there is room for `MOST_LABELS`."""
    every = -(-len(ticks) // MOST_LABELS)
    return ["" if place % every else short(value) for place, value in enumerate(ticks)]


def _wrapped(label: str) -> str:
    """A row's name in lines of `LINE` characters, so that on a phone there is room beside it."""
    return "<br>".join(plain(line) for line in textwrap.wrap(label, LINE))


def _dot(chart: go.Figure, place: int, label: str, row: Row, axis: tuple[float, float], tint: str, mark: str) -> None:
    estimate = row.kl_estimate
    if estimate is not None:
        ends = [max(end, axis[0]) for end in (estimate.low, estimate.high)]
        chart.add_scatter(x=ends, y=[place, place], mode="lines", line={"color": tint, "width": 3}, hoverinfo="skip")
    chart.add_scatter(
        x=[row.kl_mean], y=[place], mode="markers", hoverinfo="text",
        marker={"symbol": mark, "size": 12, "color": tint}, hovertext=f"{plain(label)}: {figure_text(row)}",
    )  # fmt: skip
    chart.add_annotation(
        x=math.log10(row.kl_mean), y=place, text=short(row.kl_mean, 2), showarrow=False, yshift=14,
        font={"color": tint, "size": 12},
    )  # fmt: skip


def _words(chart: go.Figure, place: int, text: str, tint: str) -> None:
    chart.add_annotation(
        x=0, xref="paper", y=place, text=text, showarrow=False, xanchor="left", font={"color": tint, "size": 13}
    )
