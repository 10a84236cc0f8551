"""Explore: put a question, see layer by layer and token by token which neurons carried the answer.

Owns the order of the page. Drawn is a result of the engine; chosen is the view, and so the address.
"""

from __future__ import annotations

import streamlit as st

from app import session, shelf, text
from app.explore import figures, form, state, words
from app.explore.view import ExploreView
from app.shared import address, frame, into_view, jobs, model_status, terms
from backend.errors import HNeuronsError
from backend.types import Exploration, ExploreRequest

TURN = "explore.turn"
"""Key of how often a link or Back named a cell, which is then brought into the window."""


def open_page() -> None:
    """Bring view, form and result in step: an opened link is asked again, a first visit gets the example."""
    opened = session.open_view("explore")
    if opened:
        session.fail("explore", None)
        _other_model()
        if session.view(ExploreView).cell is not None:
            st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
    wanted = state.wanted()
    if wanted is not None and not session.answers("explore", wanted):
        running = jobs.running("explore")
        if (running is None or running.request != wanted) and session.failure("explore") is None:
            jobs.run_job("explore", wanted)
    elif wanted is None and (opened or session.result("explore", Exploration) is None):
        jobs.stop_job("explore")
        _example()
        state.settle()
    state.fill()
    state.forget_refusal()


def _other_model() -> None:
    """Say that a link was made with another model than the one loaded: its figures will differ."""
    made, loaded = session.view(ExploreView).model, session.status().name
    if made is not None and loaded is not None and made != loaded:
        session.note(f"This link was made with {made}, but {loaded} is loaded, so the figures differ. See Models.")


def _example() -> None:
    try:
        session.finish("explore", "example", session.client().results.example("explore"))
        session.finish("neuron", "example", session.client().results.example("neuron"))
    except HNeuronsError as error:
        session.note(error.sentence)


def page() -> None:
    """The whole page."""
    open_page()
    result, wanted = session.result("explore", Exploration), state.wanted()
    running = jobs.running("explore")
    current = result is not None and running is None and (wanted is None or session.answers("explore", wanted))
    st.header(_heading(result if current else None, running), anchor=False, help=terms.EXPLORE)
    form.draw_form(state.ask_it, model_status.popover)
    state.keep_draft()
    # Each in a place of its own, there in every run, and columns never where another run has a container: until a run
    # is through, the browser lays the old columns out by the new container, squeezed to a part of their width.
    with st.container():
        frame.notes(*session.link_notes(), shelf.unfit(result.model if result is not None else None))
    with st.container():
        jobs.shown_failure("explore")
    with st.container():
        if result is None or running is not None or session.status().state == "failed":
            model_status.waiting()
    with st.container():
        jobs.watch_job("explore", figures.streaming)
    with st.container():
        _answered(result, wanted, current=current)
    address.close("explore")


def _answered(result: Exploration | None, wanted: ExploreRequest | None, *, current: bool) -> None:
    """All figures of the answer; of an earlier one its strip and map, pale."""
    if result is not None and current:
        state.say_not_run(result)
        with st.container():
            figures.draw_figures(result)
        into_view.bring("figure-map", st.session_state.get(TURN, 0))
        if wanted is not None:
            session.change(ExploreView, model=result.model.name)
    elif result is not None:
        with jobs.dimmed("explore", f"Earlier answer, to “{text.markdown(state.short(result.request.prompt))}”."):
            figures.before(result)


def _heading(result: Exploration | None, running: jobs.SubmittedJob | None) -> str:
    """The finding of the answer on the page, else the question that is being answered."""
    if result is not None:
        return words.heading(result, session.view(ExploreView).score)
    if running is not None and isinstance(running.request, ExploreRequest):
        return f"Asking “{text.markdown(state.short(running.request.prompt))}”"
    return "Ask, and see which neurons write most"


page()
