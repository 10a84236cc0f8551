"""Runs on the page: begun, watched with the time left, stopped, resumed.

A run goes on when the browser is closed; whoever opens the page sees it.
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import session
from app.widgets import jobs, text
from app.widgets.frame import muted
from backend.errors import BadInput, HNeuronsError
from backend.types import IdentifyRequest, StageEvent
from backend.types.plan import RunView

POLL_SECONDS = 1.0
FAILED = "train:failed"
"""Why the last run could not begin or go on; it stands under the form."""
_JOBS = "train:jobs"


def start(request: IdentifyRequest) -> None:
    """Begin or go on with a run. Raises HNeuronsError."""
    job = session.client().submit("identify", request, session.session_id())
    st.session_state[_JOBS] = {**st.session_state.get(_JOBS, {}), request.name: job}


@st.fragment(run_every=POLL_SECONDS)
def draw() -> None:
    """Every run with how far it is. Drawn again each second while the page is open."""
    try:
        runs = session.client().runs()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    mine: dict[str, str] = st.session_state.get(_JOBS, {})
    begun = {run.name for run in runs}
    for name, job in mine.items():
        if name not in begun:
            _waiting(name, job)
    if not runs and not mine:
        st.markdown(muted("None yet. What you start stands here, with the time it still takes."))
    for run in runs:
        _run(run, run.job or mine.get(run.name))


def _waiting(name: str, job: str) -> None:
    """A run that has written nothing yet."""
    with st.container(border=True):
        st.markdown(f"**{text.markdown(name)}**")
        if not _progress(name, job):
            _ended(name, job)


def _run(run: RunView, job: str | None) -> None:
    with st.container(border=True, key=f"run-{run.name}".replace(".", "_")):
        line = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        line.markdown(f"**{text.markdown(run.name)}**", width="content")
        when = datetime.fromtimestamp(run.changed).astimezone()
        line.markdown(muted(f"{text.markdown(run.model)} · {when:%d %b %H:%M}"), width="content")
        going = run.job is not None and _progress(run.name, run.job)
        if going:
            return
        _ended(run.name, job)
        told = f"{run.questions:,} questions, {run.sampled:,} answered in samples"
        row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        row.markdown(muted(told + ("" if run.done else ", not finished")), width="content")
        if run.done and row.button("Open", key=f"open-{run.name}", icon=":material/open_in_new:"):
            session.probes(fresh=True)
            session.change(probe=run.name, room="report", card=None)
            st.rerun(scope="app")
        if not run.done and row.button("Resume", key=f"resume-{run.name}", icon=":material/play_arrow:"):
            resume(run)
            st.rerun(scope="fragment")


def resume(run: RunView) -> None:
    """Go on with a run; a refusal stands under the form."""
    info = session.status().info
    try:
        if info is not None and info.fingerprint != run.fingerprint:
            raise BadInput(
                f"{run.name} asks {run.model}", f"{info.name} is loaded", "load that model on the page Models first"
            )
        start(IdentifyRequest(name=run.name, plan=run.plan, command="made on the page Identify"))
        st.session_state[FAILED] = None
    except HNeuronsError as error:
        st.session_state[FAILED] = error


def _progress(name: str, job: str) -> bool:
    """How far a job is, with Stop; whether it still goes on."""
    try:
        seen = session.client().view(job)
    except HNeuronsError:
        return False
    if seen.state not in ("queued", "running"):
        return False
    stages = [event for event in seen.events if isinstance(event, StageEvent)]
    words, fraction = (stages[-1].stage, stages[-1].fraction) if stages else ("beginning", None)
    if seen.state == "queued":
        words = f"waiting: {seen.position} before it" if seen.position else "waiting for the model"
    line = st.container(horizontal=True, vertical_alignment="center", wrap=False)
    line.progress(min(max(fraction or 0.0, 0.0), 1.0), text=text.markdown(words))
    if line.button("Stop", icon=":material/stop_circle:", key=f"stop-{name}"):
        try:
            session.client().stop(job)
        except HNeuronsError as error:
            jobs.shown_error(error)
    return True


def _ended(name: str, job: str | None) -> None:
    """Why a job of this session ended, where it did badly."""
    if job is None:
        return
    try:
        seen = session.client().view(job)
    except HNeuronsError:
        return
    if seen.state == "failed" and seen.error is not None:
        jobs.shown_error(HNeuronsError.from_json(seen.error))
    elif seen.state == "done":
        st.markdown(muted("Finished just now."))
