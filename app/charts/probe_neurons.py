"""Where a probe's neurons sit, and how many there are at each C.

Owns the stems by layer, the counts by layer, and the path. Points carry the neuron's name or the C, so that a click
can be read. Pure: no Streamlit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.layer_axis import layer_ticks
from app.style import Palette
from backend.types.numbers import counted, fixed, short
from backend.types.probe import Probe, ProbeNeuron
from backend.types.report import Report
from backend.types.scoring import Scoring

HEIGHT = 300
NAMED = 6
"""Neurons told by name: in the chart half of either sign, the farthest from 0."""
NAME_WIDE, NAME_TALL = 0.13, 0.07
"""Room that a name takes in the narrowest chart, as shares of its width and height."""
EDGE = 0.13
"""Room above and below the neurons, as a share of their span: what the triangles mean stands there by itself."""
MARGIN = 2.2
"""Layers' room on the right, for a name."""
Measure = Literal["effect", "weight"]
MEASURES: dict[Measure, str] = {"effect": "weight × spread", "weight": "weight"}


def size(weighted: ProbeNeuron, measure: Measure) -> float:
    """Weight x SD where the SD is known and asked for, else the weight."""
    return weighted.weight if measure == "weight" or weighted.effect is None else weighted.effect


def measured(probe: Probe) -> Measure:
    """What the neurons can be drawn by: an imported probe knows no spread."""
    return "effect" if all(weighted.effect is not None for weighted in probe.neurons) else "weight"


def stems_figure(probe: Probe, measure: Measure, palette: Palette) -> go.Figure:
    """A stem a neuron: triangle up for wrong answers, down for right ones."""
    chart = go.Figure()
    layers = _layers(probe)
    for sign, tint, symbol in ((1, palette.chosen, "triangle-up"), (-1, palette.against, "triangle-down")):
        of_this_sign = probe.of_sign(sign)
        xs: list[float | None] = []
        ys: list[float | None] = []
        for weighted in of_this_sign:
            xs += [weighted.neuron.layer, weighted.neuron.layer, None]
            ys += [0, size(weighted, measure), None]
        chart.add_scatter(x=xs, y=ys, mode="lines", line={"color": tint, "width": 1}, opacity=0.5, hoverinfo="skip")
        chart.add_scatter(
            x=[weighted.neuron.layer for weighted in of_this_sign],
            y=[size(weighted, measure) for weighted in of_this_sign],
            mode="markers", marker={"symbol": symbol, "size": 12, "color": tint},
            customdata=[str(weighted.neuron) for weighted in of_this_sign],
            text=[short(size(weighted, measure)) for weighted in of_this_sign],
            hovertemplate="%{customdata}: %{text}<extra></extra>", name="raises the score" if sign > 0 else "",
        )  # fmt: skip
    for weighted, left in named(probe, measure):
        chart.add_annotation(
            x=weighted.neuron.layer, y=size(weighted, measure),
            text=f"{weighted.neuron}  " if left else f"  {weighted.neuron}",
            xanchor="right" if left else "left", showarrow=False, font={"size": 12, "color": palette.text},
        )  # fmt: skip
    chart.add_annotation(
        x=0, xref="paper", y=1, yref="paper", xanchor="left", yanchor="top", showarrow=False,
        text="▲ raises the score: wrong", font={"color": palette.chosen},
    )  # fmt: skip
    chart.add_annotation(
        x=0, xref="paper", y=0, yref="paper", xanchor="left", yanchor="bottom", showarrow=False,
        text="▼ lowers the score: right", font={"color": palette.against},
    )  # fmt: skip
    palette.style(chart, HEIGHT)
    chart.update_xaxes(range=[-0.7, layers + MARGIN], title={"text": "layer"}, tickvals=layer_ticks(layers))
    sizes = [0.0, *(size(weighted, measure) for weighted in probe.neurons)]
    room = EDGE * ((max(sizes) - min(sizes)) or 1.0)
    chart.update_yaxes(
        zeroline=True, zerolinecolor=palette.border, showgrid=True, gridcolor=palette.border, automargin=True,
        range=[min(sizes) - room, max(sizes) + room], title={"text": MEASURES[measure], "standoff": 8},
    )  # fmt: skip
    chart.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 52})
    return chart


