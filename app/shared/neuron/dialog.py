"""One neuron's card over the page that it was opened from: what the probe knows of it, and the way to its other cards.

Owns the dialog. Refuses to ask the engine for anything: a dialog closes when the page is run again.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import session, shelf, text
from app.shared import address, frame
from app.shared.frame import muted
from app.shared.neuron import probe as probe_neuron
from app.shared.view import Shared
from backend.neurons import NeuronId
from backend.types.probe import Probe, ProbeNeuron


def open_card(neuron: NeuronId, pushes: str) -> None:
    """Show the card of a neuron; `pushes` are the tokens it raises most, where that is known."""
    info = session.status().info
    probe = shelf.of(info) if info is not None else None
    weighted = probe.find(neuron) if probe is not None else None

    @st.dialog(f"Neuron {neuron}", width="large")
    def card() -> None:
        if pushes:
            st.markdown(f"When this neuron fires, it pushes the next token towards {text.markdown(pushes)}.")
        if probe is not None and weighted is not None:
            _known(probe, weighted)
        else:
            st.markdown(
                muted("It has no weight in the probe in use." if probe else "There is no probe for this model.")
            )
        _ways(neuron, in_probe=weighted is not None)

    card()


def _known(probe: Probe, weighted: ProbeNeuron) -> None:
    kind = probe_neuron.kind(weighted)
    frame.heading(f"In the probe “{text.markdown(probe.name)}”: {kind}", probe_neuron.HELP, label=None)
    probe_neuron.figures(weighted)
    probe_neuron.histogram(probe, weighted)
    probe_neuron.partners(probe, weighted)
    if weighted.top:
        st.markdown("**Answers where its CETT is largest**")
        rows = pd.DataFrame(
            {
                "question": [text.named(item.question) for item in weighted.top],
                "answer": [text.named(item.response) for item in weighted.top],
                "verdict": [item.side for item in weighted.top],
                "CETT": [item.cett for item in weighted.top],
            }
        )
        frame.figures(rows, key=f"card-top-{weighted.neuron}", alt="Answers where its CETT is largest")


def _ways(neuron: NeuronId, *, in_probe: bool) -> None:
    row = st.container(horizontal=True)
    if row.button("See it along an answer, on Explore", icon=":material/search:", key=f"card-explore-{neuron}"):
        session.change(Shared, card=neuron)
        address.go("explore")
    if in_probe and row.button(
        "See its full card, on Identify", icon=":material/open_in_new:", key=f"card-whole-{neuron}"
    ):
        session.change(Shared, card=neuron)
        address.go("identify", room="report")
