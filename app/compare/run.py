"""What Compare runs and when: the example at first, a link at once, a flip where flips run, Run always.

Owns the submission of what is new and the joining of it with the rows that are there. Refuses to draw.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.compare import controls, popovers, rows, state
from app.shared import jobs
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.types import CompareRequest, Comparison, Verb

VERB: Verb = "compare"
TRIED, JOINING = "compare.tried", "compare.joining"


def first_visit(opened: bool) -> None:
    """Where nothing was asked, chosen or run yet: the finished example, with its switches."""
    if opened:
        state.choose_own()
    shared = session.view(Shared)
    if shared.neurons and shared.prompt is None:
        state.ask_the_same()
    begun = session.result(VERB, Comparison) is not None or jobs.running(VERB) is not None
    if (begun and not opened) or shared.prompt is not None or shared.neurons:
        return
    jobs.stop_job(VERB)
    try:
        example = session.client().results.example(VERB)
    except HNeuronsError as error:
        session.fail(VERB, error)
        return
    if isinstance(example, Comparison):
        session.finish(VERB, "example", example)
        if state.show_example(example):
            session.note(
                "The link has settings, but neither a question nor neurons. The example is shown, with its own."
            )
        st.session_state[TRIED] = rows.unscored(example.request)


def start(*, pressed: bool, arrived: bool) -> None:
    """Run what is wanted: when asked to, when a link was opened, and at a flip where flips run."""
    wanted = state.wanted()
    if not isinstance(wanted, HNeuronsError):
        # A probe that comes to be known once its model is loaded, or is made anew, asks for no other answers.
        fresh = st.session_state.get(TRIED) != rows.unscored(wanted) and not _stands(wanted)
        flipped = fresh and not arrived and controls.runs_on_flip()
        if flipped and not pressed:
            state.settle_box()
            wanted = state.wanted()
        if not (pressed or flipped or (fresh and arrived)):
            return
    if isinstance(wanted, HNeuronsError):
        if pressed:
            session.fail(VERB, wanted)
        return
    st.session_state[TRIED] = rows.unscored(wanted)
    popovers.close()
    if pressed:
        popovers.close(popovers.SETTINGS)
    ask(wanted, whole=pressed)


def _stands(wanted: CompareRequest) -> bool:
    """Whether the comparison on the page has these answers."""
    shown = session.result(VERB, Comparison)
    return shown is not None and rows.unscored(shown.request) == rows.unscored(wanted)


def ask(wanted: CompareRequest, *, whole: bool) -> None:
    """Run what the comparison on the page does not have yet, or with `whole` everything."""
    shown, info = session.result(VERB, Comparison), session.status().info
    part = wanted if whole else rows.missing(wanted, shown, info.fingerprint if info else None)
    st.session_state[JOINING] = (wanted, shown, part) if shown is not None and part is not None else None
    if part is not None:
        jobs.run_job(VERB, part)
        # A stored answer is there at once.
        put_together()
    elif shown is not None and (joined := rows.join(wanted, shown, None)) is not None:
        jobs.stop_job(VERB)
        session.fail(VERB, None)
        session.finish(VERB, session.result_key(VERB) or "", joined)


def put_together() -> None:
    """Where a run brought the new rows of a comparison alone: join them with those that were there before."""
    joining, result = st.session_state.get(JOINING), session.result(VERB, Comparison)
    if joining is None or result is None or jobs.running(VERB) is not None:
        return
    wanted, shown, part = joining
    if result.request != part or part == wanted:
        return
    st.session_state[JOINING] = None
    joined = rows.join(wanted, shown, result)
    if joined is None:
        # Another baseline than before: what is compared must have one.
        jobs.run_job(VERB, wanted)
    else:
        session.finish(VERB, session.result_key(VERB) or "", joined)
