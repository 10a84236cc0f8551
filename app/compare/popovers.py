"""Which of Compare's popovers are open: none, once what a person did in one has changed the page below it.

Owns the part of their keys that says so: under a new key a popover is closed. Refuses to draw them.
"""

from __future__ import annotations

import streamlit as st

_TURNS = "compare.popovers"
SETTINGS = "settings"
"""The one whose own fields begin runs, one after another: only Run closes it."""


def key(name: str, part: str = "") -> str:
    """The key of the popover `name`, until `close` closes it; of several by that name of this `one`."""
    return f"{name}{part}-{_turns().setdefault(name, 0)}"


def close(name: str = "") -> None:
    """Close this one, or all but the settings where none is named, before they are drawn: they would stand over the
    switches and over the answers that come."""
    turns = _turns()
    for other in [name] if name else [other for other in turns if other != SETTINGS]:
        turns[other] = turns.get(other, 0) + 1


def _turns() -> dict[str, int]:
    turns: dict[str, int] = st.session_state.setdefault(_TURNS, {})
    return turns
