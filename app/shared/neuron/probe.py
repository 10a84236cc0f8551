"""What a probe knows of one neuron: its weight and what it tells alone, where it is strong, and what goes with it.

Owns the card on Identify and its part of the card on Explore. Refuses a verdict: a weight is no importance.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import session, text
from app.charts import neuron_card, probe_histogram
from app.shared import address, frame, jobs, token_strip
from app.shared.frame import muted
from app.shared.token_strip import StripToken
from app.shared.view import Shared
from app.style import Palette
from backend.neurons import NeuronId, NeuronSet
from backend.types import ExploreRequest, NeuronCard, NeuronRequest
from backend.types.numbers import fixed, percent, short, signed
from backend.types.probe import Probe, ProbeNeuron, TopItem

HELP = """
**Weight × spread**: how far one standard deviation of its CETT moves the score, in log-odds of "wrong".

**Alone**: AUROC of its CETT by itself on the training answers (0.5 is a coin toss); q is its false discovery rate over
all neurons.

**Cohen’s d**: its mean CETT on wrong answers minus that on right ones, in standard deviations.

**Lost without it**: how much the probe's AUROC on held-out answers falls when this neuron's weight is taken out.

**Chosen**: share of fits on resampled answers (bootstraps) that give it a weight of this sign. A low share says that
another neuron would have done as well.
"""


def foremost(probe: Probe) -> NeuronId | None:
    """The H-neuron that moves the score most."""
    of_one_sign = probe.of_sign(1) or probe.of_sign(-1)
    best = max(
        of_one_sign,
        key=lambda weighted: abs(weighted.effect if weighted.effect is not None else weighted.weight),
        default=None,
    )
    return None if best is None else best.neuron


def card(probe: Probe, neuron: NeuronId) -> None:
    """The whole card on Identify."""
    weighted = probe.find(neuron)
    if weighted is None:
        return
    with st.container(border=True):
        row = frame.heading(f"Neuron {neuron}: {kind(weighted)}", HELP)
        if row.button("Try it on Compare", icon=":material/compare_arrows:", key=f"try-{neuron}"):
            _try(weighted)
        figures(weighted)
        left, right = st.columns([5, 4], gap="medium")
        with left:
            _where(probe, weighted)
        with right:
            histogram(probe, weighted)
            partners(probe, weighted)


def kind(weighted: ProbeNeuron) -> str:
    """What the sign of its weight makes it."""
    return "an H-neuron" if weighted.weight > 0 else "speaks for a right answer"


def figures(weighted: ProbeNeuron) -> None:
    """Its numbers in one line; what an imported probe does not know is left out."""
    cells = [("Weight", short(weighted.weight))]
    if weighted.effect is not None:
        cells.append(("Weight × spread", signed(weighted.effect, 3)))
    if weighted.auroc is not None:
        cells.append(
            (
                "Alone, AUROC" if weighted.q is None else f"Alone, AUROC (q {short(weighted.q, 2)})",
                fixed(weighted.auroc),
            )
        )
    if weighted.d is not None:
        cells.append(("Cohen’s d", signed(weighted.d)))
    if weighted.leave_out is not None:
        cells.append(("Lost without it", signed(weighted.leave_out, 3)))
    if weighted.frequency is not None:
        cells.append(("Chosen", percent(weighted.frequency)))
    # A long label takes two lines where the columns are narrow: the values stand in one line all the same.
    columns = st.columns(len(cells), gap="small", vertical_alignment="bottom")
    for column, (label, value) in zip(columns, cells, strict=True):
        column.markdown(f"{muted(label)}  \n**{value}**")


def histogram(probe: Probe, weighted: ProbeNeuron) -> None:
    """Its CETT on right and on wrong answers, where the probe knows it."""
    if weighted.histogram is None:
        return
    st.markdown("**Its CETT on right and on wrong answers**")
    frame.figure(
        probe_histogram.figure(weighted.histogram, session.palette()), key=f"sides-{weighted.neuron}".replace(":", "-"),
        title="Its CETT on right and wrong answers", alt=probe_histogram.alt(weighted),
        table=probe_histogram.table(weighted.histogram), name=f"{probe.name}-{weighted.neuron}-sides",
    )  # fmt: skip


def partners(probe: Probe, weighted: ProbeNeuron) -> None:
    """The neurons that its CETT goes with, where the probe knows them."""
    if not weighted.partners:
        return
    sentence = ", ".join(
        f"{other} {signed(correlation)}{' (in the probe)' if probe.find(other) else ''}"
        for other, correlation in weighted.partners
    )
    st.markdown(f"**Correlates with** {muted('Spearman, all neurons')}  \n{sentence}")


def _where(probe: Probe, weighted: ProbeNeuron) -> None:
    """The items where it is strongest; one of them token by token, with what the neuron pushes."""
    if not weighted.top:
        return
    st.markdown("**Answers where its CETT is largest**")
    place = st.selectbox(
        "Answer", range(len(weighted.top)), key=f"top-{weighted.neuron}", label_visibility="collapsed",
        format_func=lambda n: _named(weighted.top[n]),
    )  # fmt: skip
    loaded = session.status().info
    if loaded is None or probe.model is None or loaded.fingerprint != probe.model.fingerprint:
        st.markdown(muted("To see its tokens, load the model that this probe was made on."))
        return
    shown = _asked(weighted, weighted.top[place])
    if shown is not None:
        _strip(weighted, shown)
        _pushes(shown)


def _named(item: TopItem) -> str:
    side = "right" if item.side == "right" else "wrong"
    return f"{item.question}  →  {item.response}   ({side}, CETT {short(item.cett)})"


def _asked(weighted: ProbeNeuron, item: TopItem) -> NeuronCard | None:
    """The engine's card along that answer: asked for once, shown when it is there."""
    wanted = NeuronRequest(neuron=weighted.neuron, text=ExploreRequest(prompt=item.prompt, answer=item.response))
    if not session.answers("neuron", wanted):
        running = jobs.running("neuron")
        if (running is None or running.request != wanted) and st.session_state.get("probe-card-asked") != wanted:
            st.session_state["probe-card-asked"] = wanted
            jobs.run_job("neuron", wanted, wait=0.4)
        jobs.shown_failure("neuron")
        jobs.watch_job("neuron", lambda progress: None)
    shown = session.result("neuron", NeuronCard)
    return shown if shown is not None and shown.request == wanted else None


