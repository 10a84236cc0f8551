"""Two probes side by side, and probes from and for the files of others."""

from __future__ import annotations

import re
from pathlib import PurePath

import pandas as pd
import streamlit as st

from app import session, shelf, text
from app.charts.probe_density import density
from app.charts.probe_worth import interval
from app.identify import runs
from app.identify.view import IdentifyView
from app.shared import frame, jobs
from app.shared.frame import muted
from app.shared.view import Shared
from backend.errors import BadInput, HNeuronsError
from backend.types.estimate import Estimate
from backend.types.numbers import counted, fixed, short
from backend.types.probe import Probe


def draw_comparison(probe: Probe | None) -> None:
    """Comparison on the left, import on the right."""
    left, right = st.columns([5, 3], gap="medium")
    with left:
        _compared(probe)
    with right:
        _import()


def _compared(probe: Probe | None) -> None:
    frame.heading(
        "Two probes side by side",
        "Shared neurons can only be counted if both probes are of the same model.",
        label=None,
    )
    here = shelf.probes(fresh=True)
    if not here:
        st.markdown(muted("There is no probe here yet."))
        return
    names = [left.name for left in here]
    first = names.index(probe.name) if probe is not None and probe.name in names else 0
    columns = st.columns(2, gap="small")
    picked = [
        columns[place].selectbox(label, names, index=index, key=f"pair-{place}-{len(names)}")
        for place, (label, index) in enumerate((("First probe", first), ("Second probe", (first + 1) % len(names))))
    ]
    pair = [shelf.read(next(left for left in here if left.name == name)) for name in picked]
    left, right = pair
    if left is None or right is None:
        return
    if picked[0] == picked[1]:
        st.markdown(muted("Both are the same probe. To compare, train another probe or import one from a file."))
    st.dataframe(table(left, right), hide_index=True, height="content", key="pair-table", alt="Two probes side by side")
    st.markdown(text.markdown(shared(left, right)))
    chosen = next(summary for summary in here if summary.name == picked[1])
    if not chosen.ships and st.button(
        f"Delete {text.markdown(chosen.name)}", icon=":material/delete:", key="delete-probe"
    ):
        st.session_state[runs.DELETING] = chosen.name
        st.rerun()


def table(left: Probe, right: Probe) -> pd.DataFrame:
    """Their figures in two columns."""
    rows: list[tuple[str, str, str]] = []
    for name, value in (
        ("model", lambda p: p.model.name if p.model else p.said.name or "not stated"),
        ("H-neurons", lambda p: str(len(p.h_neurons))),
        ("negative weights", lambda p: str(len(p.against))),
        ("H-neurons per 1,000 neurons", lambda p: fixed(density(p), 3) if p.model else ""),
        ("C", lambda p: "" if p.c is None else short(p.c)),
        ("held-out answers", lambda p: "" if p.report is None else str(p.report.test_items)),
        ("AUROC", lambda p: _auroc(p.report.scores.auroc if p.report else None)),
        ("AUROC within one relation", lambda p: _auroc(p.report.within if p.report else None)),
        ("AUROC, relation left out", lambda p: _auroc(p.report.left_out if p.report else None)),
        ("CETT over the tokens", lambda p: p.rule.pooling),
        ("CETT read at", lambda p: f"{p.rule.position} position"),
        ("imported from, or made on", lambda p: p.imported or p.made[:10]),
    ):
        rows.append((name, value(left), value(right)))
    return pd.DataFrame(rows, columns=["", f"{left.name}", f"{right.name} " if left.name == right.name else right.name])


def _auroc(estimate: Estimate | None) -> str:
    return "not judged here" if estimate is None else f"{interval(estimate)}, n = {estimate.n}"


def shared(left: Probe, right: Probe) -> str:
    """How many neurons both have, in a sentence."""
    if left.model is None or right.model is None or left.model.fingerprint != right.model.fingerprint:
        return "They are of different models, so no neuron can be shared."
    both = set(left.h_neurons) & set(right.h_neurons)
    every = set(left.h_neurons) | set(right.h_neurons)
    first = ", ".join(map(str, sorted(both)[:8]))
    names = f": {first}{f' and {len(both) - 8} more' if len(both) > 8 else ''}" if both else ""
    are = "is" if len(both) == 1 else "are"
    return f"Of {counted(len(every), 'H-neuron')} in either probe, {len(both)} {are} in both{names}."


def _import() -> None:
    frame.heading(
        "Import a probe from a file",
        "Formats: our own JSON; a CSV with the columns layer, neuron, weight; jhammant's h_neurons.json; hprobes' two "
        "files (.json and .safetensors); or the paper authors' coefficients as .npz. Pickle files are not opened.",
        label=None,
    )
    files = st.file_uploader(
        "Files", type=["json", "csv", "tsv", "npz", "safetensors", "pkl", "joblib"], accept_multiple_files=True,
        key="import.files", label_visibility="collapsed",
    )  # fmt: skip
    if files and not st.session_state.get("import.name"):
        st.session_state["import.name"] = name_from(files[0].name)
    name = st.text_input("Name of the probe", key="import.name", placeholder="imported-probe", max_chars=64)
    other = st.text_input(
        "Model that the probe is for",
        key="import.model",
        placeholder="the loaded model",
        max_chars=300,
        help="For a model that is not loaded: its name on the page Models, its name on the Hugging Face hub, or its "
        "folder. Only the shape of the model is checked; the probe can be used once that model is loaded.",
    ).strip()
    force = st.checkbox(
        "Import it even if it was made for another model", key="import.force",
        help="On another model, the same numbers name unrelated neurons. The probe stays marked as such.",
    )  # fmt: skip
    if st.button("Import", icon=":material/download:", key="import.go"):
        _take({file.name: file.getvalue() for file in files or ()}, name.strip(), force, other or None)


def name_from(file: str) -> str:
    """A run's name out of a file's: what it may not hold becomes a dash; '' where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", PurePath(file).stem).strip("._-")[:64]


def _take(files: dict[str, bytes], name: str, force: bool, model: str | None) -> None:
    try:
        if not files or not name:
            raise BadInput(
                "The probe cannot be imported", "a file and a name are needed", "choose a file and write a name"
            )
        made = session.client().probes.add(files, name, force, model)
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    shelf.probes(fresh=True)
    session.change(Shared, probe=made.name, card=None)
    session.change(IdentifyView, room="report")
    st.rerun()
