"""The chosen neurons on a page: seen as pills, let go by a click, added by typing, pasting or a file.

Owns the one place where a set is edited by hand; it lives in the session's view. Refuses neurons that
the model does not have, and keeps what was typed when it refuses.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import session
from app.shared.frame import muted
from app.shared.jobs import shown_error
from backend import neuron_files
from backend.errors import BadNeurons, HNeuronsError
from backend.layout import Layout
from backend.neurons import NeuronSet

MAX_PILLS = 40
"""Pills drawn; a longer set says how many more it holds."""
FILE_TYPES = ("json", "csv", "tsv", "txt")


def pills(key: str, label: str = "Your set") -> None:
    """The chosen neurons as pills; a click on one lets it go. Nothing is drawn where none is chosen."""
    chosen = session.chosen()
    if not chosen:
        return
    names = [str(neuron) for neuron in chosen.ids[:MAX_PILLS]]
    state = f"{key}-pills-{hash(chosen.ids)}"

    def keep() -> None:
        kept = set(st.session_state[state])
        session.choose(session.chosen() - NeuronSet.of(*(name for name in names if name not in kept)))

    st.pills(
        label, names, selection_mode="multi", default=names, key=state, on_change=keep, label_visibility="collapsed"
    )
    if len(chosen) > MAX_PILLS:
        st.markdown(muted(f"and {len(chosen) - MAX_PILLS:,} more"))


def adder(
    key: str, layout: Layout, label: str = "Add neurons", more: Callable[[], None] | None = None,
    popover: str | None = None,
) -> None:  # fmt: skip
    """A popover that adds neurons by typing, pasting or a file.

    Args:
        key: unique on the page.
        layout: the neurons of the model, against which they are checked.
        label: the popover's button.
        more: draws further ways to add, under the others.
        popover: key of the popover itself; under a new one it is closed.
    """
    with st.popover(label, icon=":material/add:", type="tertiary", key=popover):
        _typed(f"{key}-typed", layout, other=f"{key}-file")
        _file(f"{key}-file", layout)
        if more is not None:
            more()
        if session.chosen():
            st.button("Remove all", key=f"{key}-none", on_click=session.choose, args=(NeuronSet(),), type="tertiary")


def add(neurons: NeuronSet, layout: Layout) -> None:
    """Add neurons to the chosen ones. Raises BadNeurons where the model does not have one of them."""
    layout.check(neurons)
    session.choose(session.chosen() | neurons)


def _typed(key: str, layout: Layout, other: str) -> None:
    def take() -> None:
        # What was said of an earlier file is not about these.
        st.session_state[f"{other}-error"] = None
        try:
            typed = NeuronSet.parse(st.session_state[key])
            if not typed:
                raise BadNeurons("No neuron is named", "the field is empty", "write one, for example L12:N345")
            add(typed, layout)
        except BadNeurons as error:
            st.session_state[f"{key}-error"] = error
        else:
            st.session_state[f"{key}-error"] = None
            st.session_state[key] = ""

    with st.form(f"{key}-form", border=False):
        st.text_area("Type or paste neurons", key=key, placeholder="L12:N345, L3:N7", height=80)
        st.form_submit_button("Add", on_click=take)
    _refused(f"{key}-error")


def _file(key: str, layout: Layout) -> None:
    def take() -> None:
        uploaded = st.session_state[key]
        st.session_state[f"{key}-error"] = None
        if uploaded is None:
            return
        try:
            add(neuron_files.read(uploaded.getvalue(), uploaded.name), layout)
        except HNeuronsError as error:
            st.session_state[f"{key}-error"] = error

    st.file_uploader(
        "or a file of neurons", FILE_TYPES, key=key, on_change=take,
        help="A list such as L12:N345, L3:N7, or a probe that was published as JSON or CSV",
    )  # fmt: skip
    _refused(f"{key}-error")


def _refused(key: str) -> None:
    error = st.session_state.get(key)
    if error is not None:
        shown_error(error)
