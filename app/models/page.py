"""Models: what is loaded and what it takes, how far loading is, what else fits this machine.

Reads the engine's status and table, asks it to load, draws.
"""

from __future__ import annotations

import streamlit as st

from app import session, text
from app.models import parts
from app.shared import frame, jobs
from backend.errors import HNeuronsError
from backend.types import ModelStatus

POLL_SECONDS = 0.5
LISTED = "models.listed"


def page() -> None:
    """The whole page, top to bottom."""
    try:
        status = session.client().models.status()
    except HNeuronsError as error:
        st.header("The engine does not answer", anchor=False)
        jobs.shown_error(error)
        return
    early = starting(status)
    if under_way(status):
        watched(early)
    else:
        shown(status)
    parts.back(status)
    st.subheader("What can be loaded", anchor=False)
    st.markdown(frame.muted("The memory needed is calculated before loading. A model that cannot fit is not loaded."))
    if early:
        st.markdown(frame.muted("The list appears when the engine has started."))
    else:
        listed((status.memory or {}).get("free"))


def listed(free: int | None) -> None:
    """What can be loaded, and the way to load it."""
    try:
        choices = session.client().models.list()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    st.session_state[LISTED] = True
    parts.loader(parts.selected(choices), free)


def starting(status: ModelStatus) -> bool:
    """Whether the engine is not there yet: asking it for its list would keep this page, and Cancel, waiting."""
    return status.state == "loading" and status.stage in ("waiting", "starting") and not st.session_state.get(LISTED)


def under_way(status: ModelStatus) -> bool:
    """Whether a model is on its way."""
    return status.state == "loading" or (status.change is not None and status.change.error is None)


def shown(status: ModelStatus) -> None:
    """The heading and what stands under it."""
    st.header(text.markdown(parts.headline(status)), anchor=False)
    parts.current(status)
    parts.coming(status)
    words = parts.waiting(status)
    if words:
        st.markdown(frame.muted(words))


@st.fragment(run_every=POLL_SECONDS)
def watched(early: bool) -> None:
    """The progress of a model that is on its way, until it is over, or no longer `early`; then the page once more."""
    try:
        status = session.client().models.status()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    if not under_way(status) or starting(status) != early:
        st.rerun(scope="app")
    shown(status)


page()
