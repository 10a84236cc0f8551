"""The map of an answer: a score at every layer and token, with squares to click.

Owns the heatmap and the invisible squares over it, which carry each cell's address: browsers report a
click on a mark, not on a heatmap's cell. Scale 0 to the largest value drawn. Pure: no Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import plotly.graph_objects as go

from app.cell import Cell, Score
from app.charts import cells
from app.charts.compare_marks import chart_text, fitting_labels, token_edges
from app.charts.layer_axis import layer_ticks
from app.charts.scores import SCORES, per_layer, values
from app.style import SIZES, TOKEN, Palette
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration, Role
from backend.types.numbers import percent

HEIGHT, TALL = 320, 440
"""Pixels: a map of 32 layers stands whole above the fold of a projector (1280 x 720); more layers get more room."""
LAYERS = 32
WIDTH = 560.0
"""Pixels that the columns share on a screen 1280 wide."""
GAP = 12.0
SQUARE = 9.0
"""Pixels between the squares inside a wide cell, so that the nearest square is always in the cell clicked."""
REACH = 12.0
"""The same where all cells are equal: a browser finds a mark within 20 pixels, on a screen three times as wide too."""
NONE = NeuronSet()
Held = Mapping[Cell, tuple[NeuronId, ...]]
"""Cells that have a marked neuron among their largest, and which."""
GROUPS: dict[Role, str] = {"template": "template", "prompt": "your question", "answer": "the model's answer"}


@dataclass(frozen=True)
class Columns:
    """The drawn positions with the span of each along the axis, in pixels at 1280."""

    places: tuple[int, ...]
    spans: tuple[tuple[float, float], ...]
    edges: tuple[float, ...]
    holes: tuple[int, ...]

    def centre(self, column: int) -> float:
        left, right = self.spans[column]
        return (left + right) / 2


def columns(result: Exploration, places: tuple[int, ...]) -> Columns:
    """Columns as wide as their token's text where there is room, else equal; a gap before the answer."""
    shown = [result.tokens[i].shown for i in places]
    parting = next((n for n, i in enumerate(places) if result.tokens[i].role == "answer"), len(places))
    edges, holes = token_edges(shown, WIDTH, parting, GAP)
    spans = [span for n, span in enumerate(zip(edges[:-1], edges[1:], strict=True)) if n not in holes]
    return Columns(places, tuple(spans), tuple(edges), tuple(holes))


def scaled(result: Exploration, score: Score, by_layer: bool) -> np.ndarray:
    """What is drawn [layer pos]: the score, or with `by_layer` its share of the layer's largest value."""
    figures = values(result, score)
    return per_layer(figures) if by_layer else figures


def axis_title(score: Score, by_layer: bool) -> str:
    """What the colour bar says."""
    return f"{SCORES[score].axis}{', over its layer’s largest' if by_layer else ''}"


def alt(result: Exploration, score: Score, places: tuple[int, ...]) -> str:
    """The map in words."""
    figures = values(result, score)[:, list(places)]
    layer, column = np.unravel_index(int(np.where(np.isfinite(figures), figures, -1).argmax()), figures.shape)
    kind = SCORES[score]
    return (
        f"Map of {figures.shape[0]} layers by {figures.shape[1]} tokens, coloured by {kind.axis}. The largest is "
        f"{kind.told(figures[layer, column])} in layer {layer} at {result.tokens[places[column]].shown}. "
        "The table under the map has every value."
    )


def figure(
    result: Exploration, score: Score, palette: Palette, *,
    places: tuple[int, ...], cell: Cell | None = None, by_layer: bool = False, marked: NeuronSet = NONE,
) -> go.Figure:  # fmt: skip
    """The map, lowest layer at the bottom.

    Args:
        result: what is drawn.
        score: which of its scores.
        palette: the theme's colours.
        places: positions drawn, in order.
        cell: the marked cell.
        by_layer: whether each layer is drawn over its own largest value.
        marked: neurons whose cells carry a triangle: those that have one among their largest.
    """
    laid = columns(result, places)
    figures = scaled(result, score, by_layer)[:, list(places)]
    top = float(np.nanmax(np.where(np.isfinite(figures), figures, 0.0), initial=0.0)) or 1.0
    chart = go.Figure()
    chart.add_trace(_heatmap(figures, laid, top, score, by_layer, palette))
    marked_cells = cells.holding(result, marked, places)
    chart.add_trace(_squares(result, laid, figures, score, by_layer, marked_cells))
    _triangles(chart, laid, marked_cells, palette)
    palette.style(chart, HEIGHT if figures.shape[0] <= LAYERS else TALL)
    _axes(chart, result, laid, figures.shape[0], palette)
    if cell is not None and cell.pos in places:
        _mark(chart, result, laid, cell, score, palette)
    return chart


def _heatmap(
    figures: np.ndarray, laid: Columns, top: float, score: Score, by_layer: bool, palette: Palette
) -> go.Heatmap:
    gap = 1 if len(laid.places) <= 60 else 0
    return go.Heatmap(
        z=np.insert(figures, list(laid.holes), np.nan, axis=1), x=list(laid.edges), y=list(range(figures.shape[0])),
        zmin=0, zmax=top, colorscale=SIZES, xgap=gap, ygap=gap, hoverinfo="skip", hoverongaps=False,
        colorbar={
            "title": {"text": axis_title(score, by_layer), "side": "right", "font": {"color": palette.muted}},
            "thickness": 10, "outlinewidth": 0, "len": 1.0, "nticks": 5, "ticks": "", "xpad": 8,
            "tickfont": {"color": palette.muted, "size": TOKEN}, "tickformat": "~g",
        },
    )  # fmt: skip


