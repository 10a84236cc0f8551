"""What neurons push towards, looked up a table at a time while the page stays usable.

Owns the session's small jobs for output tokens and a bounded memory of their answers. Refuses to wait:
what is not known yet is left blank and comes with a later run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from app import session
from app.widgets.text import named
from backend.errors import HNeuronsError
from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_LENS, Lens, LensRequest, Pushed

SHOWN = 2
"""Output tokens named in a table."""
MAX_HELD = 2_000
POLL_SECONDS = 0.4
FIRST_WAIT = 0.3
"""Seconds that a table waits for its own look-up, which spares most of them a second drawing."""
_JOBS, _HELD = "pushes-jobs", "pushes-held"


def towards(neurons: Sequence[NeuronId]) -> list[str] | None:
    """For each neuron the tokens it raises most, '' where that is not known yet; None where no model is loaded."""
    status = session.status()
    if status.state != "ready" or status.info is None:
        return None
    held: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    model = status.info.fingerprint
    if any((model, neuron) not in held for neuron in neurons):
        _ask(model, [neuron for neuron in neurons if (model, neuron) not in held])
        if not _collect(wait=FIRST_WAIT):
            _watch()
    return [held.get((model, neuron), "") for neuron in neurons]


def _watch() -> None:
    """Draw the page anew once the look-ups under way have ended."""

    @st.fragment(run_every=POLL_SECONDS)
    def wait() -> None:
        if _collect():
            st.rerun(scope="app")

    wait()


def _ask(model: str, neurons: Sequence[NeuronId]) -> None:
    jobs: dict[str, tuple[str, NeuronSet]] = st.session_state.setdefault(_JOBS, {})
    underway = {neuron for of, asked in jobs.values() if of == model for neuron in asked}
    missing = [neuron for neuron in neurons if neuron not in underway]
    for start in range(0, len(missing), MAX_LENS):
        asked = NeuronSet(tuple(missing[start : start + MAX_LENS]))
        try:
            job = session.client().submit("lens", LensRequest(neurons=asked, top=SHOWN), _queue())
            jobs[job] = (model, asked)
        except HNeuronsError as error:
            _hold(model, asked, f"({error.what})")


def _queue() -> str:
    """A queue of their own: sessions take turns, so a question never waits behind a table's look-ups."""
    return f"{session.session_id()}-pushes"


def _collect(wait: float = 0.0) -> bool:
    """Take up what is finished, after at most `wait` seconds; whether nothing is left to wait for."""
    until = time.monotonic() + wait
    jobs: dict[str, tuple[str, NeuronSet]] = st.session_state.get(_JOBS, {})
    for job, (model, asked) in list(jobs.items()):
        try:
            seen = session.client().view(job, wait=max(0.0, until - time.monotonic()))
            if seen.state in {"queued", "running"}:
                continue
            found = session.client().result(seen.key) if seen.key else None
            _hold(model, asked, "(not known)")
            for one in found.pushed if isinstance(found, Lens) else ():
                _hold(model, (one.neuron,), _told(one))
        except HNeuronsError as error:
            _hold(model, asked, f"({error.what})")
        del jobs[job]
    return not jobs


def _hold(model: str, neurons: Sequence[NeuronId], words: str) -> None:
    held: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    for neuron in neurons:
        while len(held) >= MAX_HELD:
            del held[next(iter(held))]
        held[model, neuron] = words


def _told(one: Pushed) -> str:
    return " ".join(named(token.shown) for token in one.promotes[:SHOWN])
