"""The figures of Explore draw the result's own numbers, and say them in words and in a table."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cell import Cell, Score
from app.charts import cells, layer_neuron, layer_token, neuron_card
from app.charts.scores import SCORES, per_layer, per_token, values
from app.explore import words
from app.shared.heatmap import picked_cell, picked_neuron
from app.style import DARK, LIGHT
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration, ExploreRequest, NeuronRequest
from backend.types.content import content_positions
from backend.types.results import Truth
from tests.fakes_app import card, exploration

RESULT = exploration(ExploreRequest(prompt="Who is the CEO of Nortel?"))
BRIGHT = Cell(17, RESULT.answer_start + 5)
PLACES = cells.shown_columns(RESULT, template=False)
SCORE_NAMES: list[Score] = list(SCORES)


def heatmap(chart: go.Figure) -> go.Heatmap:
    return next(trace for trace in chart.data if trace.type == "heatmap")


def squares(chart: go.Figure) -> go.Scatter:
    return next(trace for trace in chart.data if trace.type == "scatter" and trace.customdata is not None)


@pytest.mark.parametrize("score", SCORE_NAMES)
def test_the_map_draws_the_score_from_zero_to_its_largest_and_says_so(score: Score) -> None:
    chart = layer_token.figure(RESULT, score, LIGHT, places=PLACES)
    drawn = heatmap(chart)
    wanted = values(RESULT, score)[:, list(PLACES)]
    assert drawn.zmin == 0 and drawn.zmax == pytest.approx(float(wanted.max()))
    kept = np.asarray(drawn.z)[:, ~np.isnan(np.asarray(drawn.z)).all(axis=0)]
    assert np.array_equal(kept, wanted)
    assert drawn.colorbar.title.text == SCORES[score].axis
    assert chart.layout.yaxis.title.text == "layer"


def test_normalised_by_layer_every_layer_reaches_one_and_the_axis_says_it() -> None:
    chart = layer_token.figure(RESULT, "largest", LIGHT, places=tuple(range(len(RESULT.tokens))), by_layer=True)
    assert np.nanmax(np.asarray(heatmap(chart).z), axis=1) == pytest.approx(1)
    assert "over its layer" in heatmap(chart).colorbar.title.text
    plain = layer_token.figure(RESULT, "largest", LIGHT, places=PLACES)
    assert "over its layer" not in heatmap(plain).colorbar.title.text


def test_each_cell_has_a_square_inside_it_that_carries_its_address() -> None:
    chart = layer_token.figure(RESULT, "largest", DARK, places=PLACES)
    laid, marks = layer_token.columns(RESULT, PLACES), squares(chart)
    assert {tuple(pair) for pair in marks.customdata} == {(a, b) for a in range(30) for b in PLACES}
    for x, y, (layer, pos) in zip(marks.x, marks.y, marks.customdata, strict=True):
        left, right = laid.spans[PLACES.index(pos)]
        assert left < x < right and y == layer
    assert marks.marker.opacity == 0 and marks.hoverinfo != "skip"


def test_the_nearest_square_of_any_point_lies_in_the_same_cell() -> None:
    marks = squares(layer_token.figure(RESULT, "largest", LIGHT, places=PLACES))
    row = sorted({(x, pos) for x, (layer, pos) in zip(marks.x, marks.customdata, strict=True) if layer == 0})
    laid = layer_token.columns(RESULT, PLACES)
    for pos, (left, right) in zip(PLACES, laid.spans, strict=True):
        for share in (0.08, 0.5, 0.92):
            point = left + (right - left) * share
            assert min(row, key=lambda one: abs(one[0] - point))[1] == pos


def test_the_marked_cell_says_itself_in_words_and_in_two_lines() -> None:
    chart = layer_token.figure(RESULT, "largest", LIGHT, places=PLACES, cell=BRIGHT)
    assert any("layer 17" in (note.text or "") and "0.36" in note.text for note in chart.layout.annotations)
    assert [shape.line.width for shape in chart.layout.shapes] == [5, 3]
    assert not layer_token.figure(RESULT, "largest", LIGHT, places=PLACES).layout.shapes


def test_a_token_that_is_markup_is_text_in_the_chart() -> None:
    hostile = exploration(ExploreRequest(prompt="What <b>is</b> <script>x</script>?", answer="<a href='x'>y</a>"))
    places = cells.shown_columns(hostile, template=True)
    chart = layer_token.figure(hostile, "largest", LIGHT, places=places, cell=Cell(1, places[-1]))
    texts = [*chart.layout.xaxis.ticktext, *squares(chart).text, *(a.text for a in chart.layout.annotations)]
    allowed = ("</b><br>", "<b>layer", "<br>")
    for shown in texts:
        for tag in allowed:
            shown = shown.replace(tag, "")
        assert "<" not in shown


def test_words_and_table_name_the_largest_value() -> None:
    said = layer_token.alt(RESULT, "largest", PLACES)
    assert "layer 17" in said and "0.36" in said and "·Elon" in said
    table = cells.long_table(RESULT)
    assert len(table) == RESULT.cett_max.size
    top = table.loc[table["cett_max"].idxmax()]
    assert (top["layer"], top["position"], top["token"]) == (17, BRIGHT.pos, "·Elon")


def test_the_heading_states_the_largest_at_the_words_that_carry_content_for_every_score() -> None:
    assert "L17&#58;N412" in words.heading(RESULT, "largest").replace("L17:N412", "L17&#58;N412")
    for score in SCORE_NAMES:
        cell = cells.standing_out(RESULT, score)
        answer = values(RESULT, score)[:, list(content_positions(RESULT.tokens))]
        assert RESULT.tokens[cell.pos].text in (" Elon", " Musk")
        assert values(RESULT, score)[cell.layer, cell.pos] == answer.max()
        said = words.heading(RESULT, score)
        assert SCORES[score].told(answer.max()) in said and f"{cell.layer}" in said


def test_ranked_neurons_are_the_results_own_largest_first() -> None:
    found = cells.ranked(RESULT, BRIGHT, "largest")
    assert found["neuron"][0] == "L17:N412" and found["cett"][0] == pytest.approx(0.36)
    assert (np.diff(found["cett"]) <= 0).all()
    other = cells.ranked(RESULT, BRIGHT, "usual")
    assert (np.diff(other["usual"]) <= 0).all()


def test_strong_neurons_are_those_the_engine_counted() -> None:
    kept, count = cells.strong_in(RESULT, BRIGHT)
    assert len(kept) == min(count, RESULT.request.top) and count == RESULT.over[17, BRIGHT.pos]
    everywhere = cells.strong_at_token(RESULT, BRIGHT.pos)
    assert set(kept) <= set(everywhere) and {n.layer for n in everywhere} > {17}


def test_template_tokens_are_drawn_only_when_asked_for() -> None:
    assert all(RESULT.tokens[i].role != "template" for i in PLACES)
    assert len(cells.shown_columns(RESULT, template=True)) == len(RESULT.tokens) > len(PLACES)


def test_a_long_text_is_drawn_in_parts_and_the_marked_cell_is_in_its_part() -> None:
    places = tuple(range(300))
    parts = cells.pages(places)
    assert sum(parts, ()) == places and max(map(len, parts)) <= cells.MAX_COLUMNS
    assert 250 in parts[cells.page_of(places, Cell(0, 250))]
    assert cells.page_of(places, None) == 0 == cells.page_of(places, Cell(0, 9999))


@given(st.integers(1, 4), st.integers(1, 700), st.integers(1, 64), st.integers(0, 10_000))
def test_binning_keeps_the_largest_of_each_bin_and_names_it(layers: int, width: int, most: int, seed: int) -> None:
    found = np.random.default_rng(seed).random((layers, width)).astype(np.float32)
    bins = layer_neuron.binned(found, most)
    assert bins.top.shape[1] <= most and bins.top.shape[1] * bins.size >= width
    assert bins.top.max() == found.max()
    assert np.array_equal(bins.top, np.take_along_axis(found, bins.index, axis=1))


def test_a_layer_that_is_narrower_leaves_its_bins_empty() -> None:
    found = np.ones((2, 600), np.float32)
    found[1, 100:] = np.nan
    bins = layer_neuron.binned(found)
    assert np.isfinite(bins.top[0]).all() and np.isnan(bins.top[1]).any()


def test_the_all_neuron_map_says_how_many_neurons_a_cell_stands_for() -> None:
    assert "46,080 neurons; each cell shows the largest of 6 neighbouring neurons" in layer_neuron.caption(
        RESULT, "mean"
    )
    chart = layer_neuron.figure(RESULT, "mean", LIGHT, NeuronSet.of("L3:N5"))
    assert np.asarray(heatmap(chart).z).shape == (30, 256)
    assert len(squares(chart).x) <= layer_neuron.CLICKABLE
    assert any(note.text == "L3:N5" for note in chart.layout.annotations)
    table = layer_neuron.table(RESULT, "mean")
    assert table["mean CETT"][0] == RESULT.answer_mean.max()
    assert table["neuron"][0] in layer_neuron.alt(RESULT, "mean")


def test_a_neurons_card_draws_tokens_usual_and_here() -> None:
    shown = card(NeuronRequest(neuron=NeuronId(17, 412), text=RESULT.request))
    bars = neuron_card.pushes(shown, LIGHT)
    assert list(bars.data[0].x[:5]) == [one.logit for one in shown.promotes[:5]]
    usual = neuron_card.usual(shown, 0.36, LIGHT)
    assert any(note.text == "here 0.36" for note in usual.layout.annotations)
    assert not neuron_card.usual(shown, None, LIGHT).layout.annotations
    assert "0.36" in neuron_card.usual_alt(shown, 0.36)
    along = neuron_card.along(shown, LIGHT, BRIGHT.pos)
    assert along is not None and list(along.data[0].marker.color).count(LIGHT.chosen) == 1
    assert neuron_card.along(card(NeuronRequest(neuron=NeuronId(1, 2))), LIGHT) is None


def test_a_bar_whose_edge_is_infinite_or_zero_still_has_a_place_on_the_log_axis() -> None:
    bar = neuron_card.usual(card(NeuronRequest(neuron=NeuronId(1, 2))), 0.0, LIGHT).data[0]
    assert np.isfinite(np.asarray(bar.x)).all() and (np.asarray(bar.x) > 0).all()


def test_per_layer_and_per_token_leave_undefined_and_quiet_layers_alone() -> None:
    found = np.array([[0, 0, 0], [1, 2, np.nan]], np.float32)
    assert per_layer(found)[0].tolist() == [0, 0, 0] and per_layer(found)[1][:2].tolist() == [0.5, 1]
    assert per_token(found).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "data",
    [None, [], [17], [17, 3, 4], ["17", 3], [17.5, 3], [-1, 3], [30, 3], [17, 10_000], [True, 3], {"layer": 1}],
)
def test_a_click_that_is_not_a_cell_of_this_result_is_ignored(data: object) -> None:
    assert picked_cell({"selection": {"points": [{"customdata": data}]}}, RESULT) is None


def test_a_click_on_a_cell_or_neuron_of_this_result_is_taken() -> None:
    def event(*pair: int) -> dict[str, object]:
        return {"selection": {"points": [{"customdata": list(pair)}]}}

    assert picked_cell(event(17, 3), RESULT) == Cell(17, 3)
    assert picked_neuron(event(17, 412), RESULT) == NeuronId(17, 412)
    assert picked_neuron(event(17, 1536), RESULT) is None
    assert picked_cell({"selection": {"points": []}}, RESULT) is None and picked_cell(None, RESULT) is None


def test_an_exploration_without_an_answer_still_has_a_cell() -> None:
    tokens = tuple(t.model_copy(update={"role": "prompt"}) if t.role == "answer" else t for t in RESULT.tokens)
    bare: Exploration = RESULT.model_copy(update={"tokens": tokens})
    assert cells.valid(bare, cells.standing_out(bare, "largest"))


@pytest.mark.parametrize(("verdict", "lead"), [("wrong", "A wrong answer: layer 17"), ("right", "A right answer: ")])
def test_an_answer_whose_truth_is_known_says_so_first(verdict: str, lead: str) -> None:
    truth = Truth.model_validate({"known": ("A. Person",), "verdict": verdict, "note": "It is <b>so</b>."})
    told = RESULT.model_copy(update={"truth": truth})
    assert words.heading(told, "largest").startswith(lead)
    assert "<b>" not in str(words.truth(told)) and words.truth(RESULT) is None
    assert "wrong" not in words.heading(RESULT, "largest")
