"""Every verdict of a run can be looked at and overruled, and the words that answer marked by hand.

Owns the table and the keeping of what a person changes in it: each change is taken once, when it is made. What is
refused stays in its cell as it was typed, with the reason above the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app import session
from app.identify import runs as identify_runs
from app.identify.view import IdentifyView
from app.shared import frame, jobs
from app.shared.frame import muted
from backend.errors import HNeuronsError
from backend.types.identify import Verdict
from backend.types.plan import AnswerView, RunView

VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "uncertain")
PAGE = 40
"""Questions looked at together."""
_VERDICT, _WORDS = "verdict", "words that answer"
_EDITS, _REFUSED = "answers.edits", "answers.refused"

Cell = tuple[str, str, str, str]
"""(run, question, response, column)."""
Edited = Mapping[Any, Mapping[str, Any]]
"""Row number -> column -> value, as the editor tells it."""


@dataclass(frozen=True)
class Refused:
    """What was typed into a cell and could not be kept, and why."""

    typed: str
    error: HNeuronsError


def draw_answers() -> None:
    """Choose a run, look at its answers, change verdicts, make the probe again."""
    try:
        runs = [run for run in session.client().runs.list() if run.sampled]
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    frame.heading(
        "What the model answered, and how it was judged",
        "An answer that says it does not know is *uncertain*. Otherwise it is *right* if it contains one of the known "
        "spellings as whole words, and *wrong* if not. A spelling right after “not” does not count; apart from that, "
        "the rules do not understand meaning. You can choose another verdict in the table: when the probe is made "
        "again, it overrides the rules and the LLM. *The words that answer* are the words over which CETT is read. To "
        "mark other words, copy them from the answer into the cell; empty the cell to let the rules find them.",
    )
    if not runs:
        st.markdown(muted("No run has sampled answers yet. Start one under Train."))
        return
    names = [run.name for run in runs]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = row.selectbox("Run", names, key="answers.run", width=300)
    run = next(candidate for candidate in runs if candidate.name == name)
    pages = -(-run.sampled // PAGE)
    page = int(row.number_input(f"Part, 1 to {pages}", 1, pages, 1, key="answers.page", width=140))
    only = row.pills("Show only", VERDICTS, selection_mode="multi", key="answers.only")
    try:
        answers = session.client().runs.answers(run.name, PAGE, (page - 1) * PAGE)
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    shown = [candidate for candidate in answers if not only or candidate.verdict in only]
    if shown:
        _table(run, shown, f"{page}-{'-'.join(only or ())}")
    else:
        st.markdown(muted("No answer in this part has such a verdict."))
    _again(run)


def _table(run: RunView, shown: list[AnswerView], part: str) -> None:
    refused: dict[Cell, Refused] = st.session_state.setdefault(_REFUSED, {})
    rows = pd.DataFrame(
        {
            "question": [answer.text for answer in shown],
            "known answer": [" | ".join(answer.answers[:4]) for answer in shown],
            "the model’s answer": [answer.response for answer in shown],
            "greedy": [answer.greedy for answer in shown],
            "times": [answer.count for answer in shown],
            _VERDICT: [_standing(refused, _cell(run, answer, _VERDICT), answer.verdict) for answer in shown],
            _WORDS: [_standing(refused, _cell(run, answer, _WORDS), answer.words) for answer in shown],
            "by a person": [answer.overruled or answer.marked for answer in shown],
            "by the rules": [answer.rules for answer in shown],
        }
    )
    judged = any(answer.judge is not None for answer in shown)
    if judged:
        rows["by the LLM"] = [answer.judge or "" for answer in shown]
    for answer in shown:
        for column in (_VERDICT, _WORDS):
            if refusal := refused.get(_cell(run, answer, column)):
                jobs.shown_error(refusal.error)
    # The editor lays its edits over new rows as long as its key is the same: a new key shows the rows as they are.
    key = f"answers-table-{run.name}-{part}-{st.session_state.setdefault(_EDITS, 0)}"

    def take() -> None:
        outcomes = keep(run, shown, st.session_state[key].get("edited_rows", {}))
        every = {**st.session_state[_REFUSED], **outcomes}
        st.session_state[_REFUSED] = {cell: why for cell, why in every.items() if why is not None}
        st.session_state[_EDITS] += 1

    st.data_editor(
        rows, hide_index=True, disabled=[name for name in rows.columns if name not in (_VERDICT, _WORDS)],
        key=key, on_change=take, height=480,
        column_config={
            _VERDICT: st.column_config.SelectboxColumn(options=list(VERDICTS), required=True, width=104),
            _WORDS: st.column_config.TextColumn(width=134 if judged else 150),
            "question": st.column_config.TextColumn(width=150 if judged else 190),
            "known answer": st.column_config.TextColumn(width=96 if judged else 104),
            "the model’s answer": st.column_config.TextColumn(width=228 if judged else 256),
            "by the LLM": st.column_config.TextColumn(width=92),
            "greedy": st.column_config.CheckboxColumn(width=64),
            "times": st.column_config.NumberColumn(width=56, help="How many of the samples gave this answer"),
            "by a person": st.column_config.CheckboxColumn(width=92),
            "by the rules": st.column_config.TextColumn(width=96),
        },
    )  # fmt: skip
    decided = sum(answer.overruled or answer.marked for answer in shown)
    st.markdown(muted(f"{len(shown)} answers shown, {decided} of them decided by a person."))


def _cell(run: RunView, answer: AnswerView, column: str) -> Cell:
    return run.name, answer.question, answer.response, column


def _standing(refused: Mapping[Cell, Refused], cell: Cell, stored: str) -> str:
    return refused[cell].typed if cell in refused else stored


def keep(run: RunView, shown: Sequence[AnswerView], rows: Edited) -> dict[Cell, Refused | None]:
    """Keep what was changed in the table; for each changed cell why it was refused, None where it was not."""
    outcomes: dict[Cell, Refused | None] = {}
    for place, cells in rows.items():
        if not 0 <= int(place) < len(shown):
            continue
        answer = shown[int(place)]
        for column in (_VERDICT, _WORDS):
            if column in cells:
                outcomes[_cell(run, answer, column)] = _keep(run, answer, column, str(cells[column] or ""))
    return outcomes


def _keep(run: RunView, answer: AnswerView, column: str, typed: str) -> Refused | None:
    verdict = next((known for known in VERDICTS if known == typed), None)
    try:
        if column == _WORDS:
            session.client().runs.mark_words(run.name, answer.question, answer.response, typed)
        elif verdict is not None:
            session.client().runs.overrule(run.name, answer.question, answer.response, verdict)
    except HNeuronsError as error:
        return Refused(typed, error)
    return None


def _again(run: RunView) -> None:
    """The probe once more with the verdicts as they stand now: no answer is drawn anew."""
    if st.button("Make the probe again with these verdicts", icon=":material/refresh:", key="answers.again"):
        identify_runs.resume(run)
        session.change(IdentifyView, room="train")
        st.rerun()
