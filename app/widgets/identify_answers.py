"""Every verdict of a run can be looked at and overruled, and the words that answer marked by hand.

Owns the table and the keeping of what a person changes in it.
"""

from __future__ import annotations

from typing import cast

import pandas as pd
import streamlit as st

from app import session
from app.widgets import frame, identify_runs, jobs
from app.widgets.frame import muted
from backend.errors import HNeuronsError
from backend.types.identify import Verdict
from backend.types.plan import AnswerView, RunView

VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "uncertain")
PAGE = 40
"""Questions looked at together."""


def draw() -> None:
    """Choose a run, look at its answers, change verdicts, make the probe again."""
    try:
        runs = [run for run in session.client().runs() if run.sampled]
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    frame.heading(
        "What the model answered, and how it was judged",
        "An answer with a word of doubt is *uncertain*; else it is *right* where one of the known spellings stands in "
        "it as whole words, and *wrong* otherwise. The rules know no meaning: “not Cairo” counts as right. Choose "
        "another verdict in the table; it stands above rules and LLM when the probe is made again. *The words that "
        "answer* are those that features are read over: copy other words of the answer into the cell to mark them, "
        "empty it to leave them to the rules.",
    )
    if not runs:
        st.markdown(muted("No run has drawn answers yet. Start one under Train."))
        return
    names = [run.name for run in runs]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = row.selectbox("Run", names, key="answers.run", width=300)
    run = next(one for one in runs if one.name == name)
    pages = -(-run.sampled // PAGE)
    page = int(row.number_input(f"Part, 1 to {pages}", 1, pages, 1, key="answers.page", width=140))
    only = row.pills("Only", VERDICTS, selection_mode="multi", key="answers.only")
    try:
        found = session.client().run_answers(run.name, page * PAGE)
    except HNeuronsError as error:
        jobs.shown_error(error)
        return
    asked = list(dict.fromkeys(one.question for one in found))[(page - 1) * PAGE :]
    shown = [one for one in found if one.question in set(asked) and (not only or one.verdict in only)]
    _table(run, shown, f"{page}-{'-'.join(only or ())}")
    _again(run)


def _table(run: RunView, shown: list[AnswerView], part: str) -> None:
    rows = pd.DataFrame(
        {
            "question": [one.text for one in shown],
            "known answer": [" | ".join(one.answers[:4]) for one in shown],
            "the model’s answer": [one.response for one in shown],
            "greedy": [one.greedy for one in shown],
            "times": [one.count for one in shown],
            "verdict": [one.verdict for one in shown],
            "words that answer": [one.words for one in shown],
            "by a person": [one.overruled or one.marked for one in shown],
            "by the rules": [one.rules for one in shown],
        }
    )
    if any(one.judge is not None for one in shown):
        rows["by the LLM"] = [one.judge or "" for one in shown]
    held = [name for name in rows.columns if name not in ("verdict", "words that answer")]
    edited = st.data_editor(
        rows, hide_index=True, disabled=held, key=f"answers-table-{run.name}-{part}", height=480,
        column_config={
            "verdict": st.column_config.SelectboxColumn(options=list(VERDICTS), required=True),
            "words that answer": st.column_config.TextColumn(width=170),
            "the model’s answer": st.column_config.TextColumn(width=400),
            "times": st.column_config.NumberColumn(help="how many of the samples said so"),
        },
    )  # fmt: skip
    if _kept(run, shown, edited):
        st.rerun()
    decided = sum(one.overruled or one.marked for one in shown)
    st.markdown(muted(f"{len(shown)} answers shown, {decided} of them decided by a person."))


def _kept(run: RunView, shown: list[AnswerView], edited: pd.DataFrame) -> bool:
    """Keep what was changed in the table; whether anything was. What is refused is said and changes nothing."""
    changed = False
    for place, one in enumerate(shown):
        verdict, words = edited["verdict"].iloc[place], str(edited["words that answer"].iloc[place] or "")
        try:
            if verdict != one.verdict:
                session.client().overrule(run.name, one.question, one.response, cast(Verdict, verdict))
                changed = True
            if words != one.words:
                session.client().mark_words(run.name, one.question, one.response, words)
                changed = True
        except HNeuronsError as error:
            jobs.shown_error(error)
            return False
    return changed


def _again(run: RunView) -> None:
    """The probe once more with the verdicts as they stand now: no answer is drawn anew."""
    if st.button("Make the probe again with these verdicts", icon=":material/refresh:", key="answers.again"):
        identify_runs.resume(run)
        session.change(room="train")
        st.rerun()
