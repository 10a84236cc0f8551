"""Maps that answer a click: layer by token, and layer by neuron.

Owns how a click becomes a `Cell` or a `NeuronId`. What a browser sends is checked against the result
on the screen; a click into an older figure changes nothing. Refuses to draw: `app.charts` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import session
from app.cell import Cell, Score
from app.charts import cells, layer_neuron, layer_token
from app.charts.scores import SCORES, values
from app.shared import frame, probe_words
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration
from backend.types.probe import Probe


def layer_token_map(
    result: Exploration, score: Score, *, places: tuple[int, ...], cell: Cell | None, by_layer: bool,
    on_pick: Callable[[Cell], object], probe: Probe | None = None,
) -> None:  # fmt: skip
    """The layer x token map with its table; `on_pick` is called with a cell picked in either."""
    marked = NeuronSet() if probe is None else probe.h_neurons
    palette = session.palette()
    key = f"map-{result.request.hash[:12]}"

    def clicked() -> None:
        # A second click on a point lets it go, in the browser; to a person it is the same cell again.
        picked = picked_cell(st.session_state.get(key), result) or st.session_state.get(f"last-{key}")
        if picked is not None:
            st.session_state[f"last-{key}"] = picked
            on_pick(picked)

    frame.figure(
        layer_token.figure(result, score, palette, places=places, cell=cell, by_layer=by_layer, marked=marked),
        key="map", chart_key=key, title="Where in the model", alt=layer_token.alt(result, score, places),
        table=lambda: _table(result, score, places, on_pick), csv=cells.long_table(result), result=result,
        name=f"explore-{result.model.name}-{result.request.hash[:8]}", on_select=clicked,
        note=None if probe is None else probe_words.marked(result, probe, places),
    )  # fmt: skip


def picked_cell(event: Any, result: Exploration) -> Cell | None:
    """The cell of a chart's selection, if `result` has it."""
    pair = _pair(event)
    cell = Cell(*pair) if pair is not None and min(pair) >= 0 else None
    return cell if cells.valid(result, cell) else None


def picked_neuron(event: Any, result: Exploration) -> NeuronId | None:
    """The neuron of a chart's selection, if the model of `result` has it."""
    pair = _pair(event)
    try:
        return None if pair is None else result.model.layout.at(pair[0], pair[1:])[0]
    except IndexError:
        return None


def _pair(event: Any) -> tuple[int, int] | None:
    """Two whole numbers from the first selected point's customdata; None for anything else."""
    points = event.get("selection", {}).get("points", []) if event else []
    data = points[0].get("customdata") if points else None
    if not isinstance(data, list | tuple) or len(data) != 2:
        return None
    first, second = data
    if any(isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) for value in data):
        return None
    return int(first), int(second)


def _table(result: Exploration, score: Score, places: tuple[int, ...], on_pick: Callable[[Cell], object]) -> None:
    """Layers down, tokens across; a cell picked here is picked in the map, so the keyboard can too."""
    key = f"map-table-{result.request.hash[:12]}-{score}"
    figures = np.flipud(values(result, score)[:, list(places)])
    names = [f"{i} {result.tokens[i].shown}" for i in places]
    layers = list(range(figures.shape[0] - 1, -1, -1))
    table = pd.DataFrame(figures, columns=names, index=pd.Index(layers, name="layer"))

    def picked() -> None:
        chosen = st.session_state[key]["selection"]["cells"]
        if chosen and chosen[0][1] in names:
            on_pick(Cell(layers[chosen[0][0]], places[names.index(chosen[0][1])]))

    shown, columns = frame.readable(table)
    with st.container(key="wide-map-table"):
        st.dataframe(
            shown, key=key, on_select=picked, selection_mode="single-cell", height=320,
            column_config=columns, alt=f"{SCORES[score].axis} by layer and token",
        )  # fmt: skip
    st.markdown(frame.muted("Choose a cell here to mark it in the map. Arrow keys move, Enter chooses."))


def layer_neuron_map(
    result: Exploration,
    measure: layer_neuron.Measure,
    on_pick: Callable[[NeuronId], object],
    probe: Probe | None = None,
) -> None:
    """All neurons' map with its table; `on_pick` is called with a neuron clicked."""
    key = f"neurons-{result.request.hash[:12]}-{measure}"

    def clicked() -> None:
        picked = picked_neuron(st.session_state.get(key), result)
        if picked is not None:
            on_pick(picked)

    frame.figure(
        layer_neuron.figure(result, measure, session.palette(), session.chosen(), probe),
        key="neurons", chart_key=key, title="All neurons", alt=layer_neuron.alt(result, measure),
        table=layer_neuron.table(result, measure), name=f"neurons-{result.model.name}-{result.request.hash[:8]}",
        on_select=clicked, note=f"{layer_neuron.caption(result, measure)} {probe_words.triangles(probe)}".strip(),
    )  # fmt: skip
