"""Questions from files: TriviaQA, NQ-Open, PopQA, and a user's CSV, TSV, JSON, JSON lines or Parquet.

Owns which columns are understood, and the count of rows that are no question, with their places. The ending of a file
tells its format, the names of columns their meaning. How rows are read is `backend.identify.formats.rows`'s; how a cell
of answers becomes spellings is `backend.identify.formats.spellings`'s.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from backend.errors import BadInput
from backend.identify.formats.limits import LARGE, MAX_BYTES, MAX_LIST
from backend.identify.formats.literals import Unclear
from backend.identify.formats.rows import ENDINGS, rows
from backend.identify.formats.spellings import cell_text, is_printed_list, spellings, whole_number
from backend.identify.questions.questions import comparison_key, select_questions, without_repeats
from backend.text.columns import column, refuse_twice
from backend.text.verdict import normalise
from backend.types.identify import MAX_TEXT, Question, ReadQuestions
from backend.types.plan import QuestionSource
from backend.untrusted import beyond, bytes_of, shown_name

_QUESTION = ("question", "prompt", "query")
_ANSWERS = ("answers", "answer", "possible_answers", "ground_truth", "objects")
_ALIASES = ("aliases", "answer_aliases")
"""Columns with more spellings of an answer in another column, or with all spellings."""
_CHOICES = (
    *("choices", "options", "option_b", "option b", "optionb", "choice_b", "choice b", "opb"),
    *("option2", "option_2", "option 2", "choice2", "choice_2", "choice 2"),
)
"""Columns of choices: with them an answer like 1 or "B" names a choice, but it is not known whether counting begins at
0 or 1. Of columns with one choice each the second is listed, which only questions with choices have."""
_LETTERS = ("a", "b")
"""Columns of one choice each that are named by their letter alone. Both must be there: one could be anything."""
_CHOICE = re.compile(r"[(\[]?\w[)\].:]?")
"""An answer that names a choice: 1, B, (B) or B."""
_RELATION = ("relation", "prop", "category", "kind", "topic")
_ENTITY = ("entity", "subj", "subject")
_ID = ("id", "question_id", "qid")
_KNOWN = {*_QUESTION, *_ANSWERS, *_ALIASES, *_CHOICES, *_LETTERS, *_RELATION, *_ENTITY, *_ID}
MAX_ANSWERS = 200_000
"""Characters of one question's answers together."""
MAX_KEPT = 200_000_000
"""Characters of all questions and answers of a file."""
NAMED = 3
"""Rows of each kind of loss whose place is kept."""
ALL = QuestionSource(per_relation=None)
"""Every question of a file."""
Lost = Literal["incomplete", "unusable", "unclear", "long", "broken"]
"""Why a row gives no question: fields of `ReadQuestions`."""


