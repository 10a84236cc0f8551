"""The rest of a report card, a part at a time: confounds, C path, other decisions, curves, layers, how it was made.

Owns the parts and the choice among them. Draws only what the probe's report holds.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import session, shelf, text
from app.charts import probe_items, probe_neurons
from app.charts.probe_worth import interval
from app.identify import runs, words
from app.identify.figure import figure, picked
from app.identify.view import IdentifyView
from app.shared import frame, jobs
from app.shared.frame import muted
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.types import IdentifyRequest
from backend.types.estimate import Estimate
from backend.types.numbers import counted, fixed, percent, short
from backend.types.plan import RunView
from backend.types.probe import Probe
from backend.types.report import Report


def draw_details(probe: Probe, card: Report) -> None:
    """The part that is chosen."""
    names = ["Confounds", "C path", "Other decisions", "ROC, calibration", "Layers", "All neurons", "How it was made"]
    shown = st.segmented_control(
        "More of the card", names, default=names[0], required=True, key="more-of-card", label_visibility="collapsed"
    )
    {
        "Confounds": _confounds,
        "C path": _path,
        "Other decisions": _otherwise,
        "ROC, calibration": _chances,
        "Layers": _layers,
        "All neurons": _neurons,
        "How it was made": _made,
    }[shown](probe, card)


def _confounds(probe: Probe, card: Report) -> None:
    frame.heading("Does the score only follow something simpler?", words.HOW_CONFOUNDS)
    for sentence in filter(None, (words.directions(probe, shelf.scorings(probe)), *words.verdicts(card, probe.c))):
        st.markdown(f"- {text.markdown(sentence)}")
    rows: list[tuple[str, Estimate | None]] = [
        ("all held-out answers", card.scores.auroc),
        *card.harder.items(),
    ]
    table = pd.DataFrame(
        [
            {"the probe's AUROC on": name, "AUROC": interval(note), "answers": note.n}
            for name, note in rows
            if note is not None
        ]
    )
    st.dataframe(table, hide_index=True, key="confounds-table", alt="The probe's AUROC on harder comparisons")
    prior = f"the kind of question alone would give AUROC {fixed(card.unbalanced_prior)}"
    st.markdown(muted(f"Before right and wrong answers were balanced within each relation, {prior}."))


def _path(probe: Probe, card: Report) -> None:
    frame.heading("How the choice of C changes the probe", words.HOW_PATH)
    key = f"chart-path-{probe.name}"
    figure("path", probe_neurons.path_figure(card, probe.c, session.palette()), probe, "Fits along C",
            "AUROC, stability and number of H-neurons for each C.", probe_neurons.path_shown(card),
            csv=probe_neurons.path_table(card), on_select=lambda: None, chart_key=key)  # fmt: skip
    c = picked(key) if key in st.session_state else None
    point = next((candidate for candidate in card.path if candidate.c == c), None)
    if point is not None and probe.model is not None:
        st.markdown(
            f"At C = {short(point.c)}: **{counted(point.positive, 'H-neuron')}** and "
            f"{counted(point.negative, 'negative weight')}, AUROC "
            f"{interval(point.auroc)} in cross-validation, {percent(point.stability)} of H-neurons shared by two folds."
        )
        _at_c(probe, point.c)


def _at_c(probe: Probe, c: float) -> None:
    """The probe at another C of its path: made from the same answers, under a name of its own."""
    name = f"{probe.name}-c{c:g}"[:64]
    line = st.container(horizontal=True, vertical_alignment="center")
    made = any(listed.name == name for listed in shelf.probes())
    if made and line.button("Open the probe with this C", icon=":material/open_in_new:", key=f"open-c{c:g}"):
        session.change(Shared, probe=name, card=None)
        st.rerun()
    here = any(run.name == probe.name for run in _runs())
    if not made and here and probe.plan is not None:
        if line.button("Make a probe with this C", icon=":material/neurology:", key=f"make-c{c:g}"):
            training = probe.plan.training.model_copy(update={"choice": "fixed", "c": c, "most": None})
            request = IdentifyRequest(
                name=name, plan=probe.plan.model_copy(update={"training": training}), answers_of=probe.name,
                command=f"hneurons identify run {name} --answers-of {probe.name} --choice fixed --c {c:g}",
            )  # fmt: skip
            try:
                runs.start(request)
            except HNeuronsError as error:
                jobs.shown_error(error)
                return
            session.change(IdentifyView, room="train")
            st.rerun()
        st.markdown(muted("It uses the same answers; features, checks and switched answers are computed again."))


def _runs() -> tuple[RunView, ...]:
    try:
        return session.client().runs.list()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return ()


def _otherwise(probe: Probe, card: Report) -> None:
    frame.heading(
        "What if one decision were different?",
        "Each row is the probe made again with one decision changed and C chosen again. Another filter keeps other "
        "answers. Held out are then those about the same entities; of entities that are new, an equally large part is "
        "drawn at random.",
    )
    table = pd.DataFrame(
        [
            {
                "changed": variation.name,
                "answers": variation.items,
                "held out": variation.auroc.n if variation.auroc else None,
                "H-neurons": variation.positive if variation.auroc else None,
                "AUROC": interval(variation.auroc) if variation.auroc else variation.note,
                "within one relation": interval(variation.within) if variation.within else "",
                "shared with the probe": None if variation.overlap is None else percent(variation.overlap),
            }
            for variation in card.variations
        ]
    )
    if table.empty:
        st.markdown(muted("No other decision was tried in this run."))
        return
    st.dataframe(table, hide_index=True, key="variations-table", alt="The probe under other decisions")


def _chances(probe: Probe, card: Report) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        frame.heading("Wrong answers caught, right ones accused", words.HOW_ROC)
        figure("roc", probe_items.roc_figure(card, session.palette()), probe, "ROC curve",
                f"ROC curve, AUROC {interval(card.scores.auroc)}.", probe_items.roc_table(card))  # fmt: skip
    with right:
        frame.heading("Are its probabilities honest?", words.HOW_CALIBRATION)
        scores = card.scores
        note = f"accuracy {interval(scores.accuracy)}, F1 {interval(scores.f1)}, Brier {interval(scores.brier)}"
        figure("calibration", probe_items.calibration_figure(card, session.palette()), probe, "Calibration",
                "Share of answers that were wrong, by the probability that the probe gave.",
                probe_items.calibration_table(card), note=note)  # fmt: skip


def _layers(probe: Probe, card: Report) -> None:
    frame.heading("Layers", words.HOW_LAYERS)
    figure("layers", probe_neurons.layers_figure(probe, session.palette()), probe, "Neurons of the probe by layer",
            "Counts of the probe's neurons in each layer by sign.", probe_neurons.layers_table(probe))  # fmt: skip


def _neurons(probe: Probe, card: Report) -> None:
    frame.heading(
        "All neurons of the probe",
        f"Taken one at a time, {card.significant:,} of the model's neurons tell right from wrong training answers, at "
        "a false discovery rate of 5 %. So a weight in the probe does not mark a neuron as important. *Chosen in "
        "bootstraps* is the share of fits on resampled answers that give the neuron a weight of the same sign.",
    )
    frame.figures(
        probe_neurons.neurons_table(probe, shelf.scorings(probe)), key="neurons-table", alt="Neurons of the probe"
    )


def _made(probe: Probe, card: Report) -> None:
    frame.heading("How it was made", None)
    if probe.command:
        st.code(probe.command, language=None, wrap_lines=True)
    facts = {
        "model": probe.model.name if probe.model else "",
        "fingerprint": probe.model.fingerprint if probe.model else "",
        "questions (SHA-256)": probe.questions,
        "made": probe.made,
        "training answers": card.train_items,
        "held-out answers": card.test_items,
        "C": short(probe.c),
        "intercept": short(probe.intercept, 6),
    }
    for sentence in words.agreements(card):
        st.markdown(f"- {text.markdown(sentence)}")
    table = pd.DataFrame([{"what": key, "value": str(value)} for key, value in facts.items()])
    st.dataframe(table, hide_index=True, key="made-table", alt="What the probe was made from")
    if probe.plan is not None:
        with st.expander("The whole plan", key="whole-plan"):
            st.code(probe.plan.model_dump_json(indent=2), language=None, wrap_lines=True, height=400)
    st.download_button(
        "The probe with its report, JSON", lambda: probe.model_dump_json(indent=1).encode(), f"{probe.name}.json",
        "application/json", key="probe-json", on_click="ignore",
    )  # fmt: skip
