"""What a probe is worth: its AUROC beside everything simpler, and what switching its neurons does.

Owns the dot chart of AUROCs and the chart of what switching does. Pure: no Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.compare_marks import plain
from app.style import Palette
from backend.types import numbers
from backend.types.estimate import Estimate
from backend.types.numbers import counted, fixed, per_cent, short
from backend.types.probe import Probe
from backend.types.report import Effect, Report
from backend.types.requests import CONTROL_KINDS

Kind = Literal["chosen", "twin", "against", "baseline", "null"]
SYMBOLS: dict[Kind, str] = {
    "chosen": "square", "twin": "diamond", "against": "triangle-down", "baseline": "circle", "null": "circle-open",
}  # fmt: skip
ROW, HEAD = 36, 84
NAME_TALL = 7.0
"""Height of a line's name in the chart of what switching does, in its percent."""
PERCENT = (-3.0, 103.0)
"""What its axis reaches over; a name beyond it would not be drawn."""


@dataclass(frozen=True)
class Scored:
    """One row of the chart: a score's name and its AUROC."""

    name: str
    kind: Kind
    auroc: Estimate


def scored(probe: Probe) -> list[Scored]:
    """The probe and everything that needs less, in the order of the chart. Empty without a report."""
    card = probe.report
    if card is None:
        return []
    count = len(probe.h_neurons)
    rows = [Scored("the probe, all its neurons", "chosen", card.scores.auroc)]
    ours, negative = f"its {counted(count, 'H-neuron')}", f"its {counted(len(probe.against), 'negative weight')}"
    parts: list[tuple[str, Kind, Estimate | None]] = [
        (f"{ours}, weights as they are", "chosen", card.positive_as_is),
        (f"{ours}, relations left out", "chosen", card.carried_over),
        (f"{ours} alone" if card.positive_as_is is None else f"{ours}, refitted", "chosen", card.positive_only),
        (f"{negative}, as they are", "against", card.negative_as_is),
        (f"{negative}, refitted", "against", card.negative_only),
    ]
    rows += [Scored(name, kind, part) for name, kind, part in parts if part is not None]
    random = counted(count, "random neuron")
    rows += [Scored(f"{random}, {CONTROL_KINDS[rival.kind]}", "twin", rival.auroc) for rival in card.random]
    rows.append(Scored("all neurons, L2", "baseline", card.all_neurons))
    rows += [Scored(rival.name, "baseline", rival.auroc) for rival in card.baselines]
    if card.flagged:
        # The strongest of the three is the rival to beat.
        best = max(card.flagged, key=lambda rival: rival.auroc.value)
        rows.append(Scored(f"strong neurons, by {best.threshold.population}", "baseline", best.auroc))
    if card.null is not None and card.null.aurocs:
        # All of them, not 95 %: of twenty fits no tail can be told.
        low, high = min(card.null.aurocs), max(card.null.aurocs)
        fits = len(card.null.aurocs)
        span = Estimate(
            value=card.null.mean, low=low, high=high, n=card.test_items, clusters=fits, unit="fit", resamples=fits
        )
        rows.append(Scored(f"{counted(len(card.null.aurocs), 'fit')} on shuffled labels", "null", span))
    return rows


def _tints(palette: Palette) -> dict[Kind, str]:
    return {
        "chosen": palette.chosen, "twin": palette.twin, "against": palette.against, "baseline": palette.baseline,
        "null": palette.baseline,
    }  # fmt: skip


def auroc_figure(rows: Sequence[Scored], palette: Palette, answers: str = "") -> go.Figure:
    """Dots with their 95 % intervals on one axis, the figures in a column on the right. `answers` says what they were
    judged on: by default those held out."""
    tints = _tints(palette)
    chart = go.Figure()
    low = min(0.45, *(row.auroc.low for row in rows)) - 0.02
    high = max(0.75, *(row.auroc.high for row in rows)) + 0.02
    for place, row in enumerate(rows):
        tint, auroc = tints[row.kind], row.auroc
        chart.add_scatter(
            x=[auroc.low, auroc.high], y=[place] * 2, mode="lines", line={"color": tint, "width": 3}, hoverinfo="skip"
        )
        chart.add_scatter(
            x=[auroc.value], y=[place], mode="markers", hoverinfo="text",
            hovertext=f"{plain(row.name)}: {interval(auroc)}, n = {auroc.n}",
            marker={
                "symbol": SYMBOLS[row.kind], "size": 12, "color": tint if row.kind != "null" else palette.page,
                "line": {"color": tint, "width": 2},
            },
        )  # fmt: skip
        chart.add_annotation(
            x=1, xref="paper", y=place, text=f"<b>{fixed(auroc.value)}</b> [{fixed(auroc.low)}, {fixed(auroc.high)}]",
            showarrow=False, xanchor="right", font={"color": tint if row.kind != "baseline" else palette.muted},
        )  # fmt: skip
    chart.add_vline(x=0.5, line={"color": palette.muted, "width": 1, "dash": "dash"})
    chart.add_annotation(
        x=0.5, y=1, yref="paper", yanchor="bottom", text="coin toss", showarrow=False, font={"color": palette.muted}
    )
    palette.style(chart, HEAD + 30 * len(rows))
    chart.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[bold(row.name, row.kind == "chosen") for row in rows],
        range=[len(rows) - 0.5, -0.6], automargin=True, tickfont={"color": palette.text},
    )  # fmt: skip
    chart.update_xaxes(
        range=[low, high], domain=[0, 0.7], tickvals=[t / 10 for t in range(11) if low <= t / 10 <= high],
        showgrid=True, gridcolor=palette.border,
        title={"text": f"AUROC on {answers or counted(rows[0].auroc.n, 'answer') + ' held out'}, 95 % interval"},
    )  # fmt: skip
    chart.update_layout(margin={"l": 8, "r": 4, "t": 24, "b": 56})
    return chart


