"""Sets of the probe on Compare: its H-neurons, all or the foremost, off, at half, doubled, tripled.

Owns the menu and what a preset sets: the chosen neurons, their switches, a random twin beside. Refuses to run:
the page does, as after any flip.
"""

from __future__ import annotations

import streamlit as st

from app import session, shelf
from app.compare import popovers, state, switches
from app.shared import frame, probe_words
from backend.neurons import NeuronSet
from backend.types import ModelInfo
from backend.types.numbers import counted, percent, short
from backend.types.probe import Probe, Ranking

PRESETS: dict[str, float] = {"off": 0.0, "half": 0.5, "double": 2.0, "triple": 3.0}
RANKINGS: dict[Ranking, str] = {
    "effect": "weight × spread",
    "weight": "weight",
    "auroc": "AUROC alone",
    "frequency": "chosen in bootstraps",
    "leave_out": "lost without it",
}
RANKING_HELP = (
    "**Weight × spread**: how far one standard deviation of the neuron's CETT moves the probe's score.  \n**AUROC "
    "alone**: how well its CETT by itself tells wrong from right answers.  \n**Chosen in bootstraps**: the share of "
    "fits on resampled answers that gave it such a weight.  \n**Lost without it**: how much the probe's held-out AUROC "
    "falls when it is taken out."
)
_SET, _BY, _COUNT = "preset.set", "preset.by", "preset.count"


def menu(model: ModelInfo) -> None:
    """A popover with the presets of the probe in use; nothing where no probe is of this model."""
    probe = shelf.of(model)
    if probe is None or not probe.h_neurons:
        return
    with st.popover("H-neurons", icon=":material/neurology:", type="tertiary", key=popovers.key("presets")):
        neurons = _which(probe)
        st.markdown(f"**{_told(probe, neurons)}**")
        row = st.container(horizontal=True, gap="small")
        for name, alpha in PRESETS.items():
            row.button(
                f"All {name}", key=f"preset-{name}", on_click=put, args=(neurons, alpha), wrap=False,
                help=f"Sets α = {short(alpha)} and adds a random twin: as many other neurons",
            )  # fmt: skip
        st.markdown(frame.muted(_worth(probe)))


def _which(probe: Probe) -> NeuronSet:
    """All of them, the foremost by a ranking, or those with a negative weight."""
    kinds = ["all", "foremost", *(["negative"] if probe.against else [])]
    names = {
        "all": "The one H-neuron" if len(probe.h_neurons) == 1 else f"All {len(probe.h_neurons):,} H-neurons",
        "foremost": "The top ones",
        "negative": f"The {len(probe.against)} with a negative weight",
    }
    kind = st.segmented_control(
        "Neurons of the probe", kinds, default="all", required=True, key=_SET, format_func=names.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    if kind == "negative":
        return probe.against
    if kind == "all":
        return probe.h_neurons
    left, right = st.columns([2, 3])
    most = len(probe.h_neurons)
    count = int(left.number_input("How many", 1, most, min(5, most), key=_COUNT))
    by: Ranking = right.selectbox(
        "ranked by", probe.rankings, key=_BY, format_func=RANKINGS.__getitem__, help=RANKING_HELP
    )
    return probe.top(count, by)


def _told(probe: Probe, neurons: NeuronSet) -> str:
    names = [str(neuron) for neuron in neurons.ids[:4]]
    more = f" and {len(neurons) - len(names)} more" if len(neurons) > len(names) else ""
    return f"{', '.join(names)}{more}, of {probe_words.named(probe)}"


def _worth(probe: Probe) -> str:
    """What switching all of them did to held-out questions: the report's own figures."""
    if probe.forced:
        return "The probe was made for another model: in this one, these are arbitrary neurons."
    effects = {(effect.arm, effect.alpha): effect for effect in (probe.report.effects if probe.report else ())}
    off, twin = effects.get(("H-neurons", 0.0)), effects.get(("random twin", 0.0))
    if off is None or twin is None:
        return "What switching its H-neurons does on many questions was not measured. One question is an anecdote."
    return (
        f"Switching all H-neurons off changed {percent(off.changed.value)} of the answers to "
        f"{counted(off.changed.n, 'held-out question')}; random twins changed {percent(twin.changed.value)}. "
        "One question is an anecdote."
    )


def put(neurons: NeuronSet, alpha: float) -> None:
    """Choose these neurons, set all their switches, and put a random twin beside."""
    session.choose(neurons)
    popovers.close()
    switches.put_all(neurons.ids, alpha)
    state.put_twin_beside()
