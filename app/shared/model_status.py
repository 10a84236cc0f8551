"""The model in a corner of a page: which one, how far its loading is, what it is.

Owns a small status that never blocks. Refuses to load: the Models page does.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared import address
from app.shared.frame import muted
from app.shared.jobs import shown_error
from app.text import markdown
from backend.errors import HNeuronsError
from backend.types import ModelInfo, ModelStatus
from backend.types.numbers import percent

POLL_SECONDS = 1.0


def popover() -> None:
    """A popover named after the model, with its sizes and the way to others."""
    status = session.status()
    label = status.info.name if status.info else (status.name or "No model")
    with st.popover(markdown(label), icon=":material/memory:", key="model-popover"):
        if status.info is not None:
            st.markdown(facts(status.info))
        else:
            st.markdown(_state(status))
        if st.button("Other models", icon=":material/tune:", key="other-models"):
            address.go("models")


def facts(info: ModelInfo) -> str:
    """The model in a few lines of Markdown."""
    return (
        f"**{markdown(info.name)}**  \n{info.n_layers} layers, {info.n_neurons:,} feed-forward neurons, "
        f"{info.parameters / 1e6:,.0f} million parameters  \n{muted(f'{info.dtype} on {info.device}')}"
    )


def waiting() -> None:
    """One line while the model loads, and why where it could not; nothing when it is ready."""
    status = session.status()
    if status.state == "failed" and status.error is not None:
        shown_error(HNeuronsError.from_json(status.error))
    if status.state != "loading":
        return

    @st.fragment(run_every=POLL_SECONDS)
    def watch() -> None:
        now = session.ask_status()
        if now.state != "loading":
            st.rerun(scope="app")
        st.markdown(muted(_state(now)))

    watch()


def _state(status: ModelStatus) -> str:
    name = markdown(status.name or "The model")
    if status.state == "loading":
        share = "" if status.fraction is None else f", {percent(status.fraction)}"
        return f":material/hourglass_top: {name} is loading: {markdown(status.stage or 'starting')}{share}."
    if status.state == "failed":
        return f"{name} could not be loaded." if status.name else "The engine does not answer."
    return "No model is loaded." if status.state == "none" else f"{name} is ready."
