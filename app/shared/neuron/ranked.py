"""The ranked neurons of one cell, with boxes that choose them.

Owns the table, its boxes and the look-up of what each neuron pushes towards. The set itself lives in
the session's view; ticks and set are kept the same whichever changed last.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app import session
from app.cell import Cell, Score
from app.charts import cells
from app.shared import frame
from app.shared.neuron import pushes
from app.shared.view import Shared
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration
from backend.types.probe import Probe

ROWS = 8
"""Rows seen at once; the others scroll."""
ROW_HEIGHT = 34
_SYNCED, _VERSION = "ranked-synced", "ranked-version"


def table(result: Exploration, cell: Cell, score: Score, probe: Probe | None = None) -> None:
    """Draw the cell's neurons, largest first, those of the probe marked; ticking rows chooses, unticking lets go."""
    listed = cells.ranked(result, cell, score)
    neurons = [NeuronId.parse(name) for name in listed["neuron"]]
    if st.session_state.get(_SYNCED) != session.chosen():
        st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
        st.session_state[_SYNCED] = session.chosen()
    key = f"ranked-{result.request.hash[:12]}-{cell}-{score}-{st.session_state[_VERSION]}"
    ticked = [row for row, neuron in enumerate(neurons) if neuron in session.chosen()]

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        here = NeuronSet(tuple(neurons[row] for row in rows if row < len(neurons)))
        session.choose((session.chosen() - neurons) | here)
        st.session_state[_SYNCED] = session.chosen()
        session.change(Shared, card=_newest(here, ticked, neurons))

    towards = pushes.towards(neurons)
    names = [f"{_sign(probe, neuron)}{neuron}" for neuron in neurons]
    drawn, columns = _figures(listed)
    drawn.insert(0, "Neuron", names)
    if towards is not None:
        drawn.insert(2, "Pushes towards", towards)
    before: Any = {"selection": {"rows": ticked, "columns": [], "cells": []}}
    st.dataframe(
        drawn, key=key, hide_index=True, on_select=choose, selection_mode="multi-row", row_height=ROW_HEIGHT,
        selection_default=before,
        height=35 + ROW_HEIGHT * min(ROWS, len(drawn)) + 2, column_config=columns,
        alt=f"The {len(drawn)} largest neurons of layer {cell.layer} at token {cell.pos}",
    )  # fmt: skip


def _sign(probe: Probe | None, neuron: NeuronId) -> str:
    """The mark of a neuron of the probe: up for wrong answers, down for right ones."""
    weighted = probe.find(neuron) if probe is not None else None
    return "" if weighted is None else ("▲ " if weighted.weight > 0 else "▼ ")


def _newest(here: NeuronSet, before: list[int], neurons: list[NeuronId]) -> NeuronId | None:
    """The neuron just ticked; where one was unticked, the card stays as it is."""
    fresh = here - (neurons[row] for row in before)
    return fresh.ids[0] if fresh else session.view(Shared).card


def _figures(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[Any, Any]]:
    """CETT with bars, and its ratio to the reference mean, as text if one is very near 0; how columns are written."""
    table = pd.DataFrame({"CETT": rows["cett"].astype(float), "× mean": rows["usual"].astype(float)})
    shown, columns = frame.readable(table)
    cett, usual = frame.number_format(table["CETT"], places=2), frame.number_format(table["× mean"], places=0)
    columns["CETT"] = (
        st.column_config.TextColumn(width=94)
        if cett is None
        else st.column_config.ProgressColumn(
            format=cett, min_value=0.0, max_value=max(float(table["CETT"].max()), 1e-9), color="primary", width=94
        )
    )
    columns["× mean"] = (
        st.column_config.TextColumn(width=84)
        if usual is None
        else st.column_config.NumberColumn(format=f"{usual}×", width=58)
    )
    columns["Neuron"] = st.column_config.TextColumn(width=92)
    columns["Pushes towards"] = st.column_config.TextColumn(width=118 if usual else 92)
    return shown, columns