def auroc_table(rows: Sequence[Scored]) -> pd.DataFrame:
    """Every row of the chart with its n and clusters."""
    return pd.DataFrame(
        {
            "score": [row.name for row in rows],
            "AUROC": [row.auroc.value for row in rows],
            "95 % from": [row.auroc.low for row in rows],
            "95 % to": [row.auroc.high for row in rows],
            "answers": [row.auroc.n for row in rows],
            "entities (or fits)": [row.auroc.clusters for row in rows],
        }
    )


def auroc_shown(rows: Sequence[Scored]) -> pd.DataFrame:
    """`auroc_table` with value and interval in one column, which a narrow window does not part."""
    return pd.DataFrame(
        {
            "score": [row.name for row in rows],
            "AUROC, 95 %": [interval(row.auroc) for row in rows],
            "answers": [row.auroc.n for row in rows],
            "entities (or fits)": [row.auroc.clusters for row in rows],
        }
    )


def auroc_alt(rows: Sequence[Scored]) -> str:
    """The dots in words."""
    return "AUROC with 95 % intervals. " + "; ".join(f"{row.name}: {interval(row.auroc)}" for row in rows) + "."


def interval(estimate: Estimate, digits: int = 2) -> str:
    """'0.74 [0.70, 0.78]'."""
    return f"{fixed(estimate.value, digits)} [{fixed(estimate.low, digits)}, {fixed(estimate.high, digits)}]"


ARMS: dict[str, Kind] = {"H-neurons": "chosen", "random twin": "twin", "negative weights": "against"}
Share = Literal["changed", "right_kept", "wrong_righted", "wrong_uncertain"]
SHARES: dict[Share, str] = {
    "changed": "answers that change",
    "right_kept": "right answers that stay right",
    "wrong_righted": "wrong answers that become right",
    "wrong_uncertain": "wrong answers that become uncertain",
}


def effects_figure(card: Report, share: Share, palette: Palette) -> go.Figure:
    """A share of answers against alpha, one line an arm, with intervals; alpha 1 is the answer untouched."""
    chart = go.Figure()
    shift = {"H-neurons": 0.0, "random twin": 0.04, "negative weights": -0.04}
    tints = _tints(palette)
    ends: list[tuple[str, float, float]] = []
    for arm, kind in ARMS.items():
        rows = arm_rows(card.effects, arm, share)
        if not rows:
            continue
        xs = [alpha + shift[arm] for alpha, _ in rows]
        chart.add_scatter(
            x=xs, y=[100 * estimate.value for _, estimate in rows], mode="lines+markers", hoverinfo="text",
            hovertext=[f"{arm}, α = {short(alpha)}: {percent(estimate)}, n = {estimate.n}" for alpha, estimate in rows],
            line={"color": tints[kind], "width": 2}, marker={"symbol": SYMBOLS[kind], "size": 11, "color": tints[kind]},
            error_y={
                "type": "data", "symmetric": False, "color": tints[kind], "thickness": 2, "width": 0,
                "array": [100 * (estimate.high - estimate.value) for _, estimate in rows],
                "arrayminus": [100 * (estimate.value - estimate.low) for _, estimate in rows],
            },
        )  # fmt: skip
        ends.append((arm, xs[-1], 100 * rows[-1][1].value))
    for (arm, x, _), y in zip(ends, apart([end for _, _, end in ends], NAME_TALL, PERCENT), strict=True):
        chart.add_annotation(
            x=x, y=y, text=f"   {arm}", xanchor="left", showarrow=False, font={"color": tints[ARMS[arm]]}
        )
    palette.style(chart, 332)
    alphas = sorted({effect.alpha for effect in card.effects} | {1.0})
    chart.update_xaxes(
        tickvals=alphas, ticktext=[_alpha(alpha) for alpha in alphas], range=[-0.2, max(alphas) + 1.1],
        title={"text": "α: what the neurons' activations are multiplied by", "standoff": 12},
    )  # fmt: skip
    chart.update_yaxes(range=PERCENT, showgrid=True, gridcolor=palette.border, ticksuffix=" %", automargin=True)
    chart.update_layout(margin={"l": 8, "r": 8, "t": 12, "b": 68})
    return chart


