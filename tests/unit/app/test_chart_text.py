"""What people, models and files wrote reaches no chart as markup: every chart is built with names that hold some."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import app.charts
from app import style
from app.charts import (
    answer_score,
    cells,
    compare_cost,
    compare_difference,
    compare_marks,
    compare_split,
    layer_neuron,
    layer_token,
    neuron_card,
    probe_density,
    probe_histogram,
    probe_items,
    probe_neurons,
    probe_worth,
)
from backend.neurons import NeuronSet
from backend.types import Comparison, ExploreRequest, NeuronRequest, TokenInfo
from tests import comparisons, fakes_app, fakes_probe

EVIL = '<a href="javascript:alert(1)">x</a><br>%{x}\u202e'
PALETTE = style.LIGHT
MODEL = fakes_app.INFO.model_copy(update={"name": EVIL})


def evil(token: TokenInfo) -> TokenInfo:
    return token.model_copy(update={"text": EVIL, "shown": EVIL})


def worst() -> Any:
    """A probe whose every free name holds markup, its own and those of its report."""
    found = fakes_probe.probe("mine", MODEL)
    card = found.report
    assert card is not None
    baselines = tuple(one.model_copy(update={"name": EVIL}) for one in card.baselines)
    return found.model_copy(update={"name": EVIL, "report": card.model_copy(update={"baselines": baselines})})


def explored() -> Any:
    made = fakes_app.exploration(ExploreRequest(prompt="Who?"), info=MODEL)
    return made.model_copy(update={"tokens": tuple(map(evil, made.tokens))})


def carded() -> Any:
    made = fakes_app.card(NeuronRequest(neuron=NeuronSet.of("L1:N2").ids[0], text=ExploreRequest(prompt="Who?")), MODEL)
    pushed = {side: tuple(one.model_copy(update={"shown": EVIL}) for one in getattr(made, side))
              for side in ("promotes", "suppresses")}  # fmt: skip
    return made.model_copy(update={"tokens": tuple(map(evil, made.tokens)), **pushed})


def compared() -> Comparison:
    made = comparisons.comparison(comparisons.asked())
    rows = []
    for row in made.rows:
        split = row.split
        if split is not None:
            named = {
                side: tuple(one.model_copy(update={"shown": EVIL}) for one in getattr(split, side))
                for side in ("baseline", "row", "row_at_baseline")
            }
            split = split.model_copy(update={"before": EVIL, **named})
        rows.append(row.model_copy(update={"tokens": tuple(map(evil, row.tokens)), "split": split, "text": EVIL}))
    prompt = tuple(map(evil, made.prompt_tokens))
    return made.model_copy(update={"rows": tuple(rows), "prompt_tokens": prompt, "model": MODEL})


def _chances() -> list[float]:
    return np.linspace(0, 1, sum(token.role == "answer" for token in explored().tokens)).tolist()


def _moved() -> go.Figure:
    made = compared()
    return compare_difference.figure(
        made, made.rows[1], "largest", PALETTE, template=True, marked=NeuronSet.of("L1:N2")
    )


CHARTS: dict[str, Callable[[], go.Figure | None]] = {
    "answer_score.figure": lambda: answer_score.figure(explored(), _chances(), PALETTE),
    "compare_cost.figure": lambda: compare_cost.figure(compared(), PALETTE),
    "compare_difference.figure": _moved,
    "compare_split.figure": lambda: compare_split.figure(compared().rows[1], EVIL, PALETTE),
    "layer_neuron.figure": lambda: layer_neuron.figure(explored(), "mean", PALETTE, NeuronSet.of("L1:N2"), worst()),
    "layer_token.figure": lambda: layer_token.figure(
        explored(), "largest", PALETTE, places=tuple(range(len(explored().tokens))),
        cell=cells.standing_out(explored(), "largest"), marked=NeuronSet.of("L17:N412"),
    ),
    "neuron_card.along": lambda: neuron_card.along(carded(), PALETTE, 3),
    "neuron_card.pushes": lambda: neuron_card.pushes(carded(), PALETTE),
    "neuron_card.usual": lambda: neuron_card.usual(carded(), 0.1, PALETTE),
    "probe_histogram.figure": lambda: probe_histogram.figure(worst().neurons[0].histogram, PALETTE),
    "probe_items.calibration_figure": lambda: probe_items.calibration_figure(worst().report, PALETTE),
    "probe_items.funnel_figure": lambda: probe_items.funnel_figure(worst().report, PALETTE),
    "probe_items.roc_figure": lambda: probe_items.roc_figure(worst().report, PALETTE),
    "probe_neurons.layers_figure": lambda: probe_neurons.layers_figure(worst(), PALETTE),
    "probe_neurons.path_figure": lambda: probe_neurons.path_figure(worst().report, 1.0, PALETTE),
    "probe_neurons.stems_figure": lambda: probe_neurons.stems_figure(worst(), "effect", PALETTE),
    "probe_worth.auroc_figure": lambda: probe_worth.auroc_figure(probe_worth.scored(worst()), PALETTE),
    "probe_density.density_figure": lambda: probe_density.density_figure(worst(), PALETTE),
    "probe_worth.effects_figure": lambda: probe_worth.effects_figure(worst().report, "changed", PALETTE),
}  # fmt: skip
OURS = re.compile(r"</?b>|<br>|<extra></extra>")
"""The tags that the charts' own words hold."""


def strings(value: Any) -> Iterator[str]:
    """Every string that a figure hands to Plotly."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple | np.ndarray):
        for one in value:
            yield from strings(one)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_names_that_hold_markup_shows_them_as_text(name: str) -> None:
    chart = CHARTS[name]()
    assert chart is not None
    found = list(strings(chart.to_dict()))
    for words in found:
        rest = OURS.sub("", words)
        assert "<" not in rest and 'javascript:alert(1)">' not in rest, words
        assert "\u202e" not in words and "x%{x}" not in words, words


def test_every_chart_that_there_is_was_tried() -> None:
    there = set()
    for module in pkgutil.iter_modules(app.charts.__path__):
        held = importlib.import_module(f"app.charts.{module.name}")
        for name, made in inspect.getmembers(held, inspect.isfunction):
            drawn = "Figure" in str(inspect.signature(made).return_annotation)
            if drawn and made.__module__ == held.__name__ and not name.startswith("_"):
                there.add(f"{module.name}.{name}")
    assert there == set(CHARTS)


def test_charts_with_foreign_names_were_tried_with_names_that_they_show() -> None:
    """The twin of the test above: where it sees no markup, the name is there, written out."""
    for name in ("probe_worth.auroc_figure", "probe_density.density_figure", "compare_split.figure"):
        chart = CHARTS[name]()
        assert chart is not None
        assert any("&lt;" in words for words in strings(chart.to_dict())), name


def test_what_plotly_reads_is_written_as_characters() -> None:
    assert compare_marks.plain("<b>a</b> & %{x}\u202e") == "&lt;b&gt;a&lt;/b&gt; &amp; %&#123;x}⟨U+202E⟩"
    assert compare_marks.plain("α = 0, same layers") == "α = 0, same layers"
