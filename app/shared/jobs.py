"""A run on the page: submit it, watch it, stop it, take up its result, show its error.

Owns the session's running job of each verb and the fragment that polls it. Refuses to compute: the
engine's worker does, and goes on when the browser is gone. Streamed text is data, never Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import streamlit as st

from app import session, text
from app.shared.frame import muted
from backend.errors import HNeuronsError, Stopped
from backend.serve.client import fetched, has_ended
from backend.types import (
    CompareRequest,
    Event,
    ExploreRequest,
    PromptEvent,
    Request,
    RowPlan,
    StageEvent,
    TokenEvent,
    TokenInfo,
    Verb,
)
from backend.types.numbers import counted

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Progress:
    """A run as far as it has come. Rows are those of the batch; an exploration has row 0 alone."""

    state: str = "queued"
    position: int = 0
    stage: str | None = None
    fraction: float | None = None
    prompt: tuple[TokenInfo, ...] = ()
    plans: tuple[RowPlan, ...] = ()
    texts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, tuple[TokenInfo, ...]] = field(default_factory=dict)

    def after(self, event: Event) -> Progress:
        """This progress with one more event in it."""
        if isinstance(event, StageEvent):
            return replace(self, stage=event.stage, fraction=event.fraction)
        if isinstance(event, PromptEvent):
            return replace(self, prompt=event.tokens, plans=event.rows)
        if not isinstance(event, TokenEvent):
            return self
        before = self.tokens.get(event.row, ())
        return replace(
            self,
            stage=None,
            fraction=None,
            texts={**self.texts, event.row: event.text},
            tokens={**self.tokens, event.row: (*before, event.token)},
        )


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job of this session and what is known of it."""

    id: str
    verb: Verb
    request: Request
    next: int = 0
    progress: Progress = field(default_factory=Progress)


def run_job(verb: Verb, request: Request, wait: float = 0.0) -> None:
    """Submit `request`; the one before it of the same verb is stopped. A refusal is held for `shown_failure`.

    Waits up to `wait` seconds for news, which spares a quick answer a second drawing of the page.
    """
    stop_job(verb)
    session.fail(verb, None)
    try:
        job = session.client().jobs.submit(verb, request, session.session_id())
    except HNeuronsError as error:
        session.fail(verb, error)
        return
    st.session_state[_key(verb)] = SubmittedJob(job, verb, request)
    _poll(verb, wait)


def running(verb: Verb) -> SubmittedJob | None:
    """The session's job of `verb` that is not over yet."""
    return st.session_state.get(_key(verb))


def stop_job(verb: Verb) -> bool:
    """Stop the session's job of `verb`, if there is one, within one token; False where the engine was not told, whose
    reason is held for `shown_failure`."""
    job = st.session_state.pop(_key(verb), None)
    if job is None:
        return True
    try:
        session.client().jobs.stop(job.id)
    except HNeuronsError as error:
        session.fail(verb, error)
        return False
    return True


def watch_job(verb: Verb, draw: Callable[[Progress], None] | None = None) -> None:
    """Draw the running job of `verb` until it is over, then run the page again with its result.

    Args:
        verb: whose job to watch; nothing is drawn where none runs.
        draw: draws what has streamed so far; by default the text of row 0.
    """
    if running(verb) is None:
        return

    @st.fragment(run_every=POLL_SECONDS)
    def watch() -> None:
        if running(verb) is None or _poll(verb):
            st.rerun(scope="app")
        job = running(verb)
        assert job is not None
        _status(job, verb)
        (draw or _plain)(job.progress)

    watch()


def _key(verb: Verb) -> str:
    return f"job:{verb}"


def _poll(verb: Verb, wait: float = 0.0) -> bool:
    """Take up what is new of the job, and at its end the result or the error; whether it is over."""
    job = running(verb)
    if job is None:
        return True
    try:
        seen = session.client().jobs.view(job.id, job.next, wait)
        progress = replace(job.progress, state=seen.state, position=seen.position)
        for event in seen.events:
            progress = progress.after(event)
        st.session_state[_key(verb)] = replace(job, next=seen.next, progress=progress)
        over = has_ended(seen)
        if over:
            session.finish(verb, seen.key or "", fetched(session.client().results, seen))
    except HNeuronsError as error:
        session.fail(verb, error)
        over = True
    if over:
        st.session_state.pop(_key(verb), None)
    return over


def _status(job: SubmittedJob, verb: Verb) -> None:
    """Where the run stands, and Stop."""
    row = st.container(horizontal=True, vertical_alignment="center", wrap=False)
    words, fraction = told(job)
    row.progress(min(max(fraction, 0.0), 1.0), text=text.markdown(words))
    if row.button("Stop", icon=":material/stop_circle:", key=f"stop:{verb}"):
        if stop_job(verb):
            session.fail(verb, Stopped())
        st.rerun(scope="app")


def told(job: SubmittedJob) -> tuple[str, float]:
    """Where a run stands, in words and as a share of the whole: its place in the queue, its stage, or its token."""
    progress = job.progress
    if progress.state == "queued":
        ahead = (
            f"Waiting: {counted(progress.position, 'run')} before yours."
            if progress.position
            else "Waiting for the model."
        )
        return f"{ahead} {progress.stage or ''}".strip(), progress.fraction or 0.0
    written = max((len(tokens) for tokens in progress.tokens.values()), default=0)
    if not written or not isinstance(job.request, ExploreRequest | CompareRequest):
        return progress.stage or "Running", progress.fraction or 0.0
    longest = job.request.decoding.max_new_tokens
    share = progress.fraction if progress.fraction is not None else written / longest
    rows = f" in each of {len(progress.plans)} answers" if len(progress.plans) > 1 else ""
    return progress.stage or f"Writing token {written} of at most {longest}{rows}", share


@contextmanager
def dimmed(key: str, words: str = "") -> Iterator[None]:
    """Draw what belongs to an earlier request, pale and out of reach of clicks; `words`, Markdown, say what it is."""
    st.html(f"<style>.st-key-before-{key} {{ opacity: 0.45; pointer-events: none; }}</style>")
    if words:
        st.markdown(muted(words))
    with st.container(key=f"before-{key}"):
        yield


def _plain(progress: Progress) -> None:
    st.html(text.block(progress.texts.get(0, "")))


def shown_failure(verb: Verb) -> None:
    """Show in place why the last run of `verb` ended badly, if it did."""
    error = session.failure(verb)
    if error is not None:
        shown_error(error)


def shown_error(error: HNeuronsError) -> None:
    """An error in place: what, why, what instead. A stop is told, not alarmed of."""
    what, why, instead = (text.markdown(part) for part in (error.what, _capital(error.why), _capital(error.instead)))
    words = f"**{what}.** {why}. {instead}."
    if isinstance(error, Stopped):
        st.info(words, icon=":material/stop_circle:")
    else:
        st.error(words, icon=":material/error:")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
