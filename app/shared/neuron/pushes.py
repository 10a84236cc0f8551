"""What neurons push towards, looked up a table at a time while the page stays usable.

Owns the question for output tokens and a bounded memory of its answers. What is not known yet is left blank and comes
with a later run.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import session
from app.shared import lookups
from app.text import named
from backend.errors import HNeuronsError
from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_LENS, Lens, LensRequest, Pushed, Result

SHOWN = 2
"""Output tokens named in a table."""
MAX_HELD = 2_000
FIRST_WAIT = 0.3
"""Seconds that a table waits for its own look-up, which spares most of them a second drawing."""
_KIND, _HELD = "pushes", "pushes-held"
About = tuple[str, NeuronSet]
"""A model's fingerprint, and the neurons asked about."""


def towards(neurons: Sequence[NeuronId]) -> list[str] | None:
    """For each neuron the tokens it raises most, '' where that is not known yet; None where no model is loaded."""
    status = session.status()
    if status.state != "ready" or status.info is None:
        return None
    directions: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    model = status.info.fingerprint
    if any((model, neuron) not in directions for neuron in neurons):
        _ask(model, [neuron for neuron in neurons if (model, neuron) not in directions])
        if not lookups.collect(_KIND, _take, wait=FIRST_WAIT):
            lookups.watch(_KIND, _take)
    return [directions.get((model, neuron), "") for neuron in neurons]


def _ask(model: str, neurons: Sequence[NeuronId]) -> None:
    underway = {neuron for of, asked in lookups.underway(_KIND) if of == model for neuron in asked}
    missing = [neuron for neuron in neurons if neuron not in underway]
    for start in range(0, len(missing), MAX_LENS):
        asked = NeuronSet(tuple(missing[start : start + MAX_LENS]))
        lookups.ask(_KIND, "lens", LensRequest(neurons=asked, top=SHOWN), (model, asked), _take)


def _take(about: About, result: Result | None, error: HNeuronsError | None) -> None:
    model, asked = about
    _hold(model, asked, "(not known)" if error is None else f"({error.what})")
    for pushed in result.pushed if isinstance(result, Lens) else ():
        _hold(model, (pushed.neuron,), _told(pushed))


def _hold(model: str, neurons: Sequence[NeuronId], words: str) -> None:
    directions: dict[tuple[str, NeuronId], str] = st.session_state.setdefault(_HELD, {})
    for neuron in neurons:
        while len(directions) >= MAX_HELD:
            del directions[next(iter(directions))]
        directions[model, neuron] = words


def _told(pushed: Pushed) -> str:
    return " ".join(named(token.shown) for token in pushed.promotes[:SHOWN])
