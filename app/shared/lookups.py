"""Small requests beside the page's own run: asked at once, taken up when they are there, while the page stays usable.

Owns the session's jobs of each kind of look-up. Refuses to wait for long and to keep answers: who asks takes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import session
from backend.errors import HNeuronsError
from backend.serve.client import fetched, has_ended
from backend.types import Request, Result, Verb

POLL_SECONDS = 0.4
Take = Callable[[Any, Result | None, HNeuronsError | None], None]
"""Called with what was asked about, and its result or why there is none."""


def ask(kind: str, verb: Verb, request: Request, about: Any, take: Take) -> None:
    """Submit a look-up of a kind, in a queue of its own: sessions take turns, so no question waits behind it."""
    try:
        job = session.client().jobs.submit(verb, request, f"{session.session_id()}-{kind}")
    except HNeuronsError as error:
        take(about, None, error)
        return
    _jobs(kind)[job] = about


def underway(kind: str) -> list[Any]:
    """What the look-ups of a kind that are not over yet are about."""
    return list(_jobs(kind).values())


def collect(kind: str, take: Take, wait: float = 0.0) -> bool:
    """Take up what is finished, after at most `wait` seconds; whether nothing is left to wait for."""
    until = time.monotonic() + wait
    jobs = _jobs(kind)
    for job, about in list(jobs.items()):
        try:
            seen = session.client().jobs.view(job, wait=max(0.0, until - time.monotonic()))
            if not has_ended(seen):
                continue
            take(about, fetched(session.client().results, seen), None)
        except HNeuronsError as error:
            take(about, None, error)
        del jobs[job]
    return not jobs


def watch(kind: str, take: Take) -> None:
    """Draw the page anew once the look-ups under way have ended."""

    @st.fragment(run_every=POLL_SECONDS)
    def wait() -> None:
        if collect(kind, take):
            st.rerun(scope="app")

    wait()


def _jobs(kind: str) -> dict[str, Any]:
    jobs: dict[str, Any] = st.session_state.setdefault(f"lookups-{kind}", {})
    return jobs