def _triangles(chart: go.Figure, laid: Columns, marked_cells: Held, palette: Palette) -> None:
    """A triangle in each cell that has a marked neuron among its largest."""
    spans = dict(zip(laid.places, laid.spans, strict=True))
    chart.add_scatter(
        x=[sum(spans[cell.pos]) / 2 for cell in marked_cells], y=[cell.layer for cell in marked_cells], mode="markers",
        hoverinfo="skip", marker={
            "symbol": "triangle-up", "size": 9, "color": palette.mark, "line": {"width": 1, "color": palette.mark_line},
        },
    )  # fmt: skip


def _squares(
    result: Exploration, laid: Columns, figures: np.ndarray, score: Score, by_layer: bool, marked_cells: Held
) -> go.Scatter:
    """Invisible squares: in a wide cell several side by side. customdata is [layer, pos]."""
    xs: list[float] = []
    ys: list[int] = []
    data: list[tuple[int, int]] = []
    texts: list[str] = []
    kind, raw = SCORES[score], values(result, score)
    even = len({round(right - left, 3) for left, right in laid.spans}) == 1
    for column, (left, right) in enumerate(laid.spans):
        pos = laid.places[column]
        many = max(1, ceil((right - left) / (REACH if even else SQUARE)))
        name = chart_text(result.tokens[pos].shown)
        for layer in range(figures.shape[0]):
            share = f" ({percent(float(figures[layer, column]))} of its layer’s largest)" if by_layer else ""
            said = f"layer {layer}, {name}<br>{kind.phrase}: {kind.told(raw[layer, pos])}{share}"
            if (mine := marked_cells.get(Cell(layer, pos))) is not None:
                said += f"<br>▲ H-neurons among the ten largest: {', '.join(map(str, mine))}"
            for step in range(many):
                xs.append(left + (right - left) * (step + 0.5) / many)
                ys.append(layer)
                data.append((layer, pos))
                texts.append(said)
    unseen = {"marker": {"opacity": 0}}
    return go.Scatter(
        x=xs, y=ys, customdata=data, text=texts, mode="markers", hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "square", "size": SQUARE, "opacity": 0}, selected=unseen, unselected=unseen,
    )  # fmt: skip


def _axes(chart: go.Figure, result: Exploration, laid: Columns, layers: int, palette: Palette) -> None:
    shown = [result.tokens[i].shown for i in laid.places]
    kept = fitting_labels(shown, [laid.centre(n) for n in range(len(shown))])
    chart.update_xaxes(
        tickvals=[laid.centre(n) for n in kept], ticktext=[chart_text(shown[n]) for n in kept], tickangle=0,
        range=[0, laid.edges[-1]], tickfont={"size": TOKEN, "color": palette.text},
    )  # fmt: skip
    chart.update_yaxes(range=[-0.5, layers - 0.5], tickvals=layer_ticks(layers), title={"text": "layer"})
    for role, name in GROUPS.items():
        columns = [n for n, i in enumerate(laid.places) if result.tokens[i].role == role]
        if columns and (role != "template" or len(columns) > 3):
            middle = (laid.spans[columns[0]][0] + laid.spans[columns[-1]][1]) / 2
            chart.add_annotation(
                x=middle, y=1, yref="paper", yanchor="bottom", yshift=4, text=name, showarrow=False,
                font={"color": palette.text if role == "answer" else palette.muted},
            )  # fmt: skip
    chart.update_layout(margin={"l": 44, "r": 4, "t": 26, "b": 26})


def _mark(chart: go.Figure, result: Exploration, laid: Columns, cell: Cell, score: Score, palette: Palette) -> None:
    """The marked cell: a line inside a wider white one, and a callout that says it in words."""
    left, right = laid.spans[laid.places.index(cell.pos)]
    for colour, width in ((palette.mark_line, 5), (palette.mark, 3)):
        chart.add_shape(
            type="rect", x0=left, x1=right, y0=cell.layer - 0.5, y1=cell.layer + 0.5,
            line={"color": colour, "width": width}, fillcolor="rgba(0,0,0,0)",
        )  # fmt: skip
    value = SCORES[score].told(values(result, score)[cell.layer, cell.pos])
    token = chart_text(result.tokens[cell.pos].shown)
    layers = result.cett_max.shape[0]
    up = cell.layer < layers * 0.75
    to_left = (left + right) / 2 > laid.edges[-1] / 2
    chart.add_annotation(
        x=left if to_left else right, y=cell.layer,
        text=f"<b>layer {cell.layer}, {token}</b><br>{SCORES[score].phrase}: {value}",
        ax=-18 if to_left else 18, ay=-34 if up else 34, xanchor="right" if to_left else "left",
        showarrow=True, arrowhead=0, arrowwidth=1.5, arrowcolor=palette.mark_line, align="left", borderpad=5,
        bgcolor=palette.callout, bordercolor=palette.mark, borderwidth=2, font={"color": palette.callout_text},
    )  # fmt: skip
