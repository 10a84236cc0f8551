"""How many H-neurons a probe has, beside the paper's models.

Owns the dot chart of densities. Pure: no Streamlit.
"""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import plain
from app.charts.probe_worth import HEAD, ROW, bold
from app.style import Palette
from backend.types.numbers import fixed, short
from backend.types.probe import Probe

PAPER = (
    ("Mistral-7B", 0.35), ("Gemma-3-27B", 0.18), ("Gemma-3-4B", 0.10), ("Llama-3.1-8B", 0.02),
    ("Llama-3.3-70B", 0.01), ("Mistral-Small-24B", 0.01),
)  # fmt: skip
"""H-neurons per 1,000 neurons (Gao et al. 2025, Table 1)."""


def density(probe: Probe) -> float:
    """H-neurons per 1,000 of the model's."""
    return 1000 * len(probe.h_neurons) / probe.model.n_neurons if probe.model else 0.0


def density_rows(probe: Probe) -> list[tuple[str, float, str]]:
    """(model, per mille, its label), the probe's own first."""
    own = density(probe)
    name = probe.model.name if probe.model else probe.name
    short = name.split("/")[-1].removesuffix("-Instruct")
    return [(f"{short} (here)", own, f"{fixed(own)} ({len(probe.h_neurons):,})"), *((n, v, fixed(v)) for n, v in PAPER)]


def density_figure(probe: Probe, palette: Palette) -> go.Figure:
    """Dots on a log axis, the probe's own a square."""
    rows = density_rows(probe)
    chart = go.Figure()
    low = min(0.005, *(value for _, value, _ in rows if value > 0)) / 1.4
    for place, (name, value, label) in enumerate(rows):
        tint = palette.chosen if place == 0 else palette.baseline
        shown = max(value, low)
        chart.add_scatter(
            x=[low, shown], y=[place, place], mode="lines", line={"color": palette.border, "width": 2}, hoverinfo="skip"
        )
        chart.add_scatter(
            x=[shown], y=[place], mode="markers+text", text=[f"  {label}"], textposition="middle right",
            textfont={"color": tint if place == 0 else palette.muted}, hoverinfo="text",
            hovertext=f"{plain(name)}: {label}",
            marker={"symbol": "square" if place == 0 else "circle", "size": 13 if place == 0 else 10, "color": tint},
        )  # fmt: skip
    palette.style(chart, HEAD + ROW * len(rows))
    chart.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[bold(name, n == 0) for n, (name, _, _) in enumerate(rows)],
        autorange="reversed", automargin=True, tickfont={"color": palette.text},
    )  # fmt: skip
    ticks = [t for t in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0) if t <= max(value for _, value, _ in rows) * 4]
    chart.update_xaxes(
        type="log", range=[math.log10(low), math.log10(max(v for _, v, _ in rows) * 8)], tickvals=ticks,
        ticktext=[short(t) for t in ticks], showgrid=True, gridcolor=palette.border,
        title={"text": "H-neurons per 1,000 neurons (log scale)"},
    )  # fmt: skip
    chart.update_layout(margin={"l": 8, "r": 8, "t": 24, "b": 56})
    return chart


def density_table(probe: Probe) -> pd.DataFrame:
    """Models and their density."""
    rows = density_rows(probe)
    return pd.DataFrame({"model": [n for n, _, _ in rows], "H-neurons per 1,000": [v for _, v, _ in rows]})


def density_alt(probe: Probe) -> str:
    """The dots in words."""
    sentence = "; ".join(f"{name}: {label}" for name, _, label in density_rows(probe))
    return f"H-neurons per 1,000 neurons. {sentence}."
