"""One module a page: read, ask, draw, write. Pages are run, never imported; `FOLDER` is where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

FOLDER = Path(__file__).resolve().parent


def run(page: Callable[[], None]) -> None:
    """Draw `page` inside the frame of `app.main`.

    A server whose very first request names a page takes this folder for Streamlit's older kind of app, in which
    each file is run without the frame. Told otherwise once, it begins again with `main.py`.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
    page()
