"""The next-token distribution where a row first leaves the baseline: picture, table and words.

Owns paired bars, baseline above row. Refuses to guess: a token that is not among the baseline's ten
has no baseline bar, only the bound that the tenth sets. Pure: no Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import chart_text, plain
from app.roles import colour, kind
from app.style import Palette
from backend.types import Row, Split
from backend.types.numbers import percent

OWN = 3
"""How many of the row's own first choices are drawn where the baseline's ten do not hold them."""


@dataclass(frozen=True)
class Pair:
    """One token with both probabilities; `baseline` is None where only an upper bound is known."""

    token_id: int
    shown: str
    baseline: float | None
    row: float


def pairs(split: Split) -> tuple[Pair, ...]:
    """The baseline's ten candidates, then the row's first choices that are not among them."""
    ten = [
        Pair(ours.id, ours.shown, ours.probability, theirs.probability)
        for ours, theirs in zip(split.baseline, split.row_at_baseline, strict=True)
    ]
    known_ids = {pair.token_id for pair in ten}
    new = [
        Pair(candidate.id, candidate.shown, None, candidate.probability)
        for candidate in split.row[:OWN]
        if candidate.id not in known_ids
    ]
    return (*ten, *new)


def bound(split: Split) -> float:
    """What no token outside the baseline's candidates can exceed: the smallest of them."""
    return split.baseline[-1].probability if split.baseline else 1.0


def per_cent(probability: float) -> str:
    """A probability as a reader's number: 34 %, 0.7 %, under 0.1 %."""
    if probability >= 0.0995:
        return percent(probability)
    return percent(probability, 1)


def table(split: Split, label: str) -> pd.DataFrame:
    """The picture's figures: token, baseline's and row's probability."""
    rows = pairs(split)
    return pd.DataFrame(
        {
            "token": [pair.shown for pair in rows],
            "token id": [pair.token_id for pair in rows],
            "baseline": [pair.baseline for pair in rows],
            label: [pair.row for pair in rows],
        }
    )


def alt(split: Split, label: str) -> str:
    """The picture in words: what both would most like to say next."""
    if not split.baseline or not split.row:
        return "No probabilities were kept at the split."
    ours, theirs = split.baseline[0], split.row[0]
    return (
        f"Paired bars at answer token {split.position + 1}, after “{tail(split.before)}”. Baseline's first choice: "
        f"{ours.shown}, {per_cent(ours.probability)}. {label}'s first choice: {theirs.shown}, "
        f"{per_cent(theirs.probability)}."
    )


def tail(before: str, characters: int = 24) -> str:
    """The end of what was read before, short enough for a heading."""
    words = before.split()
    kept = words[-1:]
    while len(kept) < len(words) and len(" ".join(words[-len(kept) - 1 :])) <= characters:
        kept = words[-len(kept) - 1 :]
    text = " ".join(kept)[-characters:]
    return text if len(kept) == len(words) and text == " ".join(words) else f"…{text}"


def figure(row: Row, label: str, palette: Palette) -> go.Figure:
    """Paired bars at the row's split. The row must have one; raises ValueError otherwise."""
    if row.split is None:
        raise ValueError("a row without a split has no distribution to draw")
    both = pairs(row.split)
    places = list(range(len(both)))
    tint = colour(kind(row.plan), palette)
    chart = go.Figure()
    ours = [pair.baseline for pair in both]
    theirs = [pair.row for pair in both]
    names = [chart_text(pair.shown) for pair in both]
    chart.add_bar(
        y=places, x=ours, orientation="h", marker={"color": palette.baseline}, offsetgroup="0",
        customdata=names, hovertext=[percent(value, 2) for value in ours],
        hovertemplate="%{customdata}<br>baseline %{hovertext}<extra></extra>",
    )  # fmt: skip
    hatch = {}
    if kind(row.plan) == "control":
        # Laid over the bar: by default a pattern stands in the place of its colour.
        hatch = {"shape": "/", "fillmode": "overlay", "fgcolor": palette.page, "size": 6, "solidity": 0.25}
    chart.add_bar(
        y=places, x=theirs, orientation="h", marker={"color": tint, "pattern": hatch}, offsetgroup="1",
        customdata=names, hovertext=[percent(value, 2) for value in theirs],
        hovertemplate=f"%{{customdata}}<br>{plain(label)} %{{hovertext}}<extra></extra>",
    )  # fmt: skip
    _labels(chart, both, row.split, label, tint, palette)
    widest = max([*theirs, *(value for value in ours if value is not None), 0.01])
    palette.style(chart, height=34 * len(both) + 60)
    chart.update_layout(bargap=0.28, bargroupgap=0.0, barmode="group", margin={"l": 8, "r": 8, "t": 4, "b": 44})
    chart.update_yaxes(
        range=[len(both) - 0.5, -0.5], tickvals=places, ticktext=names,
        automargin="left", tickfont={"size": 12, "color": palette.text},
    )  # fmt: skip
    chart.update_xaxes(
        range=[0, min(1.45, widest * 1.45)], tickformat=".0%", nticks=5, showgrid=True, gridcolor=palette.border,
        title={"text": "probability of being the next token"}, zeroline=False,
    )  # fmt: skip
    return chart


def _labels(chart: go.Figure, both: tuple[Pair, ...], split: Split, label: str, tint: str, palette: Palette) -> None:
    """The bars say whose they are; the row's first choice and unknown baselines say their figure."""
    first_choice = split.row[0].id if split.row else None
    for place, pair in enumerate(both):
        loud = place == 0 or pair.token_id == first_choice
        whose = (" baseline", f" {plain(label.lower())}") if place == 0 else ("", "")
        if pair.baseline is None:
            _note(chart, 0.0, place - 0.18, f"baseline: at most {per_cent(bound(split))}", palette.muted)
        elif loud:
            _note(chart, pair.baseline, place - 0.18, per_cent(pair.baseline) + whose[0], palette.muted)
        if loud or pair.baseline is None:
            _note(chart, pair.row, place + 0.18, f"<b>{per_cent(pair.row)}{whose[1]}</b>", tint)


def _note(chart: go.Figure, x: float, y: float, text: str, tint: str) -> None:
    chart.add_annotation(
        x=x, y=y, text=text, showarrow=False, xanchor="left", xshift=5, font={"color": tint, "size": 12}
    )
