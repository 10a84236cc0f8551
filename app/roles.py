"""Roles of rows: what was left alone, what was picked, what was drawn at random; their names, colours and shapes.

Owns that a role looks and is called the same on every page and chart. Refuses sentences about results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from app.style import Palette
from backend.types import RowPlan
from backend.types.numbers import short

Kind = Literal["baseline", "chosen", "control"]

MARKS = ("square", "triangle-up", "star", "hexagon", "cross", "pentagon", "hourglass", "bowtie")
TWIN_MARKS = ("diamond", "diamond-wide", "diamond-tall", "diamond-x", "diamond-cross")
_STAR = "50% 0,62% 36%,100% 36%,69% 58%,81% 95%,50% 72%,19% 95%,31% 58%,0 36%,38% 36%"
_OUTLINES = {
    "triangle-up": "50% 4%,100% 94%,0 94%", "triangle-down": "0 6%,100% 6%,50% 96%", "star": _STAR,
    "hexagon": "25% 4%,75% 4%,100% 50%,75% 96%,25% 96%,0 50%", "pentagon": "50% 0,100% 38%,81% 98%,19% 98%,0 38%",
    "cross": "33% 0,67% 0,67% 33%,100% 33%,100% 67%,67% 67%,67% 100%,33% 100%,33% 67%,0 67%,0 33%,33% 33%",
    "hourglass": "0 0,100% 0,50% 50%,100% 100%,0 100%,50% 50%", "bowtie": "0 0,50% 50%,100% 0,100% 100%,50% 50%,0 100%",
    "diamond": "50% 0,100% 50%,50% 100%,0 50%", "diamond-wide": "50% 20%,100% 50%,50% 80%,0 50%",
    "diamond-tall": "50% 0,80% 50%,50% 100%,20% 50%", "diamond-x": "50% 0,100% 50%,50% 100%,0 50%",
    "diamond-cross": "50% 0,100% 50%,50% 100%,0 50%",
}  # fmt: skip


def kind(plan: RowPlan) -> Kind:
    """The colour role of a row: what was left alone, what was picked, what was drawn at random."""
    if plan.arm == "baseline":
        return "baseline"
    return "control" if plan.arm == "control" else "chosen"


def alpha_text(alpha: float) -> str:
    """An alpha as short as it can be written: 0, 0.5, 1.25."""
    return short(alpha, 6)


def main(plans: Sequence[RowPlan]) -> int | None:
    """The row that the switches themselves make, which the heading is about; None where nothing was switched.

    Switches that differ make the row of own alphas; what else was chosen then stands beside it.
    """
    for arm in ("own", "chosen", "against"):
        place_of_arm = next((place for place, plan in enumerate(plans) if plan.arm == arm), None)
        if place_of_arm is not None:
            return place_of_arm
    return None


def name(plan: RowPlan) -> str:
    """The row's name, a word that stands beside its shape and colour."""
    if plan.arm == "baseline":
        return "Baseline"
    if plan.arm == "control":
        return "Random twin"
    if plan.arm == "against":
        return "Negative weights"
    if plan.alpha is None:
        return "Own α"
    known = {0.0: "Suppressed", 0.5: "Half", 1.0: "Normal", 2.0: "Double", 3.0: "Triple"}
    return known.get(plan.alpha, "Suppressed" if plan.alpha < 1 else "Amplified")


def labels(plans: Sequence[RowPlan]) -> tuple[str, ...]:
    """A name for every row, no two alike: a twin says whose it is, rows of one name are told apart by number."""
    first, plain = main(plans), [name(plan) for plan in plans]
    # Alphas without a name of their own share one.
    picked = [
        f"{picked_name} (α = {alpha_text(plan.alpha)})"
        if place != first and plan.arm != "control" and plan.alpha is not None and plain.count(picked_name) > 1
        else picked_name
        for place, (plan, picked_name) in enumerate(zip(plans, plain, strict=True))
    ]
    names = []
    for plan, picked_name in zip(plans, picked, strict=True):
        of = plan.control_of if plan.arm == "control" else None
        beside = of is not None and of != first and of < len(plans)
        names.append(
            f"{picked_name} of {picked[of][:1].lower()}{picked[of][1:]}" if beside and of is not None else picked_name
        )
    seen: dict[str, int] = {}
    written = []
    for picked_name in names:
        seen[picked_name] = seen.get(picked_name, 0) + 1
        written.append(f"{picked_name} {seen[picked_name]}" if names.count(picked_name) > 1 else picked_name)
    return tuple(written)


def marks(plans: Sequence[RowPlan]) -> tuple[str, ...]:
    """A shape for every row, by Plotly's names: circle the baseline, square what the switches make, diamonds the twins.

    A triangle that points down is the probe's negative weights. Where twins outnumber the diamonds their names differ.
    """
    first, others, twins = main(plans), list(MARKS[1:]), 0
    written = []
    for place, plan in enumerate(plans):
        if plan.arm == "baseline":
            written.append("circle")
        elif plan.arm == "control":
            written.append(TWIN_MARKS[twins % len(TWIN_MARKS)])
            twins += 1
        elif place == first:
            written.append(MARKS[0])
        else:
            written.append("triangle-down" if plan.arm == "against" else others.pop(0) if others else MARKS[-1])
    return tuple(written)


def colour(role: Kind, palette: Palette) -> str:
    """The role's colour, the same on every page."""
    return {"baseline": palette.baseline, "chosen": palette.chosen, "control": palette.twin}[role]


def shape(mark: str, role: Kind, palette: Palette) -> str:
    """A row's mark, by Plotly's names, in its role's colour. A word always stands beside it."""
    look = f"background:{colour(role, palette)};"
    if mark == "circle":
        look += "border-radius:50%"
    elif mark in _OUTLINES:
        look += f"clip-path:polygon({_OUTLINES[mark]})"
    else:
        look += "border-radius:3px"
    base = "display:inline-block;width:16px;height:16px;flex:none;vertical-align:-2px;"
    return f'<span aria-hidden="true" style="{base}{look}"></span>'
