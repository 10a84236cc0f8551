"""Compare: the same question with chosen neurons switched, answers side by side, the control beside them.

Reads the view and the switches, asks the engine, draws, writes the view.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.pages import run
from app.widgets import (
    compare_answers,
    compare_controls,
    compare_figures,
    compare_state,
    compare_words,
    frame,
    jobs,
    model_status,
    terms,
    text,
)
from backend.errors import HNeuronsError
from backend.types import CompareRequest, Comparison, Verb

VERB: Verb = "compare"
TRIED = "compare.tried"


def page() -> None:
    """The whole page, top to bottom."""
    session.open_view("compare")
    first_visit()
    arrived = compare_state.take_up()
    head = st.container()
    pressed = compare_controls.question()
    if pressed:
        compare_state.commit_prompt()
    compare_state.keep()
    wanted = compare_state.wanted()
    start(wanted, pressed=pressed, arrived=arrived)
    result = session.result(VERB, Comparison) if jobs.running(VERB) is None else None
    with head:
        heading(result)
    answers(result, wanted)
    controls, cost = st.columns([5, 3], gap="medium")
    with controls:
        compare_controls.switchboard()
    if result is not None:
        with cost:
            compare_figures.cost(result)
        bars, heat = st.columns([3, 5], gap="medium")
        with bars:
            compare_figures.split(result)
        with heat:
            compare_figures.difference(result)
    session.close_view("compare")


def first_visit() -> None:
    """Where nothing was asked, chosen or run yet: the finished example, with its switches."""
    view = session.view()
    begun = session.result(VERB, Comparison) is not None or jobs.running(VERB) is not None
    if view.neurons and view.prompt is None:
        compare_state.ask_the_same()
    if begun or view.prompt is not None or view.neurons:
        return
    try:
        example = session.client().example(VERB)
    except HNeuronsError as error:
        session.fail(VERB, error)
        return
    if isinstance(example, Comparison):
        session.finish(VERB, "example", example)
        compare_state.show_example(example)
        st.session_state[TRIED] = example.request.hash


def start(wanted: CompareRequest | HNeuronsError, *, pressed: bool, arrived: bool) -> None:
    """Run what is wanted: when asked to, when a link was opened, and at a flip where flips run."""
    if isinstance(wanted, HNeuronsError):
        if pressed:
            session.fail(VERB, wanted)
        return
    fresh = st.session_state.get(TRIED) != wanted.hash and not session.answers(VERB, wanted)
    if pressed or (fresh and (arrived or compare_controls.runs_on_flip())):
        st.session_state[TRIED] = wanted.hash
        jobs.run_job(VERB, wanted)


def heading(result: Comparison | None) -> None:
    """The finding, computed from the result, and what it is worth."""
    if result is None:
        st.header("What changes when neurons are switched?", anchor=False)
        st.markdown(frame.muted("The same question, once untouched and once switched, in one batch."))
        return
    told = text.markdown(compare_words.heading(result))
    st.header(told, anchor=False, help=terms.COMPARE)
    worth = f"{text.markdown(result.request.prompt)} · {compare_words.worth(result)} Model: "
    st.markdown(frame.muted(worth + text.markdown(result.model.name)))


def answers(result: Comparison | None, wanted: CompareRequest | HNeuronsError) -> None:
    """What streams, or what has ended; above it, why a run ended badly or does not fit the switches."""
    frame.notes(session.link_notes())
    jobs.shown_failure(VERB)
    model_status.waiting()
    jobs.watch_job(VERB, compare_answers.streaming)
    if result is None:
        return
    if isinstance(wanted, HNeuronsError):
        jobs.shown_error(wanted)
    else:
        compare_controls.stale(wanted.hash, result.request.hash)
    compare_answers.finished(result)
    for note in result.notes:
        st.markdown(frame.muted(text.markdown(note)))


run(page)
