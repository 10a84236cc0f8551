"""The pages: their names, their files, and how one goes from one to another.

Owns the table of pages. Each page is the file `page.py` of its own folder, run by Streamlit and never imported.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

APP = Path(__file__).resolve().parent
TITLES = {"explore": "Explore", "compare": "Compare", "identify": "Identify", "models": "Models"}
"""The pages in the order of the navigation, by folder and address."""
FIRST = next(iter(TITLES))
"""The one that `/` opens."""


def file(room: str) -> Path:
    """Where the page of `room` lies."""
    return APP / room / "page.py"


def pages() -> list[StreamlitPage]:
    """Every page for `st.navigation`."""
    return [
        st.Page(file(room), title=title, url_path=room, default=room == FIRST) for room, title in TITLES.items()
    ]  # fmt: skip


def go(room: str) -> None:
    """Leave this run and open the page of `room`."""
    st.switch_page(file(room))
