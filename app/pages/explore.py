"""Explore: put a question, see layer by layer and token by token which neurons carried the answer.

Owns the order in which things stand on the page. Everything drawn comes from a result of the engine;
everything chosen goes into the view, and so into the address.
"""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from app import session
from app.charts import cells
from app.charts.layer_neuron import Measure
from app.charts.scores import SCORES, Score, per_token, values
from app.links import Cell
from app.widgets import ask, card, explore_words, frame, heatmap, jobs, model_status, neuron_sets, ranked, token_strip
from app.widgets.frame import muted
from app.widgets.refusals import bad_input
from app.widgets.text import markdown
from backend.errors import BadInput, HNeuronsError
from backend.neurons import NeuronId
from backend.types import Exploration

SWITCH: tuple[Score, ...] = ("largest", "top10", "usual")
"""Scores on the switch itself; the others are one click behind it."""


def run() -> None:
    """Run pressed: ask what the form says."""
    try:
        request = ask.request()
    except BadInput as error:
        session.fail("explore", error)
        return
    session.ask(request)
    session.forget("explore")
    jobs.run_job("explore", request)


def open_page() -> None:
    """Bring view, form and result in step: an opened link is asked again, a first visit gets the example."""
    if session.open_view():
        session.fail("explore", None)
        ask.fill(_wanted(), session.view().draft)
    wanted = _wanted()
    if wanted is not None and not session.answers("explore", wanted):
        running = jobs.running("explore")
        if (running is None or running.request != wanted) and session.failure("explore") is None:
            session.forget("explore")
            jobs.run_job("explore", wanted)
    elif wanted is None and session.result("explore", Exploration) is None:
        _example()
    if not ask.filled():
        ask.fill(session.asked(), session.view().draft)


def _wanted() -> object:
    try:
        return session.view().explore_request()
    except ValidationError as error:
        session.note(bad_input(error).sentence)
        session.change(prompt=None)
        return None


def _example() -> None:
    try:
        session.finish("explore", "example", session.client().example("explore"))
    except HNeuronsError as error:
        session.note(error.sentence)


def page() -> None:
    """The whole page."""
    open_page()
    result = session.result("explore", Exploration)
    heading = st.empty()
    score = session.view().score
    heading.header(explore_words.heading(result, score) if result else "Ask, and see which neurons answer", anchor=False)
    ask.draw(run, model_status.popover)
    frame.notes(session.link_notes())
    jobs.shown_failure("explore")
    model_status.waiting()
    jobs.watch_job("explore", streaming)
    if result is not None and jobs.running("explore") is None:
        figures(result)
    shown = session.asked()
    session.change(draft=ask.typed() if shown is None or ask.typed() != shown.prompt else None)
    session.close_view()


page()
