"""The names beside the stems: none on another, none outside."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.charts import probe_neurons, probe_worth
from app.charts.probe_neurons import MARGIN, NAME_TALL, NAME_WIDE, named
from app.style import LIGHT
from backend.types.probe import Probe
from tests.fakes import INFO as SMALL
from tests.fakes_probe import neuron, probe

INFO = SMALL.model_copy(update={"n_layers": 30, "widths": (1536,) * 30})
PROBE = probe("mine", INFO)


def with_neurons(*places: tuple[int, int, float]) -> Probe:
    found = tuple(neuron(layer, index, weight, number) for number, (layer, index, weight) in enumerate(places))
    return probe("mine", INFO).model_copy(update={"neurons": found})


def test_a_name_moves_to_the_left_where_the_right_is_taken_and_goes_where_neither_is_free() -> None:
    near = with_neurons((15, 1, 3.0), (14, 2, 2.99), (13, 3, 2.98), (5, 4, -3.0))
    assert told(near) == {"L15:N1": False, "L14:N2": True, "L5:N4": False}


def test_no_two_names_touch_and_none_leaves_the_chart() -> None:
    last = INFO.n_layers - 1
    crowd = with_neurons((last, 1, 3.0), (last - 1, 2, 2.99), (0, 3, 2.98), (last, 4, -3.0), (0, 5, -2.9))
    wide = NAME_WIDE * (INFO.n_layers + MARGIN)
    boxes = [(one.neuron.layer - wide * left, one.weight) for one, left in named(crowd, "weight")]
    for place, (x, y) in enumerate(boxes):
        assert x >= -1 and x + wide <= INFO.n_layers + MARGIN
        assert all(abs(x - a) >= wide or abs(y - b) >= NAME_TALL * 6 for a, b in boxes[place + 1 :])
    assert told(crowd) == {f"L{last}:N1": True, "L0:N3": False, f"L{last}:N4": True, "L0:N5": False}


def told(probe: Probe) -> dict[str, bool]:
    """Name -> whether it stands on the left."""
    return {str(one.neuron): left for one, left in named(probe, "weight")}


def test_a_table_shows_each_figure_with_its_interval_in_one_column() -> None:
    card = PROBE.report
    assert card is not None
    rows = probe_worth.scored(PROBE)
    assert list(probe_worth.auroc_shown(rows)["AUROC, 95 %"]) == [probe_worth.interval(row.auroc) for row in rows]
    assert all("[" in told for told in probe_neurons.path_shown(card)["AUROC, cross-validated, 95 %"])
    shown = probe_worth.effects_shown(card, "right_kept")
    assert all("[" in told for told in shown["right answers that stay right, 95 %"]) and len(shown) == len(card.effects)


def test_names_at_the_ends_of_lines_stand_apart_in_their_order_and_near_their_lines() -> None:
    assert probe_worth.apart([97.0, 92.0, 64.0], 7.0, (-3.0, 103.0)) == [98.0, 91.0, 64.0]
    assert probe_worth.apart([50.0, 50.0, 50.0], 7.0, (-3.0, 103.0)) == [43.0, 50.0, 57.0]
    assert (
        probe_worth.apart([10.0, 40.0], 7.0, (-3.0, 103.0)) == [10.0, 40.0]
        and probe_worth.apart([], 7.0, (-3.0, 103.0)) == []
    )
    assert probe_worth.apart([0.0, 0.5, 0.2], 7.0, (-3.0, 103.0)) == [-3.0, 11.0, 4.0]


@given(st.lists(st.floats(0, 100), max_size=6))
def test_no_two_names_at_the_ends_of_lines_touch(heights: list[float]) -> None:
    placed = probe_worth.apart(heights, 7.0, (-3.0, 103.0))
    ordered = sorted(placed)
    rounding = 1e-9
    assert all(-3.0 - rounding <= place <= 103.0 + rounding for place in placed)
    assert all(above - below >= 7.0 - rounding for below, above in pairwise(ordered))
    assert [placed[place] for place in sorted(range(len(heights)), key=heights.__getitem__)] == ordered


def test_what_the_triangles_mean_stands_outside_the_neurons_and_their_names() -> None:
    chart = probe_neurons.stems_figure(PROBE, "weight", LIGHT)
    low, high = chart.layout.yaxis.range
    weights = [one.weight for one in PROBE.neurons]
    span = max(0.0, *weights) - min(0.0, *weights)
    assert min(weights) - low >= span / 10 and high - max(weights) >= span / 10
