"""Models: what is loaded and what it takes, how far loading is, what else fits this machine.

Reads the engine's status and table, asks it to load, draws.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.pages import run
from app.widgets import frame, jobs, model_parts, text
from backend.errors import HNeuronsError
from backend.types import ModelStatus

POLL_SECONDS = 0.5


def page() -> None:
    """The whole page, top to bottom."""
    try:
        status = session.client().status()
        choices = session.client().models()
    except HNeuronsError as error:
        st.header("The engine does not answer", anchor=False)
        jobs.shown_error(error)
        return
    if status.state == "loading":
        loading()
    else:
        shown(status)
    st.subheader("What can be loaded", anchor=False)
    st.markdown(frame.muted("Memory is worked out before loading. What cannot fit is not started."))
    choice = model_parts.selected(choices)
    free = (status.memory or {}).get("free")
    model_parts.loader(choice, free)


def shown(status: ModelStatus) -> None:
    """The heading and what stands under it."""
    st.header(text.markdown(model_parts.headline(status)), anchor=False)
    model_parts.current(status)
    words = model_parts.waiting(status)
    if words:
        st.markdown(frame.muted(words))


@st.fragment(run_every=POLL_SECONDS)
def loading() -> None:
    """The progress of loading, until it is over; then the whole page once more."""
    try:
        status = session.client().status()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    if status.state != "loading":
        st.rerun(scope="app")
    shown(status)


run(page)
