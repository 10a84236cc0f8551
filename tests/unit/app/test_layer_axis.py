"""An axis of layers names whole layers, the first and the last among them, however many the model has."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from app import style
from app.charts import compare_difference, layer_neuron, layer_token, probe_neurons
from app.charts.layer_axis import layer_ticks
from backend.neurons import NeuronSet
from backend.types import ExploreRequest
from tests import comparisons, fakes_app, fakes_probe

PALETTE = style.LIGHT


@pytest.mark.parametrize(
    ("layers", "ticks"),
    [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 1, 2]),
        (30, [0, 5, 10, 15, 20, 25, 29]),
        (80, [0, 10, 20, 30, 40, 50, 60, 70, 79]),
    ],
)
def test_few_layers_are_all_named_and_many_by_fives_or_tens(layers: int, ticks: list[int]) -> None:
    assert layer_ticks(layers) == ticks


@pytest.mark.parametrize("layers", range(1, 200))
def test_no_layer_is_named_twice_and_no_two_names_touch(layers: int) -> None:
    ticks = layer_ticks(layers)
    assert (ticks[0], ticks[-1]) == (0, layers - 1) and len(ticks) <= 13
    # In a map of 340 pixels a label takes 14 of them, and a line between.
    assert all((later - tick) * 340 / layers > 14 for tick, later in zip(ticks, ticks[1:], strict=False))


@pytest.mark.parametrize("layers", [1, 2, 3, 30, 80])
def test_every_chart_with_an_axis_of_layers_names_the_same_ones(layers: int) -> None:
    info = fakes_app.INFO.model_copy(update={"n_layers": layers, "widths": (64,) * layers})
    explored = fakes_app.exploration(ExploreRequest(prompt="Who?"), info=info)
    probe = fakes_probe.probe("mine", fakes_app.INFO)
    few = tuple(one for one in probe.neurons if one.neuron.layer < layers)
    probe = probe.model_copy(update={"model": info, "neurons": few})
    compared = comparisons.comparison(comparisons.asked())
    flat = np.zeros((layers, compared.rows[1].delta_max.shape[1]), np.float32)
    row = compared.rows[1].model_copy(update={"delta_max": flat, "delta_sum": flat})
    compared = compared.model_copy(update={"rows": (compared.rows[0], row)})
    places = tuple(range(len(explored.tokens)))
    charts: list[go.Figure] = [
        layer_token.figure(explored, "largest", PALETTE, places=places, cell=None, by_layer=False, marked=NeuronSet()),
        layer_neuron.figure(explored, "mean", PALETTE, NeuronSet()),
        probe_neurons.stems_figure(probe, "weight", PALETTE),
        probe_neurons.layers_figure(probe, PALETTE),
        compare_difference.figure(compared, row, "largest", PALETTE),
    ]
    for chart in charts:
        axes = [axis for axis in (chart.layout.xaxis, chart.layout.yaxis) if axis.title.text == "layer"]
        assert [list(axis.tickvals) for axis in axes] == [layer_ticks(layers)]


def test_neurons_are_counted_in_whole_ones_where_no_layer_has_many() -> None:
    probe = fakes_probe.probe("mine", fakes_app.INFO)
    assert probe_neurons.layers_figure(probe, PALETTE).layout.yaxis.dtick == 1
