"""Explore: put a question, see layer by layer and token by token which neurons carried the answer.

Owns the order of the page. Drawn is a result of the engine; chosen is the view, and so the address.
"""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from app import session
from app.pages import run
from app.widgets import ask, explore_figures, explore_words, frame, jobs, model_status, terms
from app.widgets.refusals import bad_input
from backend.errors import BadInput, HNeuronsError
from backend.types import Exploration, ExploreRequest


def ask_it() -> None:
    """Run pressed: ask what the form says."""
    try:
        request = ask.request()
    except BadInput as error:
        session.fail("explore", error)
        return
    session.ask(request)
    session.forget("explore")
    jobs.run_job("explore", request.model_copy(update={"neurons": session.followed()}))


def open_page() -> None:
    """Bring view, form and result in step: an opened link is asked again, a first visit gets the example."""
    opened = session.open_view()
    if opened:
        session.fail("explore", None)
        _other_model()
    wanted = _wanted()
    if wanted is not None and not session.answers("explore", wanted):
        running = jobs.running("explore")
        if (running is None or running.request != wanted) and session.failure("explore") is None:
            session.forget("explore")
            jobs.run_job("explore", wanted)
    elif wanted is None and session.result("explore", Exploration) is None:
        _example()
    if opened or not ask.filled():
        # The example brings its question; its short answer is not a setting that a person made.
        shown = session.asked()
        ask.fill(wanted, session.view().draft or (shown.prompt if shown and wanted is None else None))


def _wanted() -> ExploreRequest | None:
    """The request in the view; one that cannot be asked is told of and left out."""
    try:
        return session.view().explore_request(session.followed())
    except ValidationError as error:
        session.note(bad_input(error).sentence)
        session.change(prompt=None)
        return None


def _other_model() -> None:
    """Say that a link was made with another model than the one loaded: its figures will differ."""
    made, loaded = session.view().model, session.status().name
    if made is not None and loaded is not None and made != loaded:
        session.note(f"This link was made with {made}; {loaded} is loaded, so its figures differ. See Models.")


def _other_probe(result: Exploration | None) -> None:
    """Say that a probe was named whose neurons cannot be marked here."""
    named, found = session.view().probe, session.probe()
    if named is None:
        return
    if found is None or found.name != named:
        instead = f"{found.name} is used instead" if found is not None else "no neuron is marked"
        session.note(f"There is no probe {named} here: {instead}.")
    elif result is not None and session.probe_of(result.model) is None:
        session.note(
            f"The probe {named} was made for another model than this answer, so its neurons are not marked. "
            "Identify says which."
        )


def _example() -> None:
    try:
        session.finish("explore", "example", session.client().example("explore"))
        session.finish("neuron", "example", session.client().example("neuron"))
    except HNeuronsError as error:
        session.note(error.sentence)


def page() -> None:
    """The whole page."""
    open_page()
    result = session.result("explore", Exploration)
    told = explore_words.heading(result, session.view().score) if result else "Ask, and see which neurons answer"
    st.header(told, anchor=False, help=terms.EXPLORE)
    ask.draw(ask_it, model_status.popover)
    _other_probe(result)
    frame.notes(session.link_notes())
    jobs.shown_failure("explore")
    running = jobs.running("explore") is not None
    if result is None or running or session.status().state == "failed":
        model_status.waiting()
    jobs.watch_job("explore", explore_figures.streaming)
    if result is not None and not running:
        explore_figures.draw(result)
        if session.view().prompt is not None:
            session.change(model=result.model.name)
    _keep_draft()
    session.close_view()


def _keep_draft() -> None:
    """A prompt typed and not run stands in the address too, so that a reload does not lose it."""
    asked = session.asked()
    unrun = ask.typed() != (asked.prompt if asked else "")
    session.change(draft=ask.typed() if unrun else None)


run(page)
