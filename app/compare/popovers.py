"""Which of Compare's popovers are open: none, once what a person did in one has changed the page below it.

Owns the part of their keys that says so: under a new key a popover is closed. Refuses to draw them.
"""

from __future__ import annotations

import streamlit as st

_TURN = "compare.popovers"


def key(name: str) -> str:
    """The key of the popover `name`, until `close` is called."""
    return f"{name}-{st.session_state.get(_TURN, 0)}"


def close() -> None:
    """Close all, before they are drawn: they would stand over the switches and over the answers that come."""
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
