"""What Explore asks for: its form, its request and what was typed and not run, in step with the view.

Owns the step from form to request and back. Refuses to draw figures and to compute.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from app import session, shelf, text
from app.explore import form
from app.explore.view import NONE, ExploreView, Unrun
from app.shared import example, jobs, joins
from app.shared.joins import Field, Join
from app.shared.view import ASKED, Shared
from backend.errors import BadInput
from backend.neurons import NeuronSet
from backend.types import Decoding, Exploration, ExploreRequest, Threshold
from backend.types.names import ProbeRef
from backend.types.refusal import refused

REFUSED = "explore.refused"
"""Key of what the form said when it could not be asked."""


def ask_it() -> None:
    """Run pressed or an example picked: ask what the form says."""
    try:
        request, decoding = form.request()
    except BadInput as error:
        session.fail("explore", error)
        st.session_state[REFUSED] = _said()
        return
    longest = example.length(request.prompt, decoding.max_new_tokens)
    _ask(request, decoding.model_copy(update={"max_new_tokens": longest}))
    keep_draft()
    asked = wanted()
    if asked is not None:
        jobs.run_job("explore", asked)


def _ask(request: ExploreRequest, decoding: Decoding) -> None:
    """Put a request into the view, as when Run is pressed, with the model that is to answer it.

    The model is named at once: were it told when the answer is there, Back would first undo only that.
    """
    session.put(session.view(Shared).asking(request, decoding))
    session.put(session.view(ExploreView).asking(request))
    session.change(ExploreView, model=session.status().name)


def _request(neurons: NeuronSet = NONE, probe: ProbeRef | None = None) -> ExploreRequest | None:
    return session.view(ExploreView).request(session.view(Shared), neurons, probe)


def _standing() -> ExploreRequest | None:
    """What the form says where nothing was changed in it: what is asked and, where an answer is given, how the next one
    is to be decoded. Raises ValidationError."""
    asked = _request()
    return asked and asked.model_copy(update={"decoding": session.view(Shared).decoding})


def _asked() -> ExploreRequest | None:
    """The question on the page: the view's own, else that of the exploration shown. Raises ValidationError."""
    shown = session.result("explore", Exploration)
    return _request() or (shown.request if shown else None)


def forget_refusal() -> None:
    """Let go of why the form could not be asked, once it says something else."""
    if isinstance(session.failure("explore"), BadInput) and st.session_state.get(REFUSED, _said()) != _said():
        session.fail("explore", None)


def _said() -> tuple[str, dict[str, object]]:
    return form.typed(), form.changed(_standing())


def settle() -> None:
    """Where no question is asked: the settings of a link are not asked either, and stand in the form, to be run."""
    shared, view = session.view(Shared), session.view(ExploreView)
    said = ExploreRequest.model_construct(
        prompt="", chat=shared.chat, system=shared.system, answer=view.answer, decoding=shared.decoding,
        threshold=view.threshold,
    )  # fmt: skip
    unrun = view.unrun
    for name, value in form.differing(said).items():
        try:
            new = Unrun.model_validate({name: value})
        except ValidationError as error:
            session.note(refused(error).sentence)
        else:
            unrun = Unrun(**(dict(new) | unrun.model_dump(exclude_none=True)))
    usual = Shared()
    session.change(Shared, chat=usual.chat, system=usual.system, decoding=usual.decoding)
    session.change(ExploreView, answer=None, threshold=Threshold(), unrun=unrun)


def fill() -> None:
    """Let the form say what is asked, where that came from elsewhere: a link, Back, another page, the example."""
    joins.take_up((FORM,))


def keep_draft() -> None:
    """What was typed and not run stands in the address too, so that a reload does not lose it."""
    joins.keep((FORM,))


def _put(draft: str | None, unrun: Unrun, *_: Any) -> None:
    asked, shown = _standing(), _asked()
    # The example brings its question; its short answer is not a setting that a person made.
    its_prompt = shown.prompt if shown is not None and asked is None else None
    form.fill(asked, its_prompt if draft is None else draft, unrun.model_dump(exclude_none=True))


def _read_draft() -> tuple[str | None, Unrun]:
    asked = _asked()
    draft = form.typed() if form.typed() != (asked.prompt if asked else "") else None
    try:
        return draft, Unrun(**form.changed(_standing()))
    except ValidationError:
        # Run says what is wrong; until then the address has what was right before.
        return draft, session.view(ExploreView).unrun


FORM = Join(
    (Field(ExploreView, "draft"), Field(ExploreView, "unrun")),
    _put,
    _read_draft,
    shown=(
        *(Field(Shared, name) for name in sorted(ASKED)),
        *(Field(ExploreView, name) for name in ("answer", "threshold")),
    ),
)
"""The form: it shows what is asked, and sets what was typed and not run."""


def wanted() -> ExploreRequest | None:
    """The request in the view; one that cannot be asked is told of and left out."""
    try:
        return _request(shelf.followed(), shelf.scored_by())
    except ValidationError as error:
        session.note(refused(error).sentence)
        if session.view(ExploreView).draft is None:
            session.change(ExploreView, draft=session.view(Shared).prompt or None)
        session.change(Shared, prompt=None)
        return None


def short(prompt: str, longest: int = 90) -> str:
    """The beginning of a prompt, for a line of its own."""
    return prompt if len(prompt) <= longest else f"{prompt[:longest]}…"


def say_not_run(result: Exploration) -> None:
    """Say whose answer stands below, where the form now says something else."""
    view = session.view(ExploreView)
    if view.draft is None and view.unrun == Unrun():
        return
    if view.draft is None:
        then = "Settings were changed since. Press Run to use them."
    else:
        then = "The box is empty." if view.draft == "" else "The box holds another question. Press Run to ask it."
    st.info(
        f"Below is the answer to “{text.markdown(short(result.request.prompt))}”. {then}",
        icon=":material/history:",
    )