def read_path(path: Path, source: QuestionSource = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in `path` that `source` asks. Raises BadInput."""
    # The ending is checked before a large file is read; for what is not a file `bytes_of` raises the better error.
    if os.path.isfile(path):
        _ending(path.name)
    return read(bytes_of(path, MAX_BYTES, name=path.name), path.name, source, seed)


def _ending(name: str) -> str:
    """The ending of a file's name. Raises BadInput for one that is not read."""
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise BadInput(
            f"{name[:60]} cannot be read",
            f"its name ends in {ending or 'nothing'}",
            f"save it as {', '.join(ENDINGS)}",
        )
    return ending


def read(payload: bytes, name: str, source: QuestionSource = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in a file's bytes that `source` asks, and the rows that give none; the ending of `name` tells the
    format.

    Questions are selected before they are checked for their number: a file may hold more than one run can ask. Raises
    BadInput.
    """
    name = shown_name(name)
    reader = _QuestionCollector(name)
    for place, row in rows(payload, name, _ending(name), _KNOWN):
        reader.take(place, row)
    selected = select_questions(reader.questions(), source.model_copy(update={"file": name}), seed)
    usable = reader.usable(selected)
    merged, different = without_repeats(usable), len({comparison_key(question.text) for question in usable})
    return ReadQuestions(
        questions=merged,
        rows=reader.rows,
        repeated=len(usable) - different,
        where={why: tuple(places) for why, places in reader.where.items()},
        **{why: reader.lost[why] for why in get_args(Lost)},
    )


class _QuestionCollector:
    """Collects what is read of a file: its questions, and the rows that give none with their places."""

    def __init__(self, name: str) -> None:
        self.name, self.stem, self.rows, self.characters = name, Path(name).stem, 0, 0
        self.questions_read: list[Question] = []
        self.places: list[str] = []
        self.lost: dict[str, int] = defaultdict(int)
        self.where: dict[str, list[str]] = defaultdict(list)
        # Questions whose answer is a text like "1969.0", and whether every answer of the file is such a number.
        self.points: list[int] = []
        self.is_all_points = True

    def take(self, place: str, row: Any) -> None:
        """Add a row. Raises BadInput for a table without both columns, and beyond `MAX_KEPT`."""
        self.rows += 1
        if not isinstance(row, Mapping):
            self._lose("long" if row is LARGE else "broken", place, "")
            return
        cells = {column(key): value for key, value in row.items()}
        if len(cells) < len(row):
            refuse_twice(row, f"{self.name}, {place}", _KNOWN)
        id = _first_word(cells, _ID)
        question = self._question(cells, row, place, id)
        if not isinstance(question, Question):
            self._lose(question, place, id)
            return
        self.characters += len(question.text) + sum(map(len, question.answers))
        if self.characters > MAX_KEPT:
            raise beyond(self.name, "its questions and answers are longer", f"{MAX_KEPT:,} characters of them")
        self.questions_read.append(question)
        self.places.append(place)

    def _lose(self, why: Lost, place: str, id: str) -> None:
        self.lost[why] += 1
        if self.lost[why] <= NAMED:
            # A lone surrogate, as a broken export leaves it, cannot be encoded in the message.
            shown = id[:60].encode(errors="replace").decode()
            self.where[why].append(f"{place}, id {shown}" if shown else place)

    def _question(self, cells: Mapping[str, Any], row: Mapping[Any, Any], place: str, id: str) -> Question | Lost:
        """The question of a row, or why it gives none. Raises BadInput for a table without both columns."""
        text_key = next((key for key in _QUESTION if key in cells), None)
        answer_columns = [key for key in (*_ANSWERS, *_ALIASES) if key in cells]
        if text_key is None or not answer_columns:
            if self.rows == 1:
                raise BadInput(
                    f"{self.name} has no column of {'questions' if text_key is None else 'answers'}",
                    f"its columns are {', '.join(map(str, row))[:120]}" if row else "its first row has none",
                    "name them 'question' and 'answers'",
                )
            return "incomplete"
        if any(isinstance(cells[key], (list, tuple)) and len(cells[key]) > MAX_LIST for key in answer_columns):
            return "long"
        try:
            text = cell_text(cells[text_key])
            if len(text) <= MAX_TEXT and is_printed_list(text):
                # The cell is a list, so it is not clear which question is meant.
                return "incomplete"
            answers = self._answers(cells, answer_columns, place) if len(text) <= MAX_TEXT else ()
        except Unclear:
            return "unclear"
        if len(text) > MAX_TEXT:
            return "long"
        if not text or not answers:
            return "incomplete"
        if sum(map(len, answers)) > MAX_ANSWERS:
            return "long"
        question = self._validated(cells, id, text, answers)
        if isinstance(question, Question) and all(isinstance(cells[key], str) for key in answer_columns):
            self._note(answers)
        return question

    def _answers(self, cells: Mapping[str, Any], answer_columns: Sequence[str], place: str) -> tuple[str, ...]:
        """The spellings of a row. Raises Unclear; BadInput where two columns give other answers."""
        spellings_by_column = {key: texts for key in answer_columns if (texts := spellings(cells[key]))}
        columns = [key for key in spellings_by_column if key in _ANSWERS]
        if len({spellings_by_column[key] for key in columns}) > 1:
            raise BadInput(
                f"{self.name}, {place} has other answers in the column {columns[0]!r} than in {columns[1]!r}",
                "one of them may hold choices, or what a model said",
                "leave only the column of known answers",
            )
        offered = any(cells.get(key) is not None for key in _CHOICES) or all(
            cells.get(key) is not None for key in _LETTERS
        )
        if offered and any(map(_is_choice, spellings_by_column.values())):
            raise Unclear("the number of a choice")
        return tuple(dict.fromkeys(chain.from_iterable(spellings_by_column.values())))

    def _validated(self, cells: Mapping[str, Any], id: str, text: str, answers: Sequence[str]) -> Question | Lost:
        fields = {
            "id": id or f"{self.stem}:{self.rows}",
            "text": text,
            "answers": answers,
            "relation": _first_word(cells, _RELATION),
            "entity": _first_word(cells, _ENTITY),
            "source": self.name,
        }
        try:
            return Question.model_validate(fields)
        except ValidationError:
            # A lone surrogate, as a broken export leaves it.
            return "broken"

    def _note(self, answers: Sequence[str]) -> None:
        if len(answers) == 1 and whole_number(answers[0]) is not None:
            self.points.append(len(self.questions_read))
        else:
            self.is_all_points &= len(answers) == 1 and answers[0].replace(".", "", 1).lstrip("-").isdigit()

    def questions(self) -> list[Question]:
        """All questions. Raises BadInput where there is none.

        pandas writes a column of whole numbers in which one is missing with points: "1969.0". Where every answer is
        such a number, the point is removed. Among other answers "4.0" may be exactly that, so both are spellings.
        """
        if not self.rows:
            raise BadInput(f"{self.name} holds no question", "it has no row", "give a row for each question")
        if not self.questions_read:
            raise self._none()
        for place in self.points:
            question = self.questions_read[place]
            number = whole_number(question.answers[0])
            answers = (number,) if self.is_all_points else (number, question.answers[0])
            self.questions_read[place] = question.model_copy(update={"answers": answers})
        return self.questions_read

    def usable(self, drawn: Sequence[Question]) -> list[Question]:
        """The questions of which an answer, in any row with the same question, has a letter or digit; others are
        counted.

        Raises BadInput where none has.
        """
        known: dict[str, bool] = defaultdict(bool)
        for question in drawn:
            known[comparison_key(question.text)] |= any(map(normalise, question.answers))
        if not all(known.values()):
            places = {id(question): place for question, place in zip(self.questions_read, self.places, strict=True)}
            for question in drawn:
                if not known[comparison_key(question.text)]:
                    is_own = not question.id.startswith(f"{self.stem}:")
                    self._lose("unusable", places[id(question)], question.id if is_own else "")
        if not any(known.values()):
            raise self._none()
        return [question for question in drawn if known[comparison_key(question.text)]]

    def _none(self) -> BadInput:
        reasons = ", ".join(ReadQuestions.reasons(self.lost, self.where))
        return BadInput(
            f"{self.name} holds no question with an answer",
            f"of its {self.rows:,} rows none has both that can be used" + (f": {reasons}" if reasons else ""),
            "give a column 'question' and a column 'answers'",
        )


def _first_word(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        try:
            if text := cell_text(cells.get(name)):
                return text[:200]
        except Unclear:
            continue
    return ""


def _is_choice(answers: Sequence[str]) -> bool:
    return bool(answers) and all(map(_CHOICE.fullmatch, answers))
