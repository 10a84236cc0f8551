"""What a person marks by hand on the answers of a comparison, in step with the view.

Owns the marks of this session, by comparison and row. They stand in the address, so that a reload keeps them, and Back
takes one back. Refuses to judge: `backend.text.verdict` does.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.compare import rows
from app.compare.marks import HASHED, Mark, Marks
from app.compare.view import CompareView
from backend.errors import HNeuronsError
from backend.types import CompareRequest, Comparison

_HELD = "compare.marks"
MOST = 200
"""Comparisons whose marks are kept: a session may last all day."""


def take_up(opened: bool, wanted: CompareRequest | HNeuronsError) -> None:
    """Let the marks of a link, or of Back, be those of its comparison; where it has none, that comparison has none.

    Args:
        opened: whether the address named another view than the one held.
        wanted: the comparison that it names.
    """
    written = session.view(CompareView).marks
    if opened and written is not None:
        _hold(written.of, dict(written.rows))
        asked = None if isinstance(wanted, HNeuronsError) else _name(wanted)
        # While the model loads it is not known which neurons of a probe are switched.
        if written.of != asked and session.status().info is not None:
            session.note(
                "The link's marks were made on another comparison than it asks for, so no answer here is marked."
            )
    elif opened and isinstance(wanted, CompareRequest):
        _hold(_name(wanted), {})


def keep(wanted: CompareRequest | HNeuronsError) -> None:
    """Write the marks of the comparison that is asked for into the view, at once: marks that went with its answers only
    would be a step of Back between."""
    marks_of_request = {} if isinstance(wanted, HNeuronsError) else _all().get(_name(wanted), {})
    marks = (
        Marks(_name(wanted), tuple(sorted(marks_of_request.items())))
        if marks_of_request and isinstance(wanted, CompareRequest)
        else None
    )
    session.change(CompareView, marks=marks)


def _all() -> dict[str, dict[int, Mark]]:
    marks: dict[str, dict[int, Mark]] = st.session_state.get(_HELD, {})
    return marks


def of(result: Comparison) -> dict[int, Mark]:
    """Row -> mark of this comparison."""
    return _all().get(_name(result.request), {})


def set_mark(result: Comparison, row: int, mark: Mark | None) -> None:
    """Mark this row by hand, and those that say the same; None leaves them to the rule again."""
    same = [place for place, other in enumerate(result.rows) if other.text == result.rows[row].text]
    marks = {place: held for place, held in of(result).items() if place not in same}
    if mark is not None:
        marks |= dict.fromkeys(same, mark)
    _hold(_name(result.request), marks)


def _name(request: CompareRequest) -> str:
    return rows.unscored(request).hash[:HASHED]


def _hold(name: str, marks: dict[int, Mark]) -> None:
    every = dict(_all())
    every.pop(name, None)
    if marks:
        every[name] = marks
    st.session_state[_HELD] = dict(list(every.items())[-MOST:])