def _strip(weighted: ProbeNeuron, shown: NeuronCard) -> None:
    if shown.cett is None:
        return
    places = [place for place, token in enumerate(shown.tokens) if token.role != "template"]
    largest = max((float(shown.cett[place]) for place in places), default=0.0) or 1.0
    tokens = [StripToken(place, shown.tokens[place], float(shown.cett[place]) / largest) for place in places]
    token_strip.strip(
        tokens, session.palette(), key=f"probe-strip-{weighted.neuron}-{hash(shown.request.hash)}", selected=None,
        label=f"CETT of {weighted.neuron} along the answer", on_pick=lambda pos: None,
    )  # fmt: skip
    st.markdown(muted(f"Tint: its CETT at each token, from 0 to {short(largest)}."))


def _pushes(shown: NeuronCard) -> None:
    palette: Palette = session.palette()
    st.markdown(neuron_card.PUSHES)
    frame.figure(
        neuron_card.pushes(shown, palette), key=f"pushes-{shown.neuron}".replace(":", "-"),
        title="What the neuron pushes", alt=neuron_card.pushes_alt(shown), table=neuron_card.pushes_table(shown),
        name=f"neuron-{shown.neuron}-pushes",
    )  # fmt: skip


def _try(weighted: ProbeNeuron) -> None:
    """To Compare with this neuron, asking where it is strongest."""
    session.change(Shared, neurons=NeuronSet((weighted.neuron,)))
    off: dict[str, Any] = {"draft": {"own": (), "alphas": (0.0,)}}
    if weighted.top:
        session.change(Shared, prompt=weighted.top[0].prompt)
        session.change_page("explore", answer=None, draft=None)
        off["typed"] = None
    address.go("compare", **off)


def section(probe: Probe, neuron: NeuronId) -> None:
    """What the probe knows of a neuron, beside its card on Explore; nothing for one without a weight."""
    weighted = probe.find(neuron)
    if weighted is None:
        return
    row = frame.heading(f"{neuron} in the probe “{text.markdown(probe.name)}”: {kind(weighted)}", HELP, label=None)
    if row.button("Its full card", key=f"whole-{neuron}", type="tertiary", icon=":material/open_in_new:"):
        session.change(Shared, card=neuron)
        address.go("identify", room="report")
    figures(weighted)
    histogram(probe, weighted)