def named(probe: Probe, measure: Measure) -> list[tuple[ProbeNeuron, bool]]:
    """The neurons whose name is written, and whether on the left: where the right side is taken, then where neither
    is free the name is left out."""
    layers = _layers(probe)
    wide = NAME_WIDE * (layers + MARGIN)
    sizes = [size(weighted, measure) for weighted in probe.neurons]
    tall = NAME_TALL * ((max(sizes) - min(sizes)) or 1.0) if sizes else 1.0
    placed: list[tuple[float, float]] = []
    labelled: list[tuple[ProbeNeuron, bool]] = []
    first = [weighted for sign in (1, -1) for weighted in _largest(probe.of_sign(sign), measure)[: NAMED // 2]]
    for weighted in _largest(first, measure):
        y = size(weighted, measure)
        for start, left in ((weighted.neuron.layer, False), (weighted.neuron.layer - wide, True)):
            outside = start < -1 or start + wide > layers + MARGIN
            if outside or any(abs(start - x) < wide and abs(y - other) < tall for x, other in placed):
                continue
            placed.append((start, y))
            labelled.append((weighted, left))
            break
    return labelled


def _largest(neurons: Iterable[ProbeNeuron], measure: Measure) -> list[ProbeNeuron]:
    return sorted(neurons, key=lambda weighted: -abs(size(weighted, measure)))


def _layers(probe: Probe) -> int:
    """Of its model; of an imported probe without one, as many as it needs."""
    return (
        probe.model.n_layers
        if probe.model
        else 1 + max((weighted.neuron.layer for weighted in probe.neurons), default=0)
    )


def neurons_table(probe: Probe, tested: Sequence[Scoring] = ()) -> pd.DataFrame:
    """Every neuron of the probe with all that is known of it alone, heaviest first; also on the other questions where
    the probe did worst, the first of `tested`."""
    there = {one.neuron: one.here for one in tested[0].neurons} if tested else {}
    rows = sorted(
        probe.neurons, key=lambda weighted: -abs(weighted.effect if weighted.effect is not None else weighted.weight)
    )
    return pd.DataFrame(
        {
            "neuron": [str(weighted.neuron) for weighted in rows],
            "speaks for": ["wrong" if weighted.weight > 0 else "right" for weighted in rows],
            "weight": [weighted.weight for weighted in rows],
            "weight × SD": [weighted.effect for weighted in rows],
            "AUROC alone": [weighted.auroc for weighted in rows],
            **_if_known("AUROC alone, held out", [weighted.held_out for weighted in rows]),
            **_if_known("AUROC alone, elsewhere", [there.get(weighted.neuron) for weighted in rows]),
            "q (FDR)": [weighted.q for weighted in rows],
            "Cohen's d": [weighted.d for weighted in rows],
            "lost without it": [weighted.leave_out for weighted in rows],
            "chosen in bootstraps": [weighted.frequency for weighted in rows],
        }
    )


def _if_known(name: str, values: list[float | None]) -> dict[str, list[float | None]]:
    return {name: values} if any(value is not None for value in values) else {}


def stems_alt(probe: Probe, measure: Measure) -> str:
    """The stems in words."""
    top = _largest(probe.neurons, measure)[:NAMED]
    largest = ", ".join(f"{weighted.neuron} {short(size(weighted, measure), 2)}" for weighted in top)
    return f"{MEASURES[measure].capitalize()} of {counted(len(probe.neurons), 'neuron')} by layer; largest: {largest}."


def layers_figure(probe: Probe, palette: Palette) -> go.Figure:
    """Neurons of either sign in each layer, against what an even spread would put there."""
    layers, expected = layer_counts(probe)
    chart = go.Figure()
    for sign, tint in ((1, palette.chosen), (-1, palette.against)):
        counts = Counter(weighted.neuron.layer for weighted in probe.of_sign(sign))
        chart.add_bar(
            x=list(layers), y=[sign * counts[layer] for layer in layers], marker_color=tint,
            customdata=[counts[layer] for layer in layers], hovertemplate="layer %{x}: %{customdata}<extra></extra>",
        )  # fmt: skip
        chart.add_scatter(
            x=list(layers), y=[sign * expected[sign]] * len(layers), mode="lines", hoverinfo="skip",
            line={"color": palette.muted, "width": 1, "dash": "dash"},
        )  # fmt: skip
    palette.style(chart, HEIGHT)
    chart.add_annotation(
        x=len(layers) - 0.4, y=expected[1], text="even spread", xanchor="left", showarrow=False,
        font={"color": palette.muted},
    )  # fmt: skip
    right = len(layers) - 0.3 + max(1.0, 0.13 * len(layers))
    chart.update_xaxes(title={"text": "layer"}, tickvals=layer_ticks(len(layers)), range=[-0.7, right])
    chart.update_yaxes(
        title={"text": "◀ for right · neurons · for wrong ▶"}, zeroline=True, zerolinecolor=palette.border,
        automargin=True, dtick=_whole_step(probe),
    )  # fmt: skip
    chart.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 52}, barmode="relative", bargap=0.3)
    return chart


def _whole_step(probe: Probe) -> int | None:
    """A tick for each neuron where no layer has many: plotly would name halves. Else its own, which are whole then."""
    most = max(Counter((weighted.neuron.layer, weighted.weight > 0) for weighted in probe.neurons).values(), default=0)
    return 1 if most <= 4 else None