def apart(heights: Sequence[float], least: float, within: tuple[float, float]) -> list[float]:
    """Heights for names, in the order given: as near as may be to `heights`, and nowhere closer than `least`.

    Args:
        heights: where the lines end.
        least: the height of a name.
        within: the lowest and the highest place of a name; there must be room for all.
    """
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    groups: list[list[float]] = []
    for place in order:
        groups.append([heights[place]])
        # A group stands evenly about its mean; where it reaches the one below, both become one.
        while len(groups) > 1 and _foot(groups[-1], least) < _foot(groups[-2], least) + least * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [_foot(group, least) + least * step for group in groups for step in range(len(group))]
    for step in range(len(placed)):
        placed[step] = max(placed[step], placed[step - 1] + least if step else within[0])
    for step in reversed(range(len(placed))):
        placed[step] = min(placed[step], placed[step + 1] - least if step + 1 < len(placed) else within[1])
    return [placed[order.index(place)] for place in range(len(heights))]


def _foot(group: Sequence[float], least: float) -> float:
    return sum(group) / len(group) - least * (len(group) - 1) / 2


def arm_rows(effects: Sequence[Effect], arm: str, share: Share) -> list[tuple[float, Estimate]]:
    """(alpha, share) of an arm, ascending."""
    shares = [(effect.alpha, getattr(effect, share)) for effect in effects if effect.arm == arm]
    return sorted((pair for pair in shares if pair[1] is not None), key=lambda pair: pair[0])


def _alpha(alpha: float) -> str:
    names = {0.0: "off", 0.5: "half", 1.0: "normal", 2.0: "double", 3.0: "triple"}
    return f"{short(alpha)}<br>{names[alpha]}" if alpha in names else short(alpha)


def effects_table(card: Report) -> pd.DataFrame:
    """Every arm at every alpha, shares with intervals."""
    rows = []
    for effect in card.effects:
        row: dict[str, object] = {"switched": effect.arm, "alpha": effect.alpha}
        row |= {"sets": effect.sets, "neurons": effect.neurons}
        for share, words in SHARES.items():
            estimate = getattr(effect, share)
            row[words] = None if estimate is None else estimate.value
            row[f"{words}, 95 %"] = (
                "" if estimate is None else f"{fixed(estimate.low, 3)} to {fixed(estimate.high, 3)}, n = {estimate.n:,}"
            )
        rows.append({**row, "answers cut at the longest": effect.cut, "mean tokens": effect.mean_tokens})
    return pd.DataFrame(rows)


def effects_shown(card: Report, share: Share) -> pd.DataFrame:
    """One share of `effects_table` with its interval beside it, which a narrow window does not part."""
    rows = [(effect, estimate) for effect in card.effects if (estimate := getattr(effect, share)) is not None]
    return pd.DataFrame(
        {
            "switched": [effect.arm for effect, _ in rows],
            "α": [numbers.short(effect.alpha) for effect, _ in rows],
            f"{SHARES[share]}, 95 %": [percent(estimate) for _, estimate in rows],
            "answers": [estimate.n for _, estimate in rows],
            "sets × neurons": [f"{effect.sets} × {effect.neurons:,}" for effect, _ in rows],
        }
    )


def effects_alt(card: Report, share: Share) -> str:
    """The lines in words."""
    sentence = "; ".join(
        f"{arm}: " + ", ".join(f"{percent(value)} at α {short(alpha)}" for alpha, value in rows)
        for arm in ARMS
        if (rows := arm_rows(card.effects, arm, share))
    )
    return f"Share of {SHARES[share]} against α. {sentence}."


def percent(estimate: Estimate) -> str:
    """'56 % [50, 62]'."""
    return f"{numbers.percent(estimate.value)} [{per_cent(estimate.low)}, {per_cent(estimate.high)}]"


def bold(words: str, is_bold: bool) -> str:
    return f"<b>{plain(words)}</b>" if is_bold else plain(words)
