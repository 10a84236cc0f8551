"""The probes that are here, and the one in use: what marks neurons, and what scores answers.

Owns which probe that is, and what a session holds of them. Refuses to draw and to compute.
"""

from __future__ import annotations

import time

import streamlit as st

from app import session
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.neurons import NeuronSet
from backend.types import ModelInfo, Probe
from backend.types.names import ProbeRef
from backend.types.probe import ProbeSummary
from backend.types.scoring import Scoring

_LISTED = "probes"
SECONDS = 10.0


def probes(fresh: bool = False) -> tuple[ProbeSummary, ...]:
    """The probes that are here, as they were at most `SECONDS` ago. Where the engine does not answer, those it told
    last: without them the same question would be asked once more, unscored."""
    listed = st.session_state.get(_LISTED)
    if fresh or listed is None or time.monotonic() - listed[0] > SECONDS:
        try:
            fresh_list = session.client().probes.list()
        except HNeuronsError as error:
            session.note(error.sentence)
            fresh_list = listed[1] if listed is not None else ()
        st.session_state[_LISTED] = listed = (time.monotonic(), fresh_list)
    return tuple(listed[1])


def in_use() -> Probe | None:
    """The probe in use: the one that the view names, else the first made on the loaded model, of those that were
    judged on it if there are any. While that loads, the first made on a model of its name, or one that ships."""
    here = probes()
    now = session.status()
    info = now.info
    named = next((entry for entry in here if entry.name == session.view(Shared).probe), None)
    fitting = [entry for entry in here if info is not None and entry.fingerprint == info.fingerprint]
    judged = next((entry for entry in fitting if entry.auroc is not None), next(iter(fitting), None))
    waiting = next((entry for entry in here if entry.ships or entry.model == now.name), None) if info is None else None
    chosen = named or judged or waiting
    return None if chosen is None else read(chosen)


def missing() -> str | None:
    """That the view names a probe that is not here, and what stands for it."""
    named, used = session.view(Shared).probe, in_use()
    if named is None or (used is not None and used.name == named):
        return None
    instead = f"{used.name} is used instead" if used is not None else "no neuron is marked"
    return f"There is no probe {named} here: {instead}."


def unfit(shown: ModelInfo | None) -> str | None:
    """That the view names a probe that is not here, or is of another model than `shown`, that of the answer on the
    page; where there is none yet, than the one that is loaded."""
    named, model = session.view(Shared).probe, shown or session.status().info
    reason = missing()
    if reason is not None or named is None or model is None or of(model) is not None:
        return reason
    other = "the model of this answer" if shown is not None else f"{model.name}, which is loaded"
    why = f"was made for another model, not for {other}"
    return f"The probe {named} {why}, so none of its neurons is marked: see Identify."


def of(model: ModelInfo) -> Probe | None:
    """The probe in use, if its neurons are this model's: it was made on it, or put on it by force."""
    used = in_use()
    if used is None:
        return None
    return used if used.is_of(model) or used.forced == model.name else None


def _scoring() -> Probe | None:
    """The probe that scores answers: that of the model that is loaded, or of the one that is being loaded."""
    now = session.status()
    if now.info is not None:
        return of(now.info)
    used = in_use()
    return used if used is not None and used.model is not None and used.model.name == now.name else None


def followed() -> NeuronSet:
    """The neurons that an exploration follows: those of the probe that scores it."""
    scoring = _scoring()
    return NeuronSet() if scoring is None else scoring.all


def scored_by() -> ProbeRef | None:
    """The probe that scores answers, as it is now; None where none does, or it has no neuron."""
    scoring = _scoring()
    return None if scoring is None else ref_of(scoring)


def ref_of(probe: Probe) -> ProbeRef | None:
    """A probe of the list as it is now; None where it has no neuron, or is not there."""
    listed = next((entry for entry in probes() if probe.neurons and entry.name == probe.name), None)
    return ProbeRef(name=listed.name, digest=listed.digest) if listed is not None and listed.digest else None


def scorings(probe: Probe) -> tuple[Scoring, ...]:
    """How the probe did on questions that it was not made from, the worst first, as far as is known here."""
    key, state = f"scorings:{probe.name}", (probe.made, session.result_key("score"))
    held = st.session_state.get(key)
    if held is None or held[0] != state or time.monotonic() - held[1] > SECONDS:
        try:
            found = session.client().probes.scorings(probe.name)
        except HNeuronsError as error:
            session.note(error.sentence)
            found = held[2] if held is not None else ()
        st.session_state[key] = held = (state, time.monotonic(), found)
    return tuple(held[2])


def read(summary: ProbeSummary) -> Probe | None:
    """A probe of the list, kept for the session; None where it cannot be read, which is told."""
    key, state = f"probe:{summary.name}", summary.digest or summary.made
    if st.session_state.get(key, ("", None))[0] != state:
        try:
            st.session_state[key] = (state, session.client().probes.read(summary.name))
        except HNeuronsError as error:
            session.note(error.sentence)
            return None
    probe = st.session_state[key][1]
    return probe if isinstance(probe, Probe) else None
