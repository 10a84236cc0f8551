"""The answers of a comparison side by side: two to four bordered columns, while they stream and after.

Owns the columns and their marks. Refuses figures (`compare_figures`) and controls. What a model wrote is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import roles, session, text
from app.compare import diff, hand_marks, popovers, state
from app.compare import words as compare_words
from app.compare.marks import Mark
from app.compare.view import CompareView
from app.compare.words import Verdict
from app.shared import frame, probe_words
from app.shared.jobs import Progress
from backend.types import Comparison, Row, RowPlan
from backend.types.numbers import counted

BADGES: dict[Verdict, tuple[str, str]] = {
    "right": ("Right", "check_circle"), "wrong": ("Wrong", "cancel"), "uncertain": ("Uncertain", "help"),
}  # fmt: skip
COLOURS: dict[Verdict, Literal["blue", "orange", "gray"]] = {"right": "blue", "wrong": "orange", "uncertain": "gray"}
SCORE_HELP = (
    "The probe's weighted sum of CETT over the words that answer, compared with its held-out answers. For the score, "
    "every answer is read with no neuron switched, because a switch would change the score directly. About a single "
    "answer it proves nothing."
)
BY_RULE, RIGHT, WRONG, UNCERTAIN = "By the rule", "Right", "Wrong", "Uncertain"


def _lines(shown: tuple[int, ...]) -> Iterator[tuple[int, DeltaGenerator, int]]:
    """Each row with its column and how many stand in a line: one line, or several of equal columns."""
    lines = -(-len(shown) // compare_words.MAX_COLUMNS)
    wide = -(-len(shown) // lines)
    for start in range(0, len(shown), wide):
        for column, row in zip(st.columns(wide, gap="medium"), shown[start : start + wide], strict=False):
            yield row, column, wide


def streaming(progress: Progress) -> None:
    """Every column as far as its answer has come."""
    if not progress.plans:
        return
    names, marks = roles.labels(progress.plans), roles.marks(progress.plans)
    for row, column, wide in _lines(compare_words.columns(progress.plans)):
        with column.container(border=True, height="stretch"):
            _head(progress.plans[row], names[row], marks[row], wide)
            st.html(text.block(progress.texts.get(row, "")))
            count = len(progress.tokens.get(row, ()))
            st.markdown(frame.muted(counted(count, "token")))


def before(result: Comparison) -> None:
    """The columns of an earlier request, without anything that asks or can be set."""
    plans = [row.plan for row in result.rows]
    names, marks, leaving = roles.labels(plans), roles.marks(plans), compare_words.first_picked(result)
    for place, column, wide in _lines(compare_words.columns(plans)):
        with column.container(border=True, height="stretch"):
            _head(plans[place], names[place], marks[place], wide)
            st.html(diff.marked(result.rows[place], leaving, session.palette()))
            _said(result, place)


def finished(result: Comparison) -> None:
    """The columns with their differences marked, and every other row in a table."""
    plans = [row.plan for row in result.rows]
    shown, names, marks = compare_words.columns(plans), roles.labels(plans), roles.marks(plans)
    leaving = compare_words.first_picked(result)
    for place, column, wide in _lines(shown):
        row = result.rows[place]
        with column.container(border=True, height="stretch", key=f"answer-{place}"):
            _head(row.plan, names[place], marks[place], wide)
            st.html(diff.marked(row, leaving, session.palette()))
            st.space("stretch")
            _said(result, place)
            # Next above the foot, so that all scores stand at one height.
            if row.score is not None:
                st.markdown(
                    frame.muted(f"Score of {probe_words.named(row.score.probe)}: {text.markdown(row.score.brief)}."),
                    help=SCORE_HELP,
                )
            _foot(result, row, place, names[place])
    _other_known(result)
    if len(shown) < len(plans):
        with st.expander(f"All {len(plans)} answers", icon=":material/table_rows:", key="every-answer"):
            st.dataframe(table(result), hide_index=True, key="all-answers", alt="Every row's answer, as a table")


def _other_known(result: Comparison) -> None:
    """Say where the known answer was typed for another question, and marks nothing here."""
    other = state.known_of_another(result.request.prompt)
    if other is None:
        return
    line = st.container(horizontal=True, vertical_alignment="center")
    line.markdown(
        f"The known answer was written for “{text.markdown(other[:90])}”, so it marks nothing here.", width="content"
    )
    if session.view(CompareView).typed is None:
        line.button("Use it for this question too", key="compare.known-too", on_click=state.known_here_too)


def table(result: Comparison) -> pd.DataFrame:
    """Every row with what was done to it and what it said."""
    names = roles.labels([row.plan for row in result.rows])
    return pd.DataFrame(
        {
            "row": names,
            "switch": [
                compare_words.own_alphas(row.plan, 10_000) or compare_words.held(row.plan) for row in result.rows
            ],
            "answer": [text.named(row.text) for row in result.rows],
            "tokens": [len(row.token_ids) for row in result.rows],
            "tokens changed": [row.tokens_changed for row in result.rows],
            "mark": [_verdict(result, place) for place in range(len(result.rows))],
            "ended by": [row.finish for row in result.rows],
        }
    )


def _head(plan: RowPlan, name: str, mark: str, columns: int) -> None:
    """Shape and word of the role on the left, what was done on the right; below it where columns are narrow."""
    palette = session.palette()
    shape = roles.shape(mark, roles.kind(plan), palette)
    title = "display:flex;gap:10px;align-items:center;font-weight:600;font-size:1.0625rem"
    narrow = columns == compare_words.MAX_COLUMNS
    flow = "flex-direction:column" if narrow else "align-items:baseline"
    aside = f"margin-left:{0 if narrow else 'auto'};color:{palette.muted};font-size:0.875rem"
    st.html(
        f'<div style="display:flex;gap:0 10px;flex-wrap:wrap;{flow}">'
        f'<span style="{title}">{shape}{name}</span><span style="{aside}">{compare_words.held(plan)}</span></div>'
    )


def _said(result: Comparison, place: int) -> None:
    row = result.rows[place]
    sentences = (
        compare_words.sameness(result, row), compare_words.proof(row), compare_words.own_alphas(row.plan),
        compare_words.twin_told(result, place),
    )  # fmt: skip
    said = [sentence for sentence in sentences if sentence]
    if said:
        st.markdown("  \n".join(frame.muted(sentence) for sentence in said))


def _foot(result: Comparison, row: Row, place: int, name: str) -> None:
    line = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=True)
    verdict = _verdict(result, place)
    with line.container(horizontal=True, width="content", gap="xsmall", vertical_alignment="center"):
        if verdict in BADGES:
            word, icon = BADGES[verdict]
            st.badge(word, icon=f":material/{icon}:", color=COLOURS[verdict])
        _mark(result, place, name)
    line.markdown(frame.muted(compare_words.length(row)), width="content")


def _verdict(result: Comparison, place: int) -> Verdict:
    mine = hand_marks.of(result).get(place)
    return compare_words.verdict(result.rows[place].text, state.known(result.request.prompt), mine)


def _mark(result: Comparison, place: int, name: str) -> DeltaGenerator:
    """The person's own mark: it stands above the rule until it is taken back."""
    key = f"mark-{place}-{result.request.hash[:12]}"
    choices: dict[str, Mark | None] = {BY_RULE: None, RIGHT: "right", WRONG: "wrong", UNCERTAIN: "uncertain"}
    own = hand_marks.of(result).get(place)
    st.session_state[key] = next(word for word, mark in choices.items() if mark == own)

    def take() -> None:
        hand_marks.set_mark(result, place, choices[st.session_state[key]])

    where = st.popover("Marked by you" if own else "Mark", type="tertiary", key=popovers.key("popover-", key))
    with where:
        st.segmented_control(f"Mark for the answer of {name}", list(choices), key=key, on_change=take, required=True)
        st.markdown(
            frame.muted(
                "An answer that says it does not know is uncertain. Otherwise the rule looks for the known answer as "
                "whole words and numbers. Case, accents, punctuation and a/an/the do not matter; right after “not” it "
                "does not count. The rule does not understand meaning. Your own mark replaces the rule's."
            )
        )
    return where
