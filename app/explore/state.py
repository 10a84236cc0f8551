"""What Explore asks for: its form, its request and what was typed and not run, in step with the view.

Owns the step from form to request and back. Refuses to draw figures and to compute.
"""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from app import session, text
from app.explore import form
from app.forms import Unrun
from app.shared import jobs
from backend.errors import BadInput
from backend.types import Exploration, ExploreRequest
from backend.types.refusal import refused

FORM = "explore.form"
"""Key of the request that the form was last in step with."""
REFUSED = "explore.refused"
"""Key of what the form said when it could not be asked."""


def ask_it() -> None:
    """Run pressed or an example picked: ask what the form says."""
    try:
        request = form.request()
    except BadInput as error:
        session.fail("explore", error)
        st.session_state[REFUSED] = _said()
        return
    session.ask(request)
    st.session_state[FORM] = session.view().explore_request()
    jobs.run_job("explore", request.model_copy(update={"neurons": session.followed()}))


def forget_refusal() -> None:
    """Let go of why the form could not be asked, once it says something else."""
    if isinstance(session.failure("explore"), BadInput) and st.session_state.get(REFUSED, _said()) != _said():
        session.fail("explore", None)


def _said() -> tuple[str, dict[str, object]]:
    return form.typed(), form.changed(session.view().explore_request())


def fill(opened: bool) -> None:
    """Let the form say what is asked, where that came from elsewhere: a link, Back, another page, the example."""
    view = session.view()
    asked = view.explore_request()
    if opened or not form.filled() or st.session_state.get(FORM) != asked:
        # The example brings its question; its short answer is not a setting that a person made.
        shown = session.asked()
        form.fill(asked, view.draft or (shown.prompt if shown and asked is None else None), view.unrun.changed())
    st.session_state[FORM] = asked


def wanted() -> ExploreRequest | None:
    """The request in the view; one that cannot be asked is told of and left out."""
    try:
        return session.view().explore_request(session.followed())
    except ValidationError as error:
        session.note(refused(error).sentence)
        session.change(prompt=None)
        return None


def short(prompt: str, longest: int = 90) -> str:
    """The beginning of a prompt, for a line of its own."""
    return prompt if len(prompt) <= longest else f"{prompt[:longest]}…"


def say_not_run(result: Exploration) -> None:
    """Say whose answer stands below, where the form now says something else."""
    view = session.view()
    if view.draft is None and not view.unrun.changed():
        return
    what = "The box holds another question" if view.draft is not None else "Settings were changed since"
    then = "The box is empty." if view.draft == "" else f"{what}: Run asks it."
    st.info(
        f"Below stands the answer to “{text.markdown(short(result.request.prompt))}”. {then}",
        icon=":material/history:",
    )


def keep_draft() -> None:
    """What was typed and not run stands in the address too, so that a reload does not lose it."""
    asked, view = session.asked(), session.view()
    unrun = form.typed() != (asked.prompt if asked else "")
    session.change(
        draft=form.typed() if unrun else None, unrun=Unrun(**form.changed(view.explore_request()))
    )  # fmt: skip
