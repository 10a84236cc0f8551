"""What else moved: a row's CETT minus the baseline's, layer by token, both reading the same text.

Owns the diverging map: blue-neutral-orange, 0 in the middle, equal limits. Says "exactly 0" only where
the result is. Pure: no Streamlit.
"""

from __future__ import annotations

from itertools import groupby
from math import floor, log10
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import chart_text, fitting_labels, token_edges
from app.charts.layer_axis import layer_ticks
from app.style import Palette
from backend.neurons import NeuronSet
from backend.types import Comparison, Row, TokenInfo
from backend.types.numbers import short, signed

HEIGHT = 400
NOTE = 26
"""Pixels that a line of text over the map needs."""
Score = Literal["largest", "sum"]
SCORES: dict[Score, str] = {"largest": "Largest neuron", "sum": "All neurons summed"}
NONE = NeuronSet()
MARGIN = 16.0
"""Pixels left of the columns where layers carry their mark."""
GAP = 14.0
"""Pixels between the question's and the answer's columns."""


def values(row: Row, score: Score) -> np.ndarray:
    """[layer pos] difference of the score, this row minus the baseline."""
    return row.delta_max if score == "largest" else row.delta_sum


def read_tokens(result: Comparison) -> tuple[TokenInfo, ...]:
    """The text that both rows read: the prompt and the baseline's answer."""
    return (*result.prompt_tokens, *result.rows[0].tokens)


def shown_columns(result: Comparison, *, template: bool) -> tuple[int, ...]:
    """Positions that are drawn: all of them, or all but the chat template's."""
    return tuple(i for i, token in enumerate(read_tokens(result)) if template or token.role != "template")


def limit(row: Row, score: Score, positions: tuple[int, ...] | None = None) -> float:
    """The largest absolute difference among `positions`: the scale's end on both sides; 0 if nothing moved."""
    differences = values(row, score)
    differences = differences if positions is None else differences[:, list(positions)]
    return float(np.abs(differences).max()) if differences.size else 0.0


def table(result: Comparison, row: Row, score: Score) -> pd.DataFrame:
    """Every cell as one line: layer, position, token, role, difference."""
    differences = values(row, score)
    tokens = read_tokens(result)
    layers, places = differences.shape
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(layers), places),
            "position": np.tile(np.arange(places), layers),
            "token": [tokens[i].shown for i in range(places)] * layers,
            "role": [tokens[i].role for i in range(places)] * layers,
            "CETT difference": differences.reshape(-1),
        }
    )


def alt(result: Comparison, row: Row, score: Score) -> str:
    """The map in words: where the largest change is, and where there is none."""
    differences = values(row, score)
    if not differences.size or not differences.any():
        return "Nothing changed: every difference is exactly 0."
    layer, place = np.unravel_index(int(np.abs(differences).argmax()), differences.shape)
    extremes = (
        f"Map of {differences.shape[0]} layers by {differences.shape[1]} tokens. The largest change is "
        f"{signed(float(differences[layer, place]), 3)} in layer {layer} at {read_tokens(result)[place].shown}."
    )
    quiet = quiet_below(row)
    return extremes if quiet is None else f"{extremes} Below layer {quiet} every difference is exactly 0."


def figure(
    result: Comparison, row: Row, score: Score, palette: Palette, *, template: bool = False, width: int = 620,
    marked: NeuronSet = NONE,
) -> go.Figure:  # fmt: skip
    """The map, lowest layer at the bottom; question left, the baseline's answer right.

    Args:
        result: the comparison; its baseline's answer is what both rows read.
        row: the row whose differences are drawn.
        score: largest neuron or sum over neurons.
        palette: the theme's colours.
        template: whether the chat template's tokens are drawn too.
        width: pixels that the columns share.
        marked: neurons whose layers carry a triangle at the left edge.
    """
    places = shown_columns(result, template=template)
    tokens = [read_tokens(result)[i] for i in places]
    differences = values(row, score)[:, list(places)]
    first_answer = next((i for i, token in enumerate(tokens) if token.role == "answer"), len(tokens))
    edges, holes = token_edges([token.shown for token in tokens], width, first_answer, GAP)
    grid = np.insert(differences.astype(float), holes, np.nan, axis=1)
    end = limit(row, score, places) or 1.0
    ticks = _ends(end)
    chart = go.Figure(
        go.Heatmap(
            z=grid, x=edges, y=list(range(differences.shape[0])), zmin=-end, zmax=end, zmid=0, xgap=1, ygap=1,
            colorscale=palette.diverging, hoverongaps=False, customdata=_hover(tokens, holes, differences.shape[0]),
            text=[[_told(value) for value in row] for row in grid],
            hovertemplate="layer %{y}, %{customdata}<br>%{text}<extra></extra>",
            colorbar={
                "thickness": 10, "outlinewidth": 0, "len": 1.0, "ticks": "", "xpad": 6, "tickvals": ticks,
                "ticktext": [signed(tick, 2) for tick in ticks],
                "tickfont": {"color": palette.muted, "size": 12},
            },
        )
    )  # fmt: skip
    palette.style(chart, height=HEIGHT)
    chart.update_layout(margin={"l": 44, "r": 8, "t": 26, "b": 28})
    _labels(chart, tokens, _spans(edges, holes), first_answer, row, palette)
    _triangles(chart, marked, differences.shape[0], edges[-1], palette)
    layers = differences.shape[0]
    chart.update_yaxes(title={"text": "layer", "standoff": 4}, range=[-0.5, layers - 0.5], tickvals=layer_ticks(layers))
    return chart


