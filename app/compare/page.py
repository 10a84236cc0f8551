"""Compare: the same question with chosen neurons switched, answers side by side, the control beside them.

Reads the view and the switches, asks the engine, draws, writes the view.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session, shelf, text
from app.compare import answers as compare_answers
from app.compare import controls as compare_controls
from app.compare import figures as compare_figures
from app.compare import hand_marks, state, words
from app.compare import run as compare_run
from app.shared import address, frame, jobs, model_status, terms
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.types import CompareRequest, Comparison, Verb

VERB: Verb = "compare"


def page() -> None:
    """The whole page, top to bottom."""
    opened = session.open_view("compare")
    compare_run.put_together()
    compare_run.first_visit(opened)
    arrived = state.take_up() or opened
    hand_marks.take_up(opened, state.wanted())
    pressed = state.pressed()
    if pressed:
        state.commit_prompt()
    compare_run.start(pressed=pressed, arrived=arrived)
    state.forget_press()
    result, asking = session.result(VERB, Comparison), jobs.running(VERB)
    wanted = state.wanted()
    hand_marks.keep(wanted)
    heading(result if asking is None else None)
    compare_controls.question()
    answers(result, wanted)
    controls, cost = st.columns([5, 3], gap="medium")
    with controls:
        compare_controls.switchboard()
    if result is not None:
        figures(result, cost, old=asking is not None)
    address.close("compare")


def heading(result: Comparison | None) -> None:
    """The finding, computed from the result, and what it is worth; the question while it is being answered."""
    if result is None:
        st.header("What changes when neurons are switched?", anchor=False)
        asked = session.view(Shared).prompt
        sentence = (
            f"Asking “{text.markdown(asked[:90])}”: once untouched and once switched, in one batch." if asked else ""
        )
        st.markdown(frame.muted(sentence or "The same question, once untouched and once switched, in one batch."))
        return
    sentence = text.markdown(words.heading(result))
    st.header(sentence, anchor=False, help=terms.COMPARE)
    worth = f"{text.markdown(result.request.prompt)} · {words.worth(result)} Model: "
    st.markdown(frame.muted(worth + text.markdown(result.model.name)))


def answers(result: Comparison | None, wanted: CompareRequest | HNeuronsError) -> None:
    """What streams, or what has ended; above it, why a run ended badly or does not fit the switches."""
    with st.container():
        frame.notes(*session.link_notes(), shelf.unfit(result.model if result is not None else None))
    # Each in a place of its own, there in every run, and columns never where another run has a container: until a run
    # is through, the browser lays the old columns out by the new container, squeezed to a third of their width.
    with st.container():
        jobs.shown_failure(VERB)
    with st.container():
        model_status.waiting()
    with st.container():
        jobs.watch_job(VERB, compare_answers.streaming)
    with st.container():
        standing(result, wanted)


def standing(result: Comparison | None, wanted: CompareRequest | HNeuronsError) -> None:
    """The answers that are there: pale while newer ones are written."""
    if result is None:
        # Of a link that asks nothing the reason stands here, for no result can.
        if isinstance(wanted, HNeuronsError) and session.chosen() and jobs.running(VERB) is None:
            jobs.shown_error(wanted)
        return
    if jobs.running(VERB) is not None:
        with jobs.dimmed("answers", f"Earlier answers, to “{text.markdown(result.request.prompt[:90])}”."):
            compare_answers.before(result)
        return
    if isinstance(wanted, HNeuronsError):
        jobs.shown_error(wanted)
    else:
        compare_controls.stale(wanted, result.request)
    with st.container():
        compare_answers.finished(result)
    for note in result.notes:
        st.markdown(frame.muted(text.markdown(note)))


def figures(result: Comparison, beside: DeltaGenerator, *, old: bool) -> None:
    """The cost beside the switches, and below them the split and what else moved; pale where a newer run goes on."""
    with beside, jobs.dimmed("cost") if old else st.container():
        compare_figures.cost(result)
    with jobs.dimmed("figures") if old else st.container():
        bars, heat = st.columns([3, 5], gap="medium")
        with bars:
            compare_figures.split(result)
        with heat:
            compare_figures.difference(result)


page()
