"""The report card on the page: four figures first, then what stands beside them, then what it hangs on.

Owns the order and which neuron is clicked. Draws only what the probe's report holds.
"""

from __future__ import annotations

import streamlit as st

from app import session, text
from app.charts import probe_density, probe_items, probe_neurons, probe_worth
from app.charts.probe_worth import SHARES
from app.identify import more, words
from app.identify.figure import figure, picked
from app.shared import frame
from app.shared.neuron import probe as probe_neuron
from app.shared.view import Shared
from backend.neurons import NeuronId
from backend.types.numbers import counted, fixed, signed
from backend.types.probe import Probe
from backend.types.report import Report


def draw_report(probe: Probe) -> None:
    """The whole card, or what is known of an imported probe."""
    if (mark := words.forced(probe)) is not None:
        st.warning(text.markdown(mark), icon=":material/warning:")
    card = probe.report
    if card is None:
        _imported(probe)
        return
    _metrics(probe, card)
    left, right = st.columns(2, gap="medium")
    with left:
        _density(probe)
    with right:
        _auroc(probe)
    left, right = st.columns([3, 5], gap="medium")
    with left:
        _funnel(probe, card)
    with right:
        _stems(probe)
    _opened(probe)
    if card.effects:
        _effects(probe, card)
    more.draw_details(probe, card)


def _imported(probe: Probe) -> None:
    here = session.status().info
    if here is not None and (probe.is_of(here) or probe.forced == here.name):
        use = "Its neurons can be marked on Explore and switched on Compare"
    else:
        name = text.markdown(probe.model.name) if probe.model else "its model"
        use = f"Its neurons can be marked on Explore and switched on Compare once {name} is loaded"
    st.markdown(
        f"This probe was imported from **{text.markdown(probe.imported)}**, without a report. {use}. How well it tells "
        "right from wrong answers is not known until it is judged on answers."
    )
    if probe.aside:
        st.markdown(f"{text.markdown(probe.aside_note)}.")
    _stems(probe)
    _opened(probe)


def _metrics(probe: Probe, card: Report) -> None:
    total = probe.model.n_neurons if probe.model else 0
    score, rival = card.scores.auroc, words.better(card)
    cells: list[tuple[str, str, str]] = [
        (
            "H-neurons in the probe",
            f"{len(probe.h_neurons)}",
            f"of {total:,}; {counted(len(probe.against), 'negative weight')}",
        ),
        ("Density of H-neurons", f"{fixed(probe_density.density(probe))} ‰", "paper: 0.01 to 0.35 ‰"),
        (
            "AUROC, the whole probe",
            fixed(score.value),
            f"95 % {fixed(score.low)} to {fixed(score.high)}, n = {score.n:,}",
        ),
    ]
    if rival is not None:
        verdict = rival.better
        cells.append(
            (
                "AUROC, H-neurons minus random",
                signed(verdict.value),
                f"95 % {fixed(verdict.low)} to {fixed(verdict.high)}, {counted(len(rival.draws), 'draw')}",
            )
        )
    for column, (label, value, note) in zip(st.columns(len(cells), gap="small"), cells, strict=True):
        with column:
            # The note is no change: no arrow, no colour.
            st.metric(label, value, note, delta_color="off", delta_arrow="off", border=True)


def _density(probe: Probe) -> None:
    frame.heading("Is that many H-neurons?", words.HOW_DENSITY)
    figure("density", probe_density.density_figure(probe, session.palette()), probe, "Density of H-neurons",
            probe_density.density_alt(probe), probe_density.density_table(probe))  # fmt: skip


def _auroc(probe: Probe) -> None:
    frame.heading("Is it the neurons, or something simpler?", words.HOW_AUROC)
    rows = probe_worth.scored(probe)
    figure("auroc", probe_worth.auroc_figure(rows, session.palette()), probe, "The probe and what is simpler",
            probe_worth.auroc_alt(rows), probe_worth.auroc_shown(rows), csv=probe_worth.auroc_table(rows))  # fmt: skip


def _funnel(probe: Probe, card: Report) -> None:
    frame.heading(
        f"{card.funnel.asked:,} questions to {card.test_items} held-out answers", words.HOW_FUNNEL, label=None
    )
    figure("funnel", probe_items.funnel_figure(card, session.palette()), probe, "From questions to answers",
            probe_items.funnel_alt(card), probe_items.funnel_table(card))  # fmt: skip


def _stems(probe: Probe) -> None:
    frame.heading("Where the neurons are: click one to open its card", words.HOW_STEMS, label=None)
    measure = probe_neurons.measured(probe)
    key = f"chart-stems-{probe.name}-{len(probe.neurons)}"

    def pick() -> None:
        named = picked(key)
        if named is not None:
            session.change(Shared, card=NeuronId.parse(named))

    figure(
        "stems", probe_neurons.stems_figure(probe, measure, session.palette()), probe, "Neurons of the probe by layer",
        probe_neurons.stems_alt(probe, measure), probe_neurons.neurons_table(probe), on_select=pick, chart_key=key,
    )  # fmt: skip


def _opened(probe: Probe) -> None:
    """The card of the neuron that was clicked, else of the one that moves the score most."""
    picked = session.view(Shared).card
    neuron = picked if picked is not None and probe.find(picked) is not None else probe_neuron.foremost(probe)
    if picked is not None and neuron != picked:
        instead = "" if neuron is None else f" {neuron}, which changes its score most, is shown instead."
        st.markdown(frame.muted(f"{picked} is not a neuron of {text.markdown(probe.name)}.{instead}"))
    if neuron is not None:
        probe_neuron.card(probe, neuron)


def _effects(probe: Probe, card: Report) -> None:
    row = frame.heading("What switching the H-neurons does", words.HOW_EFFECTS)
    share = row.segmented_control(
        "Share of", list(SHARES), default="right_kept", required=True, format_func=lambda name: SHARES[name],
        key="effects-share", label_visibility="collapsed",
    )  # fmt: skip
    first = card.effects[0]
    twins = max((e.sets for e in card.effects if e.arm == "random twin"), default=0)
    note = (
        f"{counted(first.changed.n, 'held-out question')}, answered greedily; "
        f"{counted(len(probe.h_neurons), 'H-neuron')}, random twins from {counted(twins, 'draw')}, 95 % intervals"
    )
    figure("effects", probe_worth.effects_figure(card, share, session.palette()), probe,
            "What switching the H-neurons does", probe_worth.effects_alt(card, share),
            probe_worth.effects_shown(card, share), csv=probe_worth.effects_table(card), note=note)  # fmt: skip