def _triangles(chart: go.Figure, marked: NeuronSet, layers: int, width: float, palette: Palette) -> None:
    """A triangle beside each layer that has marked neurons; which ones, under the pointer."""
    inside = [neuron for neuron in marked if neuron.layer < layers]
    by_layer = {layer: ", ".join(map(str, here)) for layer, here in groupby(inside, lambda neuron: neuron.layer)}
    if not by_layer:
        return
    chart.add_scatter(
        x=[-MARGIN / 2] * len(by_layer), y=list(by_layer), mode="markers",
        text=list(by_layer.values()),
        hovertemplate="%{text}<extra></extra>", marker={"symbol": "triangle-up", "size": 8, "color": palette.mark},
    )  # fmt: skip
    chart.update_xaxes(range=[-MARGIN, width])


def _ends(end: float) -> list[float]:
    """Five ticks on the scale, 0 in the middle, the outer ones a round number within the limit."""
    power = 10.0 ** floor(log10(end))
    step = max(step for step in (1.0, 2.0, 4.0, 8.0) if step * power <= end * (1 + 1e-9)) * power
    return [-step, -step / 2, 0.0, step / 2, step]


def _spans(edges: list[float], holes: list[int]) -> list[tuple[float, float]]:
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    return [span for place, span in enumerate(spans) if place not in holes]


def _hover(tokens: list[TokenInfo], holes: list[int], layers: int) -> list[list[str]]:
    names = [chart_text(token.shown) for token in tokens]
    for hole in holes:
        names.insert(hole, "")
    return [names] * layers


def _told(value: float) -> str:
    """A change with its sign; '' in the gap."""
    return "" if np.isnan(value) else f"{'+' if value > 0 else ''}{short(float(value))}"


def _labels(
    chart: go.Figure, tokens: list[TokenInfo], spans: list[tuple[float, float]], first_answer: int, row: Row,
    palette: Palette,
) -> None:  # fmt: skip
    """Token labels that fit, the names of the two halves, and what is exactly 0."""
    centres = [(left + right) / 2 for left, right in spans]
    shown = [chart_text(token.shown) for token in tokens]
    kept = fitting_labels([token.shown for token in tokens], centres)
    chart.update_xaxes(
        tickvals=[centres[i] for i in kept], ticktext=[shown[i] for i in kept], tickangle=0,
        tickfont={"size": 12, "color": palette.text}, range=[0, spans[-1][1] if spans else 1],
    )  # fmt: skip
    halves = {"question": centres[:first_answer], "baseline's answer, read by both": centres[first_answer:]}
    for name, part in halves.items():
        if part:
            chart.add_annotation(
                x=(part[0] + part[-1]) / 2, y=1, yref="paper", yanchor="bottom", yshift=4, text=name, showarrow=False,
                font={"color": palette.muted, "size": 13},
            )  # fmt: skip
    quiet = quiet_below(row)
    if quiet is not None and centres:
        _quiet(chart, quiet, row.delta_max.shape[0], palette)


def _quiet(chart: go.Figure, quiet: int, layers: int, palette: Palette) -> None:
    """What is exactly 0, over the layers that are: under the map where they are too few for a line of text."""
    inside = quiet * (HEIGHT - 54) >= NOTE * layers
    place = {"y": (quiet - 1) / 2} if inside else {"y": 0, "yref": "paper", "yanchor": "top", "yshift": -22}
    chart.add_annotation(
        x=0.5, xref="paper", text=f"exactly 0 below layer {quiet}: no neuron was switched there",
        showarrow=False, bgcolor=palette.page, borderpad=4, font={"color": palette.muted, "size": 12}, **place,
    )  # fmt: skip
    if not inside:
        chart.update_layout(margin={"l": 44, "r": 8, "t": 26, "b": 52})


def quiet_below(row: Row) -> int | None:
    """The first touched layer, if all CETT differences below it are exactly 0 in this result; else None."""
    layers = [neuron.layer for neuron in row.plan.neurons]
    if not layers or min(layers) == 0:
        return None
    first = min(layers)
    still = not row.delta_max[:first].any() and not row.delta_sum[:first].any()
    return first if still else None
