"""The report card on the page: four figures first, then what stands beside them, then what it hangs on.

Owns the order and which neuron is clicked. Draws only what the probe's report holds.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import session
from app.charts import probe_items, probe_neurons, probe_worth
from app.charts.probe_worth import SHARES, interval
from app.widgets import frame, identify_train, identify_words, jobs, probe_neuron, text
from app.widgets.frame import muted
from backend.errors import HNeuronsError
from backend.neurons import NeuronId
from backend.types import IdentifyRequest
from backend.types.identify import Estimate
from backend.types.plan import RunView
from backend.types.probe import Probe, Report


def draw(probe: Probe) -> None:
    """The whole card, or what is known of an imported probe."""
    if (mark := identify_words.forced(probe)) is not None:
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
    _more(probe, card)


def _imported(probe: Probe) -> None:
    st.markdown(
        f"It came from **{text.markdown(probe.imported)}** without a report. Its neurons can be marked on Explore and "
        "switched on Compare; what it is worth on this model is not known until answers are judged."
    )
    _stems(probe)
    _opened(probe)


def _metrics(probe: Probe, card: Report) -> None:
    total = probe.model.n_neurons if probe.model else 0
    score, rival = card.scores.auroc, identify_words.better(card)
    cells: list[tuple[str, str, str]] = [
        ("H-neurons in the probe", f"{len(probe.h_neurons)}", f"of {total:,}, and {len(probe.against)} for right"),
        ("Density", f"{probe_worth.density(probe):.2f} ‰", "paper: 0.01 to 0.35 ‰"),
        ("AUROC", f"{score.value:.2f}", f"95 % {score.low:.2f} to {score.high:.2f}, n = {score.n}"),
    ]
    if rival is not None:
        told = rival.better
        cells.append(
            (
                "Better than random neurons by",
                f"{told.value:+.2f}".replace("-", "−"),
                f"95 % {told.low:.2f} to {told.high:.2f}, {len(rival.draws)} draws",
            )
        )
    for column, (label, value, note) in zip(st.columns(len(cells), gap="small"), cells, strict=True):
        with column:
            # The note is no change: no arrow, no colour.
            st.metric(label, value, note, delta_color="off", delta_arrow="off", border=True)


def _density(probe: Probe) -> None:
    frame.heading("Is that many?", identify_words.HOW_DENSITY)
    _figure("density", probe_worth.density_figure(probe, session.palette()), probe, "Density of H-neurons",
            probe_worth.density_alt(probe), probe_worth.density_table(probe))  # fmt: skip


def _auroc(probe: Probe) -> None:
    frame.heading("Is it the neurons, or something simpler?", identify_words.HOW_AUROC)
    rows = probe_worth.scored(probe)
    _figure("auroc", probe_worth.auroc_figure(rows, session.palette()), probe, "The probe and what is simpler",
            probe_worth.auroc_alt(rows), probe_worth.auroc_table(rows))  # fmt: skip


def _funnel(probe: Probe, card: Report) -> None:
    frame.heading(f"From {card.funnel.asked:,} questions to {card.test_items}", identify_words.HOW_FUNNEL, label=None)
    _figure("funnel", probe_items.funnel_figure(card, session.palette()), probe, "From questions to answers",
            probe_items.funnel_alt(card), probe_items.funnel_table(card))  # fmt: skip


def _stems(probe: Probe) -> None:
    frame.heading("Where they sit: click one to open its card", identify_words.HOW_STEMS, label=None)
    measure = probe_neurons.measured(probe)
    key = f"chart-stems-{probe.name}-{len(probe.neurons)}"

    def pick() -> None:
        named = _picked(key)
        if named is not None:
            session.change(card=NeuronId.parse(named))

    _figure(
        "stems", probe_neurons.stems_figure(probe, measure, session.palette()), probe, "Neurons of the probe by layer",
        probe_neurons.stems_alt(probe, measure), probe_neurons.neurons_table(probe), on_select=pick, chart_key=key,
    )  # fmt: skip


def _picked(key: str) -> Any:
    points = st.session_state[key]["selection"]["points"]
    found = points[0].get("customdata") if points else None
    return found[0] if isinstance(found, list) else found


def _opened(probe: Probe) -> None:
    """The card of the neuron that was clicked, else of the one that moves the score most."""
    picked = session.view().card
    neuron = picked if picked is not None and probe.find(picked) is not None else probe_neuron.foremost(probe)
    if neuron is not None:
        probe_neuron.card(probe, neuron)


def _effects(probe: Probe, card: Report) -> None:
    row = frame.heading("What switching them does", identify_words.HOW_EFFECTS)
    share = row.segmented_control(
        "Share of", list(SHARES), default="right_kept", required=True, format_func=lambda name: SHARES[name],
        key="effects-share", label_visibility="collapsed",
    )  # fmt: skip
    one = card.effects[0]
    note = (
        f"{one.changed.n} held-out questions, answered greedily; {len(probe.h_neurons)} H-neurons, twins of "
        f"{max((e.sets for e in card.effects if e.arm == 'random twin'), default=0)} draws, 95 % intervals"
    )
    _figure("effects", probe_worth.effects_figure(card, share, session.palette()), probe, "What switching does",
            probe_worth.effects_alt(card, share), probe_worth.effects_table(card), note=note)  # fmt: skip


def _more(probe: Probe, card: Report) -> None:
    names = ["Confounds", "C path", "Otherwise", "ROC and chances", "Layers", "All neurons", "How it was made"]
    shown = st.segmented_control(
        "More of the card", names, default=names[0], required=True, key="more-of-card", label_visibility="collapsed"
    )
    {
        "Confounds": _confounds,
        "C path": _path,
        "Otherwise": _otherwise,
        "ROC and chances": _chances,
        "Layers": _layers,
        "All neurons": _neurons,
        "How it was made": _made,
    }[shown](probe, card)


def _confounds(probe: Probe, card: Report) -> None:
    frame.heading("What it may only follow", identify_words.HOW_CONFOUNDS)
    for sentence in identify_words.verdicts(card, probe.c):
        st.markdown(f"- {text.markdown(sentence)}")
    rows: list[tuple[str, Estimate]] = [
        ("all held-out answers", card.scores.auroc),
        ("within one relation", card.within),
        ("relation left out of the fit", card.left_out),
        ("same length in tokens", card.matched),
    ]
    table = pd.DataFrame(
        [{"the probe's AUROC on": name, "AUROC": interval(told), "answers": told.n} for name, told in rows]
    )
    st.dataframe(table, hide_index=True, key="confounds-table", alt="The probe's AUROC on harder comparisons")
    prior = f"Before the balance, the kind of question alone would give AUROC {card.unbalanced_prior:.2f}."
    st.markdown(muted(prior))


def _path(probe: Probe, card: Report) -> None:
    frame.heading("How the choice of C moves it", identify_words.HOW_PATH)
    key = f"chart-path-{probe.name}"
    _figure("path", probe_neurons.path_figure(card, probe.c, session.palette()), probe, "Fits along C",
            "AUROC, stability and number of H-neurons for each C.", probe_neurons.path_table(card),
            on_select=lambda: None, chart_key=key)  # fmt: skip
    picked = _picked(key) if key in st.session_state else None
    point = next((one for one in card.path if one.c == picked), None)
    if point is not None and probe.model is not None:
        st.markdown(
            f"At C = {point.c:g}: **{point.positive} H-neurons** and {point.negative} negative weights, AUROC "
            f"{interval(point.auroc)} in cross-validation, {100 * point.stability:.0f} % shared between two folds."
        )
        _at_c(probe, point.c)


def _at_c(probe: Probe, c: float) -> None:
    """The probe at another C of its path: made from the same answers, under a name of its own."""
    name = f"{probe.name}-c{c:g}"[:64]
    line = st.container(horizontal=True, vertical_alignment="center")
    made = any(one.name == name for one in session.probes())
    if made and line.button("Open the probe with this C", icon=":material/open_in_new:", key=f"open-c{c:g}"):
        session.change(probe=name, card=None)
        st.rerun()
    here = any(run.name == probe.name for run in _runs())
    if not made and here and probe.plan is not None:
        if line.button("Make a probe with this C", icon=":material/neurology:", key=f"make-c{c:g}"):
            training = probe.plan.training.model_copy(update={"choice": "fixed", "c": c})
            request = IdentifyRequest(
                name=name, plan=probe.plan.model_copy(update={"training": training}), answers_of=probe.name,
                command=f"hneurons identify run {name} --answers-of {probe.name} --choice fixed --c {c:g}",
            )  # fmt: skip
            try:
                identify_train.start(request)
            except HNeuronsError as error:
                jobs.shown_error(error)
                return
            session.change(room="train")
            st.rerun()
        st.markdown(muted("It takes the same answers; features, checks and switched answers are made anew."))


def _runs() -> tuple[RunView, ...]:
    try:
        return session.client().runs()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return ()


def _otherwise(probe: Probe, card: Report) -> None:
    frame.heading(
        "Had one thing been decided otherwise",
        "The probe made again with one decision changed, C chosen anew, judged on the same held-out entities.",
    )
    table = pd.DataFrame(
        [
            {
                "changed": one.name,
                "answers": one.items,
                "H-neurons": one.positive if one.auroc else None,
                "AUROC": interval(one.auroc) if one.auroc else one.note,
                "within one relation": interval(one.within) if one.within else "",
                "shared with the probe": None if one.overlap is None else f"{100 * one.overlap:.0f} %",
            }
            for one in card.variations
        ]
    )
    if table.empty:
        st.markdown(muted("No other decision was tried in this run."))
        return
    st.dataframe(table, hide_index=True, key="variations-table", alt="The probe under other decisions")


def _chances(probe: Probe, card: Report) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        frame.heading("Caught and accused", identify_words.HOW_ROC)
        _figure("roc", probe_items.roc_figure(card, session.palette()), probe, "ROC curve",
                f"ROC curve, AUROC {interval(card.scores.auroc)}.", probe_items.roc_table(card))  # fmt: skip
    with right:
        frame.heading("Are its chances honest?", identify_words.HOW_CALIBRATION)
        scores = card.scores
        note = f"accuracy {interval(scores.accuracy)}, F1 {interval(scores.f1)}, Brier {interval(scores.brier)}"
        _figure("calibration", probe_items.calibration_figure(card, session.palette()), probe, "Calibration",
                "Share of wrong answers by chance given.", probe_items.calibration_table(card), note=note)  # fmt: skip


def _layers(probe: Probe, card: Report) -> None:
    frame.heading("Layers", identify_words.HOW_LAYERS)
    _figure("layers", probe_neurons.layers_figure(probe, session.palette()), probe, "Neurons of the probe by layer",
            "Counts of the probe's neurons in each layer by sign.", probe_neurons.layers_table(probe))  # fmt: skip


def _neurons(probe: Probe, card: Report) -> None:
    frame.heading(
        "All neurons of the probe",
        f"Alone, {card.significant:,} of the model's neurons tell the training answers apart at a false discovery "
        "rate of 5 %: a weight in the probe is no mark of importance. *Chosen in bootstraps* is the share of fits on "
        "resampled answers that give the neuron a weight of this sign.",
    )
    st.dataframe(probe_neurons.neurons_table(probe), hide_index=True, key="neurons-table", alt="Neurons of the probe")


def _made(probe: Probe, card: Report) -> None:
    frame.heading("How it was made", None)
    if probe.command:
        st.code(probe.command, language="bash")
    told = {
        "model": probe.model.name if probe.model else "",
        "fingerprint": probe.model.fingerprint if probe.model else "",
        "questions (SHA-256)": probe.questions,
        "made": probe.made,
        "training answers": card.train_items,
        "held-out answers": card.test_items,
        "C": probe.c,
        "intercept": probe.intercept,
    }
    for sentence in identify_words.agreements(card):
        st.markdown(f"- {text.markdown(sentence)}")
    table = pd.DataFrame([{"what": key, "value": str(value)} for key, value in told.items()])
    st.dataframe(table, hide_index=True, key="made-table", alt="What the probe was made from")
    if probe.plan is not None:
        with st.expander("The whole plan"):
            st.json(probe.plan.model_dump(mode="json"))
    st.download_button(
        "The probe with its report, JSON", lambda: probe.model_dump_json(indent=1).encode(), f"{probe.name}.json",
        "application/json", key="probe-json", on_click="ignore",
    )  # fmt: skip


def _figure(key: str, chart: go.Figure, probe: Probe, title: str, alt: str, table: pd.DataFrame, **extra: Any) -> None:
    frame.figure(chart, key=key, title=title, alt=alt, table=table, name=f"{probe.name}-{key}", **extra)
