"""The card of one neuron beside the map: what it pushes, how usual its CETT is, where it writes.

Owns which neuron is shown and asking the engine for it. Refuses a name for what a neuron "means":
tokens and figures stand, the reading is the person's.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.cell import Cell
from app.charts import cells, neuron_card
from app.shared import frame, jobs
from app.shared.frame import muted
from app.shared.view import Shared
from backend.neurons import NeuronId
from backend.types import Exploration, NeuronCard, NeuronRequest
from backend.types.probe import Probe

_HELP = """
**Pushes**: the tokens whose score (logit) one unit of the neuron's output direction raises or lowers most, as if the
direction went straight to the output (logit lens). Later layers may change its effect.

**On ordinary text**: its CETT at each token of a shipped reference text; the line marks its CETT in the cell that you
look at.
"""


def shown_neuron(result: Exploration, cell: Cell) -> NeuronId:
    """The neuron whose card stands: the one picked, if the model has it, else the cell's largest."""
    picked = session.view(Shared).card
    return picked if picked is not None and picked in result.model.layout else cells.largest(result, cell)


def draw_card(result: Exploration, cell: Cell, probe: Probe | None) -> None:
    """The card, or how far it is; `probe` names more neurons whose card can be opened."""
    neuron, picked = shown_neuron(result, cell), session.view(Shared).card
    if picked is not None and picked != neuron:
        st.markdown(muted(f"{picked} is not in this model. The largest neuron of the cell is shown instead."))
    _heading(result, cell, neuron, probe)
    loaded = session.status().info
    if loaded is not None and loaded.fingerprint != result.model.fingerprint:
        st.markdown(muted("Its card needs the model of this answer, which is not loaded."))
        return
    request = _request(result, neuron)
    if not session.answers("neuron", request):
        running = jobs.running("neuron")
        if running is None or running.request != request:
            if session.status().state != "ready" and running is None:
                st.markdown(muted("Its card appears when the model is loaded."))
                return
            if session.failure("neuron") is None or st.session_state.get("card-asked") != request:
                st.session_state["card-asked"] = request
                jobs.run_job("neuron", request, wait=0.3)
        jobs.shown_failure("neuron")
        jobs.watch_job("neuron", lambda progress: None)
    card = session.result("neuron", NeuronCard)
    if card is not None and card.request == request:
        _figures(card, cell)


def _request(result: Exploration, neuron: NeuronId) -> NeuronRequest:
    """The card along the answer on the page, which is given, so that it is read and not written again."""
    asked = result.request
    return NeuronRequest(neuron=neuron, text=asked.reading(result.answer) if result.answer else asked)


def _heading(result: Exploration, cell: Cell, neuron: NeuronId, probe: Probe | None) -> None:
    row = frame.heading(f"Neuron {neuron}", _HELP, label=None)
    names = result.model.layout.at(cell.layer, result.top_index[cell.layer, cell.pos])
    marked = probe.h_neurons.ids[:50] if probe is not None else ()
    options = [str(option) for option in dict.fromkeys([neuron, *session.chosen().ids[:50], *names, *marked])]

    def pick() -> None:
        # A browser may still send the choice of the question before.
        if session.stands(result):
            session.change(Shared, card=NeuronId.parse(st.session_state["card-pick"]))

    st.session_state["card-pick"] = str(neuron)
    row.selectbox(
        "Neuron", options, key="card-pick", on_change=pick, label_visibility="collapsed",
        width=140,
    )  # fmt: skip


def _figures(card: NeuronCard, cell: Cell) -> None:
    palette = session.palette()
    name = f"neuron-{card.model.name}-{card.neuron}".replace(":", "-")
    here = float(card.cett[cell.pos]) if card.cett is not None and cell.pos < len(card.cett) else None
    st.markdown(neuron_card.PUSHES)
    frame.figure(
        neuron_card.pushes(card, palette), key="pushes", title="What the neuron pushes", name=f"{name}-pushes",
        alt=neuron_card.pushes_alt(card), table=neuron_card.pushes_table(card), result=card,
    )  # fmt: skip
    st.markdown(f"**Its CETT on ordinary text**{'' if here is None else ', and here'}")
    frame.figure(
        neuron_card.usual(card, here, palette), key="usual", title="The neuron's CETT on ordinary text",
        name=f"{name}-usual", alt=neuron_card.usual_alt(card, here), table=neuron_card.usual_table(card), result=card,
    )  # fmt: skip
    along = neuron_card.along(card, palette, cell.pos)
    if along is not None:
        st.markdown("**Along this question and answer**")
        frame.figure(
            along, key="along", title="The neuron along the text", name=f"{name}-along",
            alt=neuron_card.along_alt(card), table=neuron_card.along_table(card), result=card,
        )  # fmt: skip
