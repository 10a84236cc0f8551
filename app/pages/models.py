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
    except HNeuronsError as error:
        st.header("The engine does not answer", anchor=False)
        jobs.shown_error(error)
        return
    if under_way(status):
        watched()
    else:
        shown(status)
    model_parts.back(status)
    st.subheader("What can be loaded", anchor=False)
    st.markdown(frame.muted("Memory is worked out before loading. What cannot fit is not started."))
    try:
        with st.spinner("Looking at what fits this machine"):
            choices = session.client().models()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    choice = model_parts.selected(choices)
    free = (status.memory or {}).get("free")
    model_parts.loader(choice, free)


def under_way(status: ModelStatus) -> bool:
    """Whether a model is on its way."""
    return status.state == "loading" or (status.change is not None and status.change.error is None)


def shown(status: ModelStatus) -> None:
    """The heading and what stands under it."""
    st.header(text.markdown(model_parts.headline(status)), anchor=False)
    model_parts.current(status)
    model_parts.coming(status)
    words = model_parts.waiting(status)
    if words:
        st.markdown(frame.muted(words))


@st.fragment(run_every=POLL_SECONDS)
def watched() -> None:
    """The progress of a model that is on its way, until it is over; then the whole page once more."""
    try:
        status = session.client().status()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    if not under_way(status):
        st.rerun(scope="app")
    shown(status)


run(page)
