"""From questions to items, and how well the probe's chances hold: funnel, ROC curve, calibration.

Pure: no Streamlit.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.style import Palette
from backend.types.identify import Funnel
from backend.types.numbers import counted, fixed, percent
from backend.types.report import Report

HEIGHT = 300


def steps(card: Report) -> list[tuple[str, int]]:
    """(step, how many are left) from the questions to the held-out answers."""
    funnel = card.funnel
    spanned = funnel.right + funnel.wrong - funnel.right_without_span - funnel.wrong_without_span
    return [
        ("questions asked", funnel.asked),
        ("answered several times", funnel.sampled),
        ("kept: answers agree", funnel.right + funnel.wrong),
        ("answer's words found", spanned),
        ("right and wrong balanced", 2 * funnel.balanced),
        ("held out for this card", card.test_items),
    ]


def funnel_figure(card: Report, palette: Palette) -> go.Figure:
    """Bars, the last in the colour of what is looked at."""
    rows = steps(card)
    chart = go.Figure(
        go.Bar(
            y=list(range(len(rows))), x=[count for _, count in rows], orientation="h", cliponaxis=False,
            marker_color=[palette.baseline] * (len(rows) - 1) + [palette.chosen], textposition="outside",
            text=[f"{count:,}" for _, count in rows], hovertemplate="%{text}<extra></extra>",
            textfont={"color": palette.text},
        )
    )  # fmt: skip
    palette.style(chart, HEIGHT)
    chart.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[name for name, _ in rows], autorange="reversed", automargin=True,
        tickfont={"color": palette.text},
    )  # fmt: skip
    chart.update_xaxes(showticklabels=False, range=[0, 1.18 * max(count for _, count in rows)])
    chart.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, bargap=0.35)
    return chart


def funnel_table(card: Report) -> pd.DataFrame:
    """Every filter's way from questions to items, the card's own first."""
    funnels: dict[str, Funnel] = {"this card's filter": card.funnel, **card.funnels}
    return pd.DataFrame(
        [
            {
                "filter": name,
                "asked": funnel.asked,
                "answered in samples": funnel.sampled,
                "uncertain": funnel.uncertain,
                "mixed": funnel.mixed,
                "kept right": funnel.right,
                "kept wrong": funnel.wrong,
                "right, words not found": funnel.right_without_span,
                "wrong, words not found": funnel.wrong_without_span,
                "balanced, each side": funnel.balanced,
            }
            for name, funnel in funnels.items()
        ]
    )


def funnel_alt(card: Report) -> str:
    """The bars in words."""
    return "Bars. " + "; ".join(f"{name}: {count:,}" for name, count in steps(card)) + "."


def _square(palette: Palette) -> go.Figure:
    """A chart of two shares, with the dashed line on which both are equal."""
    chart = palette.style(go.Figure(), HEIGHT)
    chart.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": palette.muted, "width": 1, "dash": "dash"}, hoverinfo="skip"
    )
    chart.update_layout(margin={"l": 8, "r": 16, "t": 8, "b": 52})
    return chart


def _name_line(chart: go.Figure, words: str, palette: Palette) -> None:
    """What the dashed line is, below it, where it crosses nothing of the line."""
    chart.add_annotation(
        x=0.66, y=0.55, xanchor="left", text=words, showarrow=False, font={"color": palette.muted},
        bgcolor=palette.page,
    )  # fmt: skip


def roc_figure(card: Report, palette: Palette) -> go.Figure:
    """Wrong answers caught against right answers accused, at every threshold."""
    xs, ys = zip(*card.roc, strict=True) if card.roc else ((), ())
    chart = _square(palette)
    chart.add_scatter(
        x=xs, y=ys, mode="lines", line={"color": palette.chosen, "width": 3, "shape": "hv"},
        text=[f"wrong caught {percent(y)}, right accused {percent(x)}" for x, y in card.roc],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    _name_line(chart, "coin toss", palette)
    chart.update_xaxes(range=[0, 1], tickformat=".0%", title={"text": "right answers accused"})
    chart.update_yaxes(
        range=[0, 1.02], tickformat=".0%", showgrid=True, gridcolor=palette.border, automargin=True,
        title={"text": "wrong answers caught", "standoff": 8},
    )  # fmt: skip
    return chart


def roc_table(card: Report) -> pd.DataFrame:
    """The curve's points."""
    return pd.DataFrame(card.roc, columns=["right answers accused", "wrong answers caught"])


def calibration_figure(card: Report, palette: Palette) -> go.Figure:
    """The share that was wrong against the chance that the probe gave."""
    bins = card.calibration
    chart = _square(palette)
    chart.add_scatter(
        x=[part.chance for part in bins], y=[part.share for part in bins], mode="lines+markers", cliponaxis=False,
        line={"color": palette.chosen, "width": 2}, marker={"symbol": "square", "size": 10, "color": palette.chosen},
        text=[f"probability given {fixed(part.chance)}; wrong {percent(part.share)} of {part.n:,}" for part in bins],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    _name_line(chart, "honest probabilities", palette)
    chart.update_xaxes(
        range=[0, 1], tickformat=".0%",
        title={"text": f"the probe's probability of wrong, bins of {counted(bins[0].n if bins else 0, 'answer')}"},
    )  # fmt: skip
    chart.update_yaxes(
        range=[0, 1.02], tickformat=".0%", showgrid=True, gridcolor=palette.border, automargin=True,
        title={"text": "were wrong", "standoff": 8},
    )  # fmt: skip
    return chart


def calibration_table(card: Report) -> pd.DataFrame:
    """The bins."""
    return pd.DataFrame(
        [{"chance given": part.chance, "were wrong": part.share, "answers": part.n} for part in card.calibration]
    )
