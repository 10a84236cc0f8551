"""What neurons push towards, looked up a few at a time while the page stays usable.

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
from backend.neurons import NeuronId
from backend.types import NeuronCard, NeuronRequest

SHOWN = 2
"""Output tokens named in a table."""
MAX_HELD = 2_000
POLL_SECONDS = 0.4
FIRST_WAIT = 0.25
"""Seconds that a table waits for its own look-ups, which spares most of them a second drawing."""
_JOBS, _HELD = "pushes-jobs", "pushes-held"


def towards(neurons: Sequence[NeuronId]) -> list[str] | None:
    """For each neuron the tokens it raises most, '' where that is not known yet; None where no model is loaded."""
    status = session.client().status()
    if status.state != "ready" or status.info is None:
        return None
    held: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    model = status.info.fingerprint
    missing = [neuron for neuron in neurons if (model, neuron) not in held]
    if missing:
        _ask(model, missing)
        _watch(model)
    return [held.get((model, neuron), "") for neuron in neurons]


def _ask(model: str, neurons: Sequence[NeuronId]) -> None:
    jobs: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_JOBS, {})
    for neuron in neurons:
        if (model, neuron) not in jobs:
            request = NeuronRequest(neuron=neuron, top=SHOWN)
            try:
                jobs[model, neuron] = session.client().submit("neuron", request, _queue())
            except HNeuronsError as error:
                _hold(model, neuron, f"({error.what})")
    _collect(wait=FIRST_WAIT)


def _queue() -> str:
    """A queue of their own: sessions take turns, so a question never waits behind a table's look-ups."""
    return f"{session.session_id()}-pushes"


def _watch(model: str) -> None:
    if not st.session_state.get(_JOBS):
        return

    @st.fragment(run_every=POLL_SECONDS)
    def wait() -> None:
        if _collect():
            st.rerun(scope="app")

    wait()


def _collect(wait: float = 0.0) -> bool:
    """Take up what is finished, after at most `wait` seconds; whether nothing is left to wait for."""
    until = time.monotonic() + wait
    jobs: dict[tuple[str, NeuronId], str] = st.session_state.get(_JOBS, {})
    for (model, neuron), job in list(jobs.items()):
        try:
            seen = session.client().view(job, wait=max(0.0, until - time.monotonic()))
            if seen.state in {"queued", "running"}:
                continue
            card = session.client().result(seen.key) if seen.key else None
            _hold(model, neuron, _told(card) if isinstance(card, NeuronCard) else "not known")
        except HNeuronsError as error:
            _hold(model, neuron, f"({error.what})")
        del jobs[model, neuron]
    return not jobs


def _hold(model: str, neuron: NeuronId, words: str) -> None:
    held: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    while len(held) >= MAX_HELD:
        del held[next(iter(held))]
    held[model, neuron] = words


def _told(card: NeuronCard) -> str:
    return " ".join(named(one.shown) for one in card.promotes[:SHOWN])
