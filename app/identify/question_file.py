"""A person's file of questions on the page: chosen, read once, shown, and held when the page is left.

Owns the fields and what is held of the file. Which form they belong to is said by `form`, the beginning of their keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app import session, text
from app.shared import jobs
from app.shared.frame import muted
from backend.errors import HNeuronsError
from backend.types.identify import MAX_QUESTIONS, Question, ReadQuestions
from backend.types.numbers import counted

Limit = tuple[int | None, int]
"""At most so many questions, and the seed that draws them."""


def everything() -> Limit:
    """All questions of the file, or as many as can be asked."""
    return MAX_QUESTIONS, 0


def uploaded(form: str, limit: Callable[[], Limit] = everything) -> tuple[Question, ...]:
    """The questions of the file that is chosen; none where there is none, or it cannot be read, which is shown.

    Args:
        limit: draws the fields below the file's that say how many are taken.
    """
    file = st.file_uploader(
        "File of questions", type=["csv", "tsv", "json", "jsonl", "parquet"], key=f"{form}.file",
        help="Columns: question and answers (spellings separated by |), optionally relation and entity. The files of "
        "TriviaQA, NQ-Open and PopQA can be used unchanged.",
    )  # fmt: skip
    most, seed = limit()
    if file is None:
        return _held(form)
    # Without a limit nothing is drawn, and a file need not be read again for another seed.
    asked = (file.file_id, most, seed if most else 0)
    read_before = _read_last(form)
    if read_before is None or read_before.asked != asked:
        read_before = st.session_state[_key(form)] = _ReadFile(
            asked, _questions_in(file.getvalue(), file.name, most, asked[2]), file.name
        )
    return _shown(read_before.read)


def name(form: str) -> str:
    """The name of the file whose questions are held; '' where none is."""
    file, read_before = st.session_state.get(f"{form}.file"), _read_last(form)
    return str(file.name) if file is not None else read_before.name if read_before is not None else ""


@dataclass(frozen=True)
class _ReadFile:
    """The file that was read last: what was asked of it, its questions or why there are none, and its name."""

    asked: tuple[str, int | None, int]
    read: ReadQuestions | HNeuronsError
    name: str


def _key(form: str) -> str:
    return f"{form}:read"


def _read_last(form: str) -> _ReadFile | None:
    held = st.session_state.get(_key(form))
    return held if isinstance(held, _ReadFile) else None


def _held(form: str) -> tuple[Question, ...]:
    """The file that was read before this page was left: the browser has let it go, its questions are here."""
    read_before = _read_last(form)
    if read_before is None or isinstance(read_before.read, HNeuronsError):
        return ()
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(f"File read earlier: **{text.markdown(read_before.name)}**", width="content")
    if row.button("Remove", key=f"{form}.let_go"):
        st.session_state.pop(_key(form))
        st.rerun()
    return _shown(read_before.read)


def _shown(read: ReadQuestions | HNeuronsError) -> tuple[Question, ...]:
    if isinstance(read, HNeuronsError):
        jobs.shown_error(read)
        return ()
    questions = read.questions
    kinds = len({question.relation for question in questions})
    st.markdown(f"{counted(len(questions), 'question')} of {counted(kinds, 'kind')}. The first:")
    st.html(text.block(f"{questions[0].text}  →  {' | '.join(questions[0].answers[:4])}"))
    if read.left_out:
        st.markdown(muted(read.left_out))
    return questions


def _questions_in(payload: bytes, name: str, limit: int | None, seed: int) -> ReadQuestions | HNeuronsError:
    try:
        return session.client().runs.read_questions(payload, name, limit, seed)
    except HNeuronsError as error:
        return error
