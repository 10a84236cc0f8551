"""Runs on the page: begun, watched with the time left, stopped, resumed.

A run goes on when the browser is closed; whoever opens the page sees it.
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import session, shelf, text
from app.identify.view import IdentifyView
from app.shared import jobs
from app.shared.frame import muted
from app.shared.view import Shared
from backend.errors import BadInput, HNeuronsError
from backend.serve.client import has_ended
from backend.types import IdentifyRequest, JobView, StageEvent
from backend.types.numbers import counted
from backend.types.plan import RunView

POLL_SECONDS = 1.0
FAILED = "train:failed"
"""Why the last run could not begin or go on; it stands under the form."""
DELETING, STARTED = "train:deleting", "train:started"
SHOWN = "train:shown"
"""False until what came of the last Start, a run or a refusal, was brought into the window."""
AGAIN = "train:again"
"""True where the run that is being changed was once more to be changed, until that was told."""
_JOBS, _ENDED = "train:jobs", "train:ended"


def start(request: IdentifyRequest) -> None:
    """Begin or go on with a run. Raises HNeuronsError."""
    job = session.client().jobs.submit("identify", request, session.session_id())
    st.session_state[_JOBS] = {**st.session_state.get(_JOBS, {}), request.name: job}
    st.session_state[STARTED] = request.name
    st.session_state[SHOWN] = False


@st.fragment(run_every=POLL_SECONDS)
def draw_runs(changed: RunView | None) -> None:
    """Every run with how far it is. Drawn again each second while the page is open.

    Args:
        changed: the run that the form changes; where it is there no more, the page is drawn anew, and says so.
    """
    try:
        runs = session.client().runs.list()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    mine: dict[str, str] = st.session_state.get(_JOBS, {})
    begun = {run.name for run in runs}
    if changed is not None and changed.name not in begun:
        st.rerun(scope="app")
    for name, job in mine.items():
        if name not in begun:
            _waiting(name, job)
    if not runs and not mine:
        st.markdown(muted("No runs yet. A run that you start appears here, with the time left."))
    for run in runs:
        _run(run, run.job or mine.get(run.name))


def _waiting(name: str, job: str) -> None:
    """A run that has written nothing yet."""
    with st.container(border=True):
        st.markdown(f"**{text.markdown(name)}**")
        seen = _seen(job)
        if not progress(name, seen):
            _ended(seen)


def _run(run: RunView, job: str | None) -> None:
    with st.container(border=True, key=f"run-{run.name}".replace(".", "_")):
        line = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        line.markdown(f"**{text.markdown(run.name)}**", width="content")
        when = datetime.fromtimestamp(run.changed).astimezone()
        line.markdown(muted(f"{text.markdown(run.model)} · {when:%d %b %H:%M}"), width="content")
        seen = None if job is None else _seen(job)
        going = run.job is not None and progress(run.name, seen)
        if run.outlook and not run.done:
            (st.warning if run.short else st.markdown)(text.markdown(run.outlook))
        if going:
            return
        _standing(run, seen)
        sentence = f"{run.questions:,} questions, {run.sampled:,} also answered by sampling"
        st.markdown(muted(sentence + ("" if run.done else ", not finished")))
        _actions(run)


def _standing(run: RunView, seen: JobView | None) -> None:
    """Why the run is not at work: it failed, or waits for its model; else how this session's job ended."""
    if run.error is not None:
        jobs.shown_error(HNeuronsError.from_json(run.error))
    elif run.waits:
        st.info(
            "This run was interrupted, because another model was loaded or the program ended. It continues by itself "
            f"when {text.markdown(run.model)} is loaded.",
            icon=":material/hourglass_top:",
        )
    else:
        _ended(seen)


def _actions(run: RunView) -> None:
    row = st.container(horizontal=True, vertical_alignment="center")
    if run.done and row.button("Open", key=f"open-{run.name}", icon=":material/open_in_new:"):
        shelf.probes(fresh=True)
        session.change(Shared, probe=run.name, card=None)
        session.change(IdentifyView, room="report")
        st.rerun(scope="app")
    if run.waits and row.button("Stop", key=f"stop-{run.name}", icon=":material/stop_circle:"):
        stop(run)
        st.rerun(scope="app")
    if not run.done and row.button("Resume", key=f"resume-{run.name}", icon=":material/play_arrow:"):
        resume(run)
        st.rerun(scope="fragment")
    if row.button(
        "Change or widen", key=f"change-{run.name}", icon=":material/tune:",
        help="Opens its settings in the form, for more questions or samples, another filter or fit. No answer is lost.",
    ):  # fmt: skip
        if session.view(IdentifyView).changing == run.name:
            st.session_state[AGAIN] = True
        else:
            session.change(IdentifyView, changing=run.name, form=None)
        st.rerun(scope="app")
    if not run.ships and row.button("Delete", key=f"delete-{run.name}", icon=":material/delete:"):
        st.session_state[DELETING] = run.name
        st.rerun(scope="app")


