"""One module a page: read, ask, draw, write. Pages are run, never imported; `FOLDER` is where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

FOLDER = Path(__file__).resolve().parent
_FRAMED = "framed"


def run(page: Callable[[], None]) -> None:
    """Draw `page` inside the frame of `app.main`.

    A server whose very first requests name pages takes this folder for Streamlit's older kind of app, in which each
    file is run without the frame. Told otherwise once, it begins again with `main.py`. What it takes the folder for
    is one flag of the whole server, so each session says for itself that it has its frame.
    """
    context = get_script_run_ctx()
    is_app = context is not None and Path(context.main_script_path).resolve() == FOLDER.parent / "main.py"
    if is_app and not st.session_state.get(_FRAMED):
        PagesManager.uses_pages_directory = False
        st.rerun()
    page()


def framed() -> None:
    """Say that this session has its frame. Called by the frame, before it runs the page."""
    st.session_state[_FRAMED] = True
