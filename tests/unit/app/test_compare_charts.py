"""The figures of Compare say what the result says: limits, zeros, bounds, labels."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
import pytest

from app import roles, style
from app.charts import compare_cost, compare_difference, compare_marks, compare_split
from app.charts.compare_difference import Score
from app.compare import words as compare_words
from backend.neurons import NeuronSet
from tests.comparisons import BASE, LAYERS, PICKED, asked, comparison

RESULT = comparison(asked())
PICK, TWIN = RESULT.rows[1], RESULT.rows[2]


@pytest.mark.parametrize("palette", [style.LIGHT, style.DARK])
@pytest.mark.parametrize("score", ["largest", "sum"])
def test_zero_is_neutral_and_both_ends_of_the_difference_are_equally_far(palette: style.Palette, score: Score) -> None:
    heat = compare_difference.figure(RESULT, PICK, score, palette).data[0]
    assert heat.zmin == -heat.zmax and heat.zmid == 0
    # The first two columns are the template's and are not drawn.
    assert heat.zmax == pytest.approx(float(np.abs(compare_difference.values(PICK, score)[:, 2:]).max()))
    assert heat.colorscale[2] == (0.5, palette.change[2])


def _texts(chart: go.Figure) -> list[str]:
    return [note.text for note in chart.layout.annotations]


def test_exact_zero_below_the_touched_layer_is_said_only_where_it_is_true() -> None:
    said = "exactly 0 below layer 3: no neuron was switched there"
    assert said in _texts(compare_difference.figure(RESULT, PICK, "largest", style.LIGHT))
    assert "Below layer 3 every difference is exactly 0" in compare_difference.alt(RESULT, PICK, "largest")
    # Three of six layers have room for the line; where one of thirty has not, it stands under the map.
    deep = np.ones((30, PICK.delta_max.shape[1]), np.float32)
    deep[0] = 0
    plan = PICK.plan.model_copy(update={"neurons": NeuronSet.of("L1:N0")})
    low = PICK.model_copy(update={"plan": plan, "delta_max": deep, "delta_sum": deep})
    chart = compare_difference.figure(RESULT, low, "largest", style.LIGHT)
    note = next(one for one in chart.layout.annotations if "exactly 0 below layer 1" in (one.text or ""))
    assert note.yref == "paper" and note.y == 0 and note.yanchor == "top"
    delta = PICK.delta_max.copy()
    delta[0, 0] = 1e-7
    leaking = PICK.model_copy(update={"delta_max": delta})
    assert compare_difference.quiet_below(leaking) is None
    assert said not in _texts(compare_difference.figure(RESULT, leaking, "largest", style.LIGHT))


def test_template_columns_are_hidden_unless_asked_for_and_the_table_has_every_cell() -> None:
    hidden = compare_difference.figure(RESULT, PICK, "largest", style.LIGHT).data[0]
    shown = compare_difference.figure(RESULT, PICK, "largest", style.LIGHT, template=True).data[0]
    # One empty column parts question and answer in both.
    assert hidden.z.shape[1] == 5 + len(BASE) + 1 and shown.z.shape[1] == 7 + len(BASE) + 1
    assert len(compare_difference.table(RESULT, PICK, "largest")) == LAYERS * (7 + len(BASE))


def test_the_bars_hold_the_ten_of_the_baseline_and_then_the_rows_own_choice_with_a_bound() -> None:
    assert PICK.split is not None
    pairs = compare_split.pairs(PICK.split)
    assert [pair.shown for pair in pairs[:2]] == ["·Elon", "·a"] and len(pairs) == 11
    assert pairs[-1].shown == "·not" and pairs[-1].baseline is None
    texts = _texts(compare_split.figure(PICK, "Suppressed", style.LIGHT))
    assert "baseline: at most 1.0 %" in texts and "34 % baseline" in texts and "<b>24 %</b>" in texts


def test_bars_of_a_twin_are_hatched_over_their_colour() -> None:
    bars = compare_split.figure(PICK.model_copy(update={"plan": TWIN.plan}), "Random twin", style.LIGHT).data[1]
    assert bars.marker.color == roles.colour("control", style.LIGHT) and bars.marker.pattern.fillmode == "overlay"


def test_bars_of_a_row_without_split_are_refused() -> None:
    with pytest.raises(ValueError, match="without a split"):
        compare_split.figure(TWIN, "Random twin", style.LIGHT)


def test_a_token_that_is_markup_is_written_and_not_read_by_the_chart() -> None:
    ticks = compare_split.figure(PICK, "Suppressed", style.LIGHT).layout.yaxis.ticktext
    assert "·&lt;b&gt;" in ticks and "·<b>" not in ticks


@pytest.mark.parametrize(
    ("probability", "text"), [(0.34, "34 %"), (0.099, "9.9 %"), (0.0996, "10 %"), (1e-5, "under 0.1 %")]
)
def test_a_probability_is_written_as_a_reader_reads_it(probability: float, text: str) -> None:
    assert compare_split.per_cent(probability) == text


def test_a_row_of_divergence_zero_is_told_in_words_and_never_put_on_the_log_axis() -> None:
    still = PICK.model_copy(update={"kl_mean": 0.0, "kl_interval": (0.0, 0.0)})
    result = RESULT.model_copy(update={"rows": (RESULT.rows[0], still, TWIN)})
    chart = compare_cost.figure(result, style.LIGHT)
    assert "exactly 0: same as the baseline" in _texts(chart)
    assert all(value > 0 for trace in chart.data for value in trace.x)
    assert "exactly 0: same as the baseline" not in _texts(compare_cost.figure(RESULT, style.LIGHT))


def test_the_cost_axis_holds_every_interval_and_all_rows_of_zero_need_no_axis() -> None:
    low, high = compare_cost.limits(RESULT.rows[1:]) or (math.inf, 0)
    assert low <= 0.012 and high >= 0.06
    still = PICK.model_copy(update={"kl_mean": 0.0})
    assert compare_cost.limits([still]) is None


def test_beside_long_names_the_cost_axis_has_few_labels_and_none_lies_aslant() -> None:
    result = comparison(asked(alphas=(0.0, 0.35, 0.15), control_arms=(0, 1, 2)))
    chart = compare_cost.figure(result, style.LIGHT)
    names = [name for name, _ in compare_cost.moved(result)]
    assert max(map(len, names)) > 30 and [one.replace("<br>", " ") for one in chart.layout.yaxis.ticktext] == names
    assert all(len(line) <= 18 for label in chart.layout.yaxis.ticktext for line in label.split("<br>"))
    for axis in ((1e-3, 1.0), (1e-6, 1.0), (1e-9, 1.0)):
        ticks = compare_cost._ticks(axis)
        labels = compare_cost._tick_labels(ticks)
        assert len(labels) == len(ticks) and 2 <= sum(map(bool, labels)) <= 4
    assert chart.layout.xaxis.tickangle == 0


def test_one_position_has_no_interval_and_says_so() -> None:
    one = PICK.model_copy(update={"kl": PICK.kl[:1], "kl_interval": None})
    assert compare_cost.figure_text(one) == "0.02, no interval: 1 position"


def test_every_cost_stands_with_its_interval_positions_and_seed() -> None:
    table = compare_cost.table(RESULT)
    assert list(table["row"]) == ["Suppressed", "Random twin"]
    assert list(table["positions"]) == [len(BASE), len(BASE)] and list(table["95 % from"]) == [0.012, 0.024]
    assert table["seed of the draw"][1] == 0


def test_labels_that_would_touch_are_left_out_and_those_that_fit_are_all_kept() -> None:
    words = ["·word"] * 10
    edges, holes = compare_marks.token_edges(words, 900, 4, 14)
    assert holes == [4] and len(edges) == 12
    roomy = [(a + b) / 2 for a, b in zip(edges[:-1], edges[1:], strict=True)][:10]
    assert compare_marks.fitting_labels(words, roomy) == list(range(10))
    tight = [place * 10.0 for place in range(10)]
    kept = compare_marks.fitting_labels(words, tight)
    assert 0 < len(kept) < 10
    gaps = [tight[b] - tight[a] for a, b in zip(kept, kept[1:], strict=False)]
    assert min(gaps) >= compare_marks.text_width("·word") - compare_marks.PADDING


def test_the_heading_is_computed_from_the_result() -> None:
    assert (
        compare_words.heading(RESULT) == "With 3 neurons off, the answer changes at ·Elon; the random twin's does not"
    )
    both = comparison(asked(), twin=PICKED)
    assert compare_words.heading(both).endswith("the random twin's changes too, at ·Elon")
    none = comparison(asked(), picked=BASE)
    assert compare_words.heading(none) == "With 3 neurons off, the answer stays the same; so does the random twin's"
    alone = comparison(asked(controls=0))
    assert compare_words.heading(alone).endswith("no random twin was run")
    many = comparison(asked(controls=3, alphas=(0.5,)), twin=PICKED)
    assert compare_words.heading(many) == (
        "With 3 neurons at half, the answer changes at ·Elon; 3 of 3 random twins change it"
    )


def test_a_row_beside_the_switches_has_its_twin_or_says_that_it_lacks_one() -> None:
    every = comparison(asked(alphas=(0.0, 0.5), control_arms=(0, 1)))
    assert compare_words.twin_told(every, 1) == ""
    assert compare_words.twin_told(every, 2) == "Its random twin gives the baseline’s answer."
    # As where a batch has no room for the twins of all rows.
    first = comparison(asked(alphas=(0.0, 0.5), control_arms=(0,)))
    assert compare_words.twin_told(first, 1) == ""
    assert compare_words.twin_told(first, 2) == "No random twin was run at this α."
    assert [compare_words.twin_told(first, row) for row in (0, 3)] == ["", ""]


def test_a_token_without_a_letter_is_quoted_in_the_heading() -> None:
    row = next(one for one in RESULT.rows if one.split is not None)
    assert row.split is not None
    first = RESULT.rows[0]
    tokens = list(first.tokens)
    tokens[row.split.position] = tokens[row.split.position].model_copy(update={"text": ".", "shown": "."})
    stop = first.model_copy(update={"tokens": tuple(tokens)})
    assert compare_words.split_token(RESULT.model_copy(update={"rows": (stop, *RESULT.rows[1:])}), row) == "“.”"


def test_every_picked_row_has_a_column_and_the_twin_of_the_switches_stands_beside_them() -> None:
    plans = [row.plan for row in comparison(asked(alphas=(0.0, 0.5, 2.0), controls=5)).rows]
    assert compare_words.columns(plans) == (0, 1, 4, 2, 3)
    assert compare_words.columns([row.plan for row in RESULT.rows]) == (0, 1, 2)
    assert compare_words.columns([row.plan for row in comparison(asked(controls=0)).rows]) == (0, 1)


def test_rows_of_one_name_are_numbered() -> None:
    plans = [row.plan for row in comparison(asked(controls=2)).rows]
    assert roles.labels(plans) == ("Baseline", "Suppressed", "Random twin 1", "Random twin 2")


def test_the_mark_of_a_person_stands_above_the_rule_and_no_known_answer_means_no_mark() -> None:
    assert compare_words.verdict("It is Cairo.", ["cairo"]) == "right"
    assert compare_words.verdict("It is Giza.", ["cairo"]) == "wrong"
    assert compare_words.verdict("I am not sure, it may be Cairo.", ["cairo"]) == "uncertain"
    assert compare_words.verdict("It is Giza.", ()) == "unmarked"
    assert compare_words.verdict("It is not Cairo.", ["cairo"], "wrong") == "wrong"


def test_the_proof_says_neurons_tokens_and_alpha_and_the_baseline_needs_none() -> None:
    assert compare_words.proof(PICK) == "3 neurons × 20 tokens set to α = 0"
    assert compare_words.proof(RESULT.rows[0]) == ""


def test_an_answer_that_did_not_end_of_itself_says_so() -> None:
    assert compare_words.length(PICK) == "8 tokens"
    assert compare_words.length(PICK.model_copy(update={"finish": "length"})) == "8 tokens, cut at the limit"