@st.dialog("Delete?")
def ask_delete(name: str) -> None:
    """Ask before a run or probe is deleted, and do it."""
    st.markdown(f"**{text.markdown(name)}** will be deleted with all its answers and verdicts. This cannot be undone.")
    row = st.container(horizontal=True)
    # By a callback: it runs whether or not the dialog is drawn once more.
    if row.button("Delete", type="primary", icon=":material/delete:", key="delete-yes", on_click=_delete, args=(name,)):
        st.rerun()
    if row.button("Keep it", key="delete-no"):
        st.rerun()


def _delete(name: str) -> None:
    try:
        session.client().runs.delete(name)
    except HNeuronsError as error:
        st.session_state[FAILED] = error
        return
    mine = st.session_state.get(_JOBS, {})
    st.session_state[_JOBS] = {other: job for other, job in mine.items() if other != name}
    shelf.probes(fresh=True)
    if session.view(Shared).probe == name:
        session.change(Shared, probe=None, card=None)


def asked_to_delete() -> None:
    """The dialog, where Delete was pressed. To be called once a page, outside fragments."""
    name = st.session_state.get(DELETING)
    if name is not None:
        ask_delete(name)
        # Last: where another run of the page ends this one early, the next still asks.
        st.session_state.pop(DELETING, None)


@st.fragment(run_every=POLL_SECONDS)
def just_started() -> None:
    """The run that this session began last, under the button that began it: how far it is, or that it has ended."""
    name = str(st.session_state.get(STARTED, ""))
    job = st.session_state.get(_JOBS, {}).get(name)
    if job is None:
        return
    with st.container(border=True, key="just-started"):
        head = st.container()
        seen = _seen(job)
        going = progress(name, seen, "started")
        sentence = f"{going}; it is also listed under Runs." if going else "is no longer running: see it under Runs."
        head.markdown(f"**{text.markdown(name)}** {muted(sentence)}")
        if not going:
            _ended(seen)


def stop(run: RunView) -> None:
    """Let a run that waits for its model go on by itself no more; a refusal stands under the form."""
    st.session_state[FAILED] = None
    try:
        session.client().runs.stop(run.name)
    except HNeuronsError as error:
        st.session_state[FAILED] = error


def resume(run: RunView) -> None:
    """Go on with a run; a refusal stands under the form."""
    info = session.status().info
    try:
        # One that was never begun may wait for a model of which the name alone was known.
        is_other = info is not None and (
            info.fingerprint != run.fingerprint if run.fingerprint else info.name != run.model
        )
        if info is not None and is_other:
            raise BadInput(
                f"{run.name} needs {run.model}", f"{info.name} is loaded", f"first load {run.model} on the page Models"
            )
        start(IdentifyRequest(name=run.name, plan=run.plan, command="made on the page Identify"))
        st.session_state[FAILED] = None
    except HNeuronsError as error:
        st.session_state[FAILED] = error


def _seen(job: str) -> JobView | None:
    """A job as it is now, and as it ended once it has; None where the engine knows none."""
    ended: dict[str, JobView] = st.session_state.setdefault(_ENDED, {})
    if job not in ended:
        try:
            seen = session.client().jobs.view(job)
        except HNeuronsError:
            return None
        if not has_ended(seen):
            return seen
        ended[job] = seen
    return ended[job]


def progress(name: str, seen: JobView | None, place: str = "") -> str:
    """How far a job is, with Stop; what it does, in words behind its name, none where it has ended."""
    if seen is None or has_ended(seen):
        return ""
    stages = [event for event in seen.events if isinstance(event, StageEvent)]
    words, fraction = (stages[-1].stage, stages[-1].fraction) if stages else ("Starting", None)
    if seen.waits_for is not None:
        words = f"Interrupted: another model was loaded. It continues by itself when {seen.waits_for} is loaded again"
        fraction = next((event.fraction for event in reversed(stages) if event.fraction is not None), None)
    elif seen.state == "queued":
        words = f"Waiting: {counted(seen.position, 'run')} before it" if seen.position else "Waiting for the model"
    line = st.container(horizontal=True, vertical_alignment="center", wrap=False)
    line.progress(min(max(fraction or 0.0, 0.0), 1.0), text=text.markdown(words))
    if line.button("Stop", icon=":material/stop_circle:", key=f"stop-{place}{name}"):
        try:
            session.client().jobs.stop(seen.id)
        except HNeuronsError as error:
            jobs.shown_error(error)
    if seen.waits_for is not None:
        return "waits for its model"
    return "waits for its turn" if seen.state == "queued" and seen.position else "is under way"


def _ended(seen: JobView | None) -> None:
    """Why a job of this session ended, where it did badly."""
    if seen is None:
        return
    if seen.state == "failed" and seen.error is not None:
        jobs.shown_error(HNeuronsError.from_json(seen.error))
    elif seen.state == "done":
        st.markdown(muted("Finished just now."))