def layer_counts(probe: Probe) -> tuple[range, dict[int, float]]:
    """(layers, sign -> neurons of that sign a layer would have if they were spread evenly)."""
    layers = range(_layers(probe))
    return layers, {sign: len(probe.of_sign(sign)) / max(len(layers), 1) for sign in (1, -1)}


def layers_table(probe: Probe) -> pd.DataFrame:
    """Counts by layer and sign."""
    layers, expected = layer_counts(probe)
    counts = {sign: Counter(weighted.neuron.layer for weighted in probe.of_sign(sign)) for sign in (1, -1)}
    return pd.DataFrame(
        {
            "layer": list(layers),
            "for wrong": [counts[1][layer] for layer in layers],
            "even spread, for wrong": expected[1],
            "for right": [counts[-1][layer] for layer in layers],
            "even spread, for right": expected[-1],
        }
    )


def path_figure(card: Report, c: float | None, palette: Palette) -> go.Figure:
    """AUROC in cross-validation, stability and number of neurons against C; the chosen C is a square."""
    points = card.path
    chart = go.Figure()
    xs = [point.c for point in points]
    chart.add_scatter(
        x=xs, y=[point.stability for point in points], mode="lines+markers", yaxis="y",
        line={"color": palette.muted, "width": 2, "dash": "dot"},
        marker={"symbol": "cross", "size": 9, "color": palette.muted},
        customdata=xs,
        text=[f"C {short(fitted.c)}: overlap of two fits {fixed(fitted.stability)}" for fitted in points],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    chart.add_scatter(
        x=xs, y=[point.auroc.value for point in points], mode="lines+markers", customdata=xs,
        line={"color": palette.baseline, "width": 2},
        marker={
            "symbol": ["square" if point.c == c else "circle" for point in points],
            "size": [14 if point.c == c else 10 for point in points],
            "color": [palette.chosen if point.c == c else palette.baseline for point in points],
        },
        error_y={
            "type": "data", "symmetric": False, "thickness": 2, "width": 0, "color": palette.baseline,
            "array": [point.auroc.high - point.auroc.value for point in points],
            "arrayminus": [point.auroc.value - point.auroc.low for point in points],
        },
        text=[f"C {short(fitted.c)}: AUROC {fixed(fitted.auroc.value, 3)}" for fitted in points],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    for point in points:
        chart.add_annotation(
            x=_log(point.c), y=-0.06, yref="y", text=f"{point.positive}", showarrow=False,
            font={"color": palette.chosen if point.c == c else palette.muted, "size": 12},
        )  # fmt: skip
    last = points[-1]
    for y, words, tint in (
        (last.auroc.value, "AUROC, cross-validated", palette.baseline),
        (last.stability, "overlap of two fits", palette.muted),
    ):
        chart.add_annotation(
            x=_log(last.c), y=y, text=f"  {words}", xanchor="left", showarrow=False, font={"color": tint}
        )
    palette.style(chart, HEIGHT + 40)
    chart.update_xaxes(
        type="log", tickvals=xs, ticktext=[short(x) for x in xs],
        range=[_log(xs[0]) - 0.1, _log(last.c) + 0.25 * (_log(last.c) - _log(xs[0]) + 1)],
        title={"text": "C (inverse of the penalty); above each: number of H-neurons"},
    )  # fmt: skip
    chart.update_yaxes(range=[-0.14, 1.02], showgrid=True, gridcolor=palette.border, tickvals=[0, 0.25, 0.5, 0.75, 1.0])
    chart.update_layout(margin={"l": 40, "r": 8, "t": 8, "b": 56})
    return chart


def _log(value: float) -> float:
    return math.log10(value)


def path_shown(card: Report) -> pd.DataFrame:
    """`path_table` with value and interval in one column, which a narrow window does not part."""
    return pd.DataFrame(
        [
            {
                "C": short(point.c),
                "H-neurons": point.positive,
                "negative": point.negative,
                "AUROC, cross-validated, 95 %": f"{fixed(point.auroc.value)} [{fixed(point.auroc.low)}, "
                f"{fixed(point.auroc.high)}]",
                "overlap of two fits": point.stability,
            }
            for point in card.path
        ]
    )


def path_table(card: Report) -> pd.DataFrame:
    """Every C of the path."""
    return pd.DataFrame(
        [
            {
                "C": point.c,
                "H-neurons": point.positive,
                "negative": point.negative,
                "AUROC, cross-validated": point.auroc.value,
                "95 % from": point.auroc.low,
                "95 % to": point.auroc.high,
                "accuracy": point.accuracy.value,
                "AUROC, training": point.train_auroc,
                "overlap of two fits": point.stability,
                "right answers kept when off": None if point.kept is None else point.kept.value,
            }
            for point in card.path
        ]
    )
