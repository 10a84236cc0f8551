"""All neurons of all layers at once: mean CETT over the answer, a few neurons to each cell.

Owns the binning (largest of a bin, so that nothing bright hides) and says how many neurons a cell
stands for. Pure: no Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.layer_axis import layer_ticks
from app.style import SIZES, TOKEN, Palette
from backend.neurons import NeuronSet
from backend.types import Exploration
from backend.types.numbers import counted, short
from backend.types.probe import Probe

Measure = Literal["mean", "usual"]
HEIGHT = 400
MAX_BINS = 256
CLICKABLE = 400
"""The largest cells, which open their neuron's card on a click."""
MAX_LABELS = 6
AXES: dict[Measure, str] = {"mean": "mean CETT over the answer", "usual": "mean CETT ÷ reference mean"}


@dataclass(frozen=True)
class Bins:
    """Largest value of each bin [layer bin], and the neuron that has it [layer bin]; NaN where a layer ends."""

    top: np.ndarray
    index: np.ndarray
    size: int


def array(result: Exploration, measure: Measure) -> np.ndarray:
    """[layer neuron] of the measure; NaN beyond a layer's width."""
    return result.answer_mean if measure == "mean" else result.answer_ratio


def binned(figures: np.ndarray, most: int = MAX_BINS) -> Bins:
    """`found` [layer neuron] in at most `most` bins of neighbouring neurons a layer, each by its largest value."""
    layers, width = figures.shape
    size = ceil(width / most)
    filled = np.full((layers, ceil(width / size) * size), -np.inf, dtype=np.float32)
    filled[:, :width] = np.where(np.isfinite(figures), figures, -np.inf)
    groups = filled.reshape(layers, -1, size)
    offset = groups.argmax(axis=2)
    top = groups.max(axis=2)
    index = offset + np.arange(groups.shape[1]) * size
    return Bins(np.where(np.isfinite(top), top, np.nan), index, size)


def caption(result: Exploration, measure: Measure) -> str:
    """How many neurons are drawn in how many cells, and over what they are measured."""
    bins = binned(array(result, measure))
    count = len(result.tokens) - result.answer_start
    each = f"shows the largest of {bins.size} neighbouring neurons" if bins.size > 1 else "is one neuron"
    return (
        f"{result.model.n_neurons:,} neurons; each cell {each}. Mean over the answer’s "
        f"{counted(count, 'token')}. Click a bright cell to open its neuron."
    )


def table(result: Exploration, measure: Measure, most: int = 200) -> pd.DataFrame:
    """The largest neurons of the answer: neuron, mean CETT, and how many times its reference mean that is."""
    figures = array(result, measure)
    layers, offsets = _largest(figures, most)
    return pd.DataFrame(
        {
            "neuron": [str(neuron) for neuron in result.model.layout.at(layers, offsets)],
            "mean CETT": result.answer_mean[layers, offsets],
            "× reference mean": result.answer_ratio[layers, offsets],
        }
    )


