"""What a person marks by hand on the answers of a comparison, in step with the view.

Owns the marks of this session, by comparison and row. They stand in the address, so that a reload keeps them, and Back
takes one back. Refuses to judge: `backend.judging` does.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.marks import HASHED, Mark, Marks
from backend.types import Comparison

_HELD = "compare.marks"
MOST = 200
"""Comparisons whose marks are kept: a session may last all day."""


def take_up(opened: bool) -> None:
    """Let the marks of a link, or of Back, be those of its comparison; where it has none, the one on the page has none.

    Args:
        opened: whether the address named another view than the one held.
    """
    told, shown = session.view().marks, session.result("compare", Comparison)
    if not opened:
        return
    if told is not None:
        _hold(told.of, dict(told.rows))
    elif shown is not None:
        _hold(_name(shown), {})


def keep(result: Comparison | None) -> None:
    """Write the marks of the comparison that is shown into the view; while none is, what the link said stays."""
    if result is not None:
        held = of(result)
        session.change(marks=Marks(_name(result), tuple(sorted(held.items()))) if held else None)


def of(result: Comparison) -> dict[int, Mark]:
    """Row -> mark of this comparison."""
    held: dict[int, Mark] = st.session_state.get(_HELD, {}).get(_name(result), {})
    return held


def set_mark(result: Comparison, row: int, mark: Mark | None) -> None:
    """Mark this row by hand, and those that say the same; None leaves them to the rule again."""
    same = [place for place, one in enumerate(result.rows) if one.text == result.rows[row].text]
    marks = {place: held for place, held in of(result).items() if place not in same}
    if mark is not None:
        marks |= dict.fromkeys(same, mark)
    _hold(_name(result), marks)


def _name(result: Comparison) -> str:
    return result.request.hash[:HASHED]


def _hold(name: str, marks: dict[int, Mark]) -> None:
    held = dict(st.session_state.get(_HELD, {}))
    held.pop(name, None)
    if marks:
        held[name] = marks
    st.session_state[_HELD] = dict(list(held.items())[-MOST:])
