"""Cells and tokens of an exploration: which are drawn, which stands out, what is ranked in one.

Owns picking and ranking over arrays the engine made. Refuses to compute new figures: a number here is
one of the result's, found again. Pure: no Streamlit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.cell import Cell, Score
from app.charts.scores import values
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration
from backend.types.content import content_positions

MAX_COLUMNS = 120
"""Tokens drawn at once in a map: more are a few pixels each and nobody can point at one."""


def shown_columns(result: Exploration, *, template: bool) -> tuple[int, ...]:
    """Positions that are drawn: all, or all but the chat template's (all where nothing else is there)."""
    places = tuple(i for i, token in enumerate(result.tokens) if template or token.role != "template")
    return places or tuple(range(len(result.tokens)))


def page_of(places: tuple[int, ...], cell: Cell | None) -> int:
    """Which page of `MAX_COLUMNS` positions holds the cell; the first where none does."""
    if cell is None or cell.pos not in places:
        return 0
    return places.index(cell.pos) // MAX_COLUMNS


def pages(places: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The positions, `MAX_COLUMNS` at a time."""
    return tuple(places[i : i + MAX_COLUMNS] for i in range(0, len(places), MAX_COLUMNS))


def standing_out(result: Exploration, score: Score) -> Cell:
    """The cell with the largest value at the answer's words that carry content; in the prompt where there is no
    answer. A model's largest neurons often stand at "of" or a full stop, and say little there."""
    places = list(content_positions(result.tokens)) or list(shown_columns(result, template=False))
    figures = values(result, score)[:, places]
    layer, column = np.unravel_index(int(np.where(np.isfinite(figures), figures, -1).argmax()), figures.shape)
    return Cell(int(layer), places[int(column)])


def valid(result: Exploration, cell: Cell | None) -> bool:
    """Whether the exploration has this cell."""
    return cell is not None and cell.layer < result.cett_max.shape[0] and cell.pos < len(result.tokens)


def ranked(result: Exploration, cell: Cell, score: Score) -> pd.DataFrame:
    """The neurons kept at a cell, largest first: by CETT, or by its ratio to usual where that is the score.

    Columns: neuron, cett, usual (ratio, NaN where the usual is 0), act (signed z; NaN where the engine kept none).
    """
    if score == "usual":
        index = result.usual_index[cell.layer, cell.pos]
        cett = result.usual_cett[cell.layer, cell.pos]
        ratio = result.usual_ratio[cell.layer, cell.pos]
        kept = zip(result.top_index[cell.layer, cell.pos], result.top_act[cell.layer, cell.pos], strict=True)
        scores_by_neuron = {int(i): float(z) for i, z in kept}
        act = np.array([scores_by_neuron.get(int(i), np.nan) for i in index], dtype=np.float32)
    else:
        index = result.top_index[cell.layer, cell.pos]
        cett = result.top_cett[cell.layer, cell.pos]
        usual = result.top_usual[cell.layer, cell.pos]
        ratio = np.divide(cett, usual, out=np.full_like(cett, np.nan), where=usual > 0)
        act = result.top_act[cell.layer, cell.pos]
    names = [str(neuron) for neuron in result.model.layout.at(cell.layer, index)]
    return pd.DataFrame({"neuron": names, "cett": cett, "usual": ratio, "act": act})


def largest(result: Exploration, cell: Cell) -> NeuronId:
    """The neuron with the largest CETT at a cell."""
    return result.model.layout.at(cell.layer, result.top_index[cell.layer, cell.pos, :1])[0]


def strong_in(result: Exploration, cell: Cell) -> tuple[NeuronSet, int]:
    """The strong neurons kept at a cell (CETT > mu + k sigma), and how many there are in all.

    The second is larger where more pass the threshold than the result keeps for each cell.
    """
    count = int(result.over[cell.layer, cell.pos])
    # Ranked by CETT, the strong ones come first.
    kept = result.top_index[cell.layer, cell.pos, :count]
    return NeuronSet(tuple(result.model.layout.at(cell.layer, kept))), count


def strong_at_token(result: Exploration, pos: int) -> NeuronSet:
    """The strong neurons of every layer at one token, as far as the result keeps them."""
    layers = range(result.cett_max.shape[0])
    return NeuronSet(tuple(n for layer in layers for n in strong_in(result, Cell(layer, pos))[0]))


def holding(result: Exploration, neurons: NeuronSet, places: tuple[int, ...]) -> dict[Cell, tuple[NeuronId, ...]]:
    """The cells at `places` that have one of `neurons` among their kept ones, and which."""
    neurons_by_cell: dict[Cell, tuple[NeuronId, ...]] = {}
    layout = result.model.layout
    # They may be another model's.
    for layer, wanted in layout.by_layer(neuron for neuron in neurons if neuron in layout).items():
        here = np.isin(result.top_index[layer, list(places)], wanted)
        for column in np.flatnonzero(here.any(axis=1)):
            pos = places[int(column)]
            ranked_here = result.top_index[layer, pos][here[column]]
            neurons_by_cell[Cell(layer, pos)] = tuple(layout.at(layer, ranked_here))
    return neurons_by_cell


def long_table(result: Exploration) -> pd.DataFrame:
    """Every score of every cell, one line a cell: for a spreadsheet."""
    layers, places = result.cett_max.shape
    columns = {
        "cett_max": result.cett_max, "cett_sum": result.cett_sum, "top10": result.top10,
        "concentration": result.concentration, "over_threshold": result.over, "usual_max": result.usual_max,
    }  # fmt: skip
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(layers), places),
            "position": np.tile(np.arange(places), layers),
            "token": [token.shown for token in result.tokens] * layers,
            "role": [token.role for token in result.tokens] * layers,
            **{name: array.reshape(-1) for name, array in columns.items()},
            **_largest_columns(result),
        }
    )


def _largest_columns(result: Exploration) -> dict[str, np.ndarray]:
    """The number of each cell's largest neuron, and where the model has experts, which one it is of (-1: of none)."""
    layers, places = result.cett_max.shape
    layout = result.model.layout
    columns = layout.columns_at(np.repeat(np.arange(layers), places), result.top_index[:, :, 0].reshape(-1))
    sites, index = layout.places_of(columns)
    return {**({} if layout.is_dense else {"largest_expert": layout.experts[sites]}), "largest_neuron": index}


def at_token(figures: np.ndarray, pos: int) -> Cell:
    """The layer where a score [layer pos] is largest at one token."""
    column = figures[:, pos]
    return Cell(int(np.where(np.isfinite(column), column, -1).argmax()), pos)