def _largest(figures: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the largest figures, at most so many; where there is no figure there is no neuron."""
    flat = np.where(np.isfinite(figures), figures, -np.inf).reshape(-1)
    order = np.argsort(-flat)[:most]
    rows, columns = np.unravel_index(order[np.isfinite(flat[order])], figures.shape)
    return rows, columns


def alt(result: Exploration, measure: Measure) -> str:
    """The map in words."""
    rows = table(result, measure, 3)
    column = "mean CETT" if measure == "mean" else "× reference mean"
    named = "; ".join(f"{row['neuron']}, {short(row[column])}" for _, row in rows.iterrows())
    return f"Map of {result.model.n_neurons:,} neurons by layer, coloured by {AXES[measure]}. The largest: {named}."


def figure(
    result: Exploration, measure: Measure, palette: Palette, chosen: NeuronSet, probe: Probe | None = None
) -> go.Figure:
    """The map, lowest layer at the bottom; chosen neurons in squares with their names, the probe's as triangles."""
    bins = binned(array(result, measure))
    layers, count = bins.top.shape
    starts = (np.arange(count) * bins.size).tolist()
    top = float(np.nanmax(np.where(np.isfinite(bins.top), bins.top, 0.0), initial=0.0)) or 1.0
    chart = go.Figure(
        go.Heatmap(
            z=bins.top, x0=(bins.size - 1) / 2, dx=bins.size, y=list(range(layers)), zmin=0, zmax=top,
            colorscale=SIZES, hoverinfo="skip", hoverongaps=False,
            colorbar={
                "title": {"text": AXES[measure], "side": "right", "font": {"color": palette.muted}}, "thickness": 10,
                "outlinewidth": 0, "len": 1.0, "nticks": 5, "ticks": "", "xpad": 8, "tickformat": "~g",
                "tickfont": {"color": palette.muted, "size": TOKEN},
            },
        )
    )  # fmt: skip
    chart.add_trace(_squares(result, bins, starts, measure))
    if probe is not None:
        _of_probe(chart, result, measure, probe, palette)
    palette.style(chart, HEIGHT)
    _chosen(chart, result, chosen, palette)
    width = result.answer_mean.shape[1]
    chart.update_xaxes(
        range=[-0.5, width - 0.5], tickvals=[*range(0, width - width // 12, max(1, width // 6)), width - 1],
        tickformat=",d",
        title={"text": "neuron in its layer" + ("" if result.model.layout.is_dense else ", experts side by side")},
    )  # fmt: skip
    chart.update_yaxes(range=[-0.5, layers - 0.5], title={"text": "layer"}, tickvals=layer_ticks(layers))
    chart.update_layout(margin={"l": 44, "r": 4, "t": 8, "b": 44})
    return chart


def _squares(result: Exploration, bins: Bins, starts: list[int], measure: Measure) -> go.Scatter:
    """Invisible squares over the largest cells. customdata is [layer, offset]."""
    layers, columns = _largest(bins.top, CLICKABLE)
    data = [(int(a), int(bins.index[a, b])) for a, b in zip(layers, columns, strict=True)]
    word = "mean CETT" if measure == "mean" else "times reference mean"
    tops = bins.top[layers, columns].tolist()
    names = result.model.layout.at(layers, bins.index[layers, columns])
    texts = [f"{name}<br>{word}: {short(float(top))}" for name, top in zip(names, tops, strict=True)]
    unseen = {"marker": {"opacity": 0}}
    return go.Scatter(
        x=[starts[b] + (bins.size - 1) / 2 for b in columns], y=layers.tolist(), customdata=data, text=texts,
        mode="markers", hovertemplate="%{text}<extra></extra>", selected=unseen, unselected=unseen,
        marker={"symbol": "square", "size": 9, "opacity": 0},
    )  # fmt: skip


def _of_probe(chart: go.Figure, result: Exploration, measure: Measure, probe: Probe, palette: Palette) -> None:
    """The probe's neurons where they sit, large on the map or not; a click on one opens its card."""
    figures = array(result, measure)
    for sign, symbol, tint, words in (
        (1, "triangle-up", palette.mark, "H-neuron"), (-1, "triangle-down", palette.against, "speaks for right"),
    ):  # fmt: skip
        shown = [weighted for weighted in probe.of_sign(sign) if weighted.neuron in result.model.layout]
        places = [result.model.layout.offset_of(weighted.neuron) for weighted in shown]
        unseen = {"marker": {"opacity": 1}}
        chart.add_scatter(
            x=[offset for _, offset in places], y=[layer for layer, _ in places], mode="markers",
            customdata=places, selected=unseen, unselected=unseen,
            text=[
                f"{weighted.neuron}: {words}, weight {short(weighted.weight)}<br>"
                f"{AXES[measure]}: {short(float(figures[place]))}"
                for weighted, place in zip(shown, places, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={"symbol": symbol, "size": 10, "color": tint, "line": {"width": 1.5, "color": palette.mark_line}},
        )  # fmt: skip


def _chosen(chart: go.Figure, result: Exploration, chosen: NeuronSet, palette: Palette) -> None:
    """Squares round the chosen neurons; names for as many as stay readable."""
    layout = result.model.layout
    offsets = {neuron: layout.offset_of(neuron) for neuron in chosen if neuron in layout}
    for colour, size, width in ((palette.mark_line, 15, 3), (palette.mark, 13, 3)):
        chart.add_scatter(
            x=[x for _, x in offsets.values()], y=[y for y, _ in offsets.values()], mode="markers", hoverinfo="skip",
            marker={"symbol": "square-open", "size": size, "color": colour, "line": {"width": width, "color": colour}},
        )  # fmt: skip
    if len(offsets) > MAX_LABELS:
        return
    for neuron, (layer, offset) in offsets.items():
        chart.add_annotation(
            x=offset, y=layer, text=str(neuron), showarrow=False,
            yshift=19 if layer < layout.n_layers - 3 else -19, borderpad=2,
            bgcolor=palette.callout, font={"color": palette.callout_text, "size": TOKEN},
        )  # fmt: skip
