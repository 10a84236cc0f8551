"""The figures of a comparison on the page: cost, distribution at the split, what else moved.

Owns their headings, choices and captions. Refuses to compute: `app.charts` and the result do.
"""

from __future__ import annotations

from typing import get_args

import streamlit as st

from app import roles, session, shelf, text
from app.charts import compare_cost, compare_difference, compare_split
from app.charts.compare_difference import SCORES, Score
from app.compare import words as compare_words
from app.compare.view import CompareView
from app.shared import frame, joins, probe_words
from app.shared.view import Shared
from backend.neurons import NeuronSet
from backend.types import Comparison, Row
from backend.types.numbers import counted, short

KL_HELP = (
    "The row and the baseline both read the baseline's answer. At each of its tokens, each gives a probability to "
    "every possible next token. The Kullback-Leibler (KL) divergence says how far the row's probabilities are from the "
    "baseline's, in nats. 0 means the same probabilities. The line is a 95 % bootstrap interval over the tokens of "
    "this one answer: it says nothing about other questions."
)
SPLIT_HELP = (
    "The split is the first token at which the row's answer differs from the baseline's. The bars show the probability "
    "that each gives to a token of being next: the baseline's ten likeliest tokens, then the row's own first choices "
    "that are not among them. For such a token the baseline's probability is not known: it is at most that of the "
    "baseline's tenth token."
)
MOVED_HELP = (
    "CETT is the length of what one neuron adds, divided by the length of what its whole layer adds. It has no sign "
    "and proves no cause. The map shows this row's CETT minus the baseline's while both read the same text. Orange: it "
    "rose. Blue: it fell. The middle colour is 0."
)


def cost(result: Comparison) -> None:
    """How far each row moved from the baseline, with n and interval."""
    frame.heading("How far from the baseline", KL_HELP, label="What is KL?")
    base = result.rows[0]
    positions = counted(int(base.kl.size), "position")
    end = " and its end" if base.kl.size > len(base.token_ids) else ""
    estimate = next((estimate for row in result.rows if (estimate := row.kl_estimate) is not None), None)
    drawn = f" ({estimate.resampled})" if estimate is not None else ""
    frame.figure(
        compare_cost.figure(result, session.palette()),
        key="cost", alt=compare_cost.alt(result), title="Divergence from the baseline",
        table=compare_cost.table(result), name="compare-cost", result=result,
        note=f"n = {positions}: the baseline's own answer{end}. 95 % bootstrap interval{drawn}. "
        "Measured on this answer, not on other text.",
    )  # fmt: skip


def split(result: Comparison) -> None:
    """Next-token chances at the first split of the row that is looked at."""
    names = roles.labels([row.plan for row in result.rows])
    parted = {name: row for name, row in zip(names, result.rows, strict=True) if row.split is not None}
    if not parted:
        frame.heading("Next token at the split", SPLIT_HELP)
        st.markdown(
            "No row differs from the baseline: all answers are the same, token for token, so there is no split."
        )
        return
    head = st.container()
    name = _which("Row at its split", list(parted), "split_row")
    row = parted[name]
    assert row.split is not None
    read = compare_split.tail(row.split.before, 10)
    with head:
        frame.heading(f"Next token after “{text.markdown(read)}”" if read else "The first token", SPLIT_HELP)
    frame.figure(
        compare_split.figure(row, name, session.palette()),
        key="split", alt=compare_split.alt(row.split, name), title="Next token at the split",
        table=compare_split.table(row.split, name), name="compare-split", result=result,
        note=f"Answer token {row.split.position + 1}, where {name} first differs from the baseline. "
        "One position of one answer, so there is no interval.",
    )  # fmt: skip


def difference(result: Comparison) -> None:
    """The CETT difference of one row, layer by token."""
    names = roles.labels([row.plan for row in result.rows])
    moved = {name: row for name, row in zip(names, result.rows, strict=True) if row.plan.arm != "baseline"}
    if not moved:
        return
    frame.heading("What else changed", MOVED_HELP)
    with st.container(horizontal=True, vertical_alignment="center"):
        name = _which("Row of the map", list(moved), "moved_row")
        score, template = session.view(CompareView).moved_score, session.view(Shared).template
        st.segmented_control(
            "Score of the map", get_args(Score), required=True, format_func=lambda s: SCORES[s],
            label_visibility="collapsed", **joins.follow(CompareView, "moved_score", "compare.score"),
        )  # fmt: skip
        st.toggle("Template tokens", **joins.follow(Shared, "template", "compare.template"))
    row = moved[name]
    probe = shelf.of(result.model)
    note = _moved_note(result, row, score, template=template)
    if probe is not None:
        note += f" ▲ Layers with H-neurons of {probe_words.named(probe)}."
    frame.figure(
        compare_difference.figure(
            result, row, score, session.palette(), template=template, marked=probe.h_neurons if probe else NeuronSet()
        ),
        key="moved", alt=compare_difference.alt(result, row, score), title="CETT difference",
        table=lambda: _cells(result, row, score), csv=compare_difference.table(result, row, score),
        name="compare-difference", result=result, note=note,
    )  # fmt: skip


def _which(label: str, names: list[str], field: str) -> str:
    """Which row is looked at, as the view's `field` names it; nothing to choose where there is one."""
    if len(names) == 1:
        return names[0]
    current = getattr(session.view(CompareView), field)
    name = current if current in names else names[0]
    joined = joins.follow(CompareView, field, f"compare.{field}", showing=name)
    if len(names) <= compare_words.MAX_COLUMNS:
        st.segmented_control(label, names, required=True, label_visibility="collapsed", **joined)
    else:
        st.selectbox(label, names, label_visibility="collapsed", **joined)
    return str(name)


def _cells(result: Comparison, row: Row, score: Score) -> None:
    """The largest changes first, so that the table says in its first lines what the picture says."""
    cells = compare_difference.table(result, row, score)
    order = cells["CETT difference"].abs().sort_values(ascending=False, kind="stable").index
    frame.figures(cells.loc[order[:500]], key="table-moved", alt="CETT differences, largest first, as a table")
    if len(cells) > 500:
        st.markdown(frame.muted(f"The 500 largest of {len(cells):,} cells; the CSV holds all of them."))


def _moved_note(result: Comparison, row: Row, score: Score, *, template: bool) -> str:
    shown = compare_difference.shown_columns(result, template=template)
    hidden = len(compare_difference.read_tokens(result)) - len(shown)
    sentence = f"{SCORES[score]}, this row minus the baseline, both reading the same text; the scale ends at ±"
    sentence += f"{short(compare_difference.limit(row, score, shown), 2)}. "
    if hidden:
        sentence += f"{counted(hidden, 'template token')} not drawn."
    return sentence
