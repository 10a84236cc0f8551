"""Questions from files of others: TriviaQA, NQ-Open, PopQA, and a person's CSV, TSV, JSON, JSON lines or Parquet.

Owns which columns are understood, and the account of every row that is no question, with its place. A file's kind is
told by its ending, its columns by their names. How rows are read is
`backend.identify.formats.rows`'s; what a cell of answers spells is `backend.identify.formats.spellings`'s.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from backend.errors import BadInput
from backend.identify.formats.limits import LARGE, MAX_BYTES, MAX_LIST
from backend.identify.formats.literals import Unclear
from backend.identify.formats.rows import ENDINGS, rows
from backend.identify.formats.spellings import is_printed_list, spellings, whole, word
from backend.identify.questions.questions import checked, chosen, same
from backend.text.columns import column, refuse_twice
from backend.text.verdict import normalise
from backend.types.identify import MAX_TEXT, Question, ReadQuestions
from backend.types.plan import QuestionSource
from backend.untrusted import beyond, bytes_of

_QUESTION = ("question", "prompt", "query")
_ANSWERS = ("answers", "answer", "possible_answers", "ground_truth", "objects")
_ALIASES = ("aliases", "answer_aliases")
"""More spellings of the answer that stands in another column, or all of them."""
_CHOICES = (
    *("choices", "options", "option_b", "option b", "optionb", "choice_b", "choice b", "opb"),
    *("option2", "option_2", "option 2", "choice2", "choice_2", "choice 2"),
)
"""Where an answer like 1 or "B" says which of them, and by which count is not known. Of columns with a choice each the
second, which no question without choices has."""
_LETTERS = ("a", "b")
"""The same where each column has its letter alone for a name: one of them may be anything."""
_CHOICE = re.compile(r"[(\[]?\w[)\].:]?")
"""How an answer says which: 1, B, (B) or B."""
_RELATION = ("relation", "prop", "category", "kind", "topic")
_ENTITY = ("entity", "subj", "subject")
_ID = ("id", "question_id", "qid")
_KNOWN = {*_QUESTION, *_ANSWERS, *_ALIASES, *_CHOICES, *_LETTERS, *_RELATION, *_ENTITY, *_ID}
MAX_ANSWERS = 200_000
"""Characters of one question's answers together."""
MAX_KEPT = 200_000_000
"""Characters of all questions and answers of a file."""
NAMED = 3
"""Rows of each kind of loss whose place is told."""
ALL = QuestionSource(per_relation=None)
"""Every question of a file."""
Lost = Literal["incomplete", "unusable", "unclear", "long", "broken"]
"""Why a row is no question: fields of `ReadQuestions`."""


def read_path(path: Path, source: QuestionSource = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in `path` that `source` asks. Raises BadInput."""
    # A large one of another kind need not be read; what is no file, or no name of one, is told as that.
    if os.path.isfile(path):
        _ending(path.name)
    return read(bytes_of(path, MAX_BYTES, name=path.name), path.name, source, seed)


def _ending(name: str) -> str:
    """Raises BadInput for one that is not read."""
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise BadInput(
            f"{name[:60]} is of no kind that is read",
            f"it ends in {ending or 'nothing'}",
            f"save it as {', '.join(ENDINGS)}",
        )
    return ending


def read(payload: bytes, name: str, source: QuestionSource = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in a file's bytes that `source` asks, and which rows are none; its ending says how they are
    written.

    They are chosen before they are counted: a file may hold more than one run asks. Raises BadInput.
    """
    told = _Told(name)
    for place, row in rows(payload, name, _ending(name), _KNOWN):
        told.take(place, row)
    drawn = chosen(told.questions(), source.model_copy(update={"file": name}), seed)
    found = told.usable(drawn)
    asked, different = checked(found), len({same(one.text) for one in found})
    return ReadQuestions(
        questions=asked,
        rows=told.rows,
        repeated=len(found) - different,
        where={why: tuple(places) for why, places in told.where.items()},
        **{why: told.lost[why] for why in get_args(Lost)},
    )


class _Told:
    """What has been read of a file so far: its questions, and the rows that are none with their places."""

    def __init__(self, name: str) -> None:
        self.name, self.stem, self.rows, self.kept = name, Path(name).stem, 0, 0
        self.found: list[Question] = []
        self.places: list[str] = []
        self.lost: dict[str, int] = defaultdict(int)
        self.where: dict[str, list[str]] = defaultdict(list)
        # Questions whose answer is a text like "1969.0", and whether every answer of the file is such a number.
        self.points: list[int] = []
        self.is_all_points = True

    def take(self, place: str, row: Any) -> None:
        """One more row. Raises BadInput for a table without both columns, and beyond `MAX_KEPT`."""
        self.rows += 1
        if not isinstance(row, Mapping):
            self._lose("long" if row is LARGE else "broken", place, "")
            return
        cells = {column(key): value for key, value in row.items()}
        if len(cells) < len(row):
            refuse_twice(row, f"{self.name}, {place}", _KNOWN)
        id = _first(cells, _ID)
        found = self._question(cells, row, place, id)
        if not isinstance(found, Question):
            self._lose(found, place, id)
            return
        self.kept += len(found.text) + sum(map(len, found.answers))
        if self.kept > MAX_KEPT:
            raise beyond(self.name, "its questions and answers are longer", f"{MAX_KEPT:,} characters of them")
        self.found.append(found)
        self.places.append(place)

    def _lose(self, why: Lost, place: str, id: str) -> None:
        self.lost[why] += 1
        if self.lost[why] <= NAMED:
            # Half a character, as a broken export leaves it, cannot be told either.
            shown = id[:60].encode(errors="replace").decode()
            self.where[why].append(f"{place}, id {shown}" if shown else place)

    def _question(self, cells: Mapping[str, Any], row: Mapping[Any, Any], place: str, id: str) -> Question | Lost:
        """The question of a row, or why it is none. Raises BadInput for a table without both columns."""
        text_key = next((key for key in _QUESTION if key in cells), None)
        held = [key for key in (*_ANSWERS, *_ALIASES) if key in cells]
        if text_key is None or not held:
            if self.rows == 1:
                raise BadInput(
                    f"{self.name} has no column of {'questions' if text_key is None else 'answers'}",
                    f"its columns are {', '.join(map(str, row))[:120]}" if row else "its first row has none",
                    "name them 'question' and 'answers'",
                )
            return "incomplete"
        if any(isinstance(cells[key], (list, tuple)) and len(cells[key]) > MAX_LIST for key in held):
            return "long"
        try:
            text = word(cells[text_key])
            if len(text) <= MAX_TEXT and is_printed_list(text):
                # As a list that is one: no single question can be told from it.
                return "incomplete"
            answers = self._answers(cells, held, place) if len(text) <= MAX_TEXT else ()
        except Unclear:
            return "unclear"
        if len(text) > MAX_TEXT:
            return "long"
        if not text or not answers:
            return "incomplete"
        if sum(map(len, answers)) > MAX_ANSWERS:
            return "long"
        found = self._made(cells, id, text, answers)
        if isinstance(found, Question) and all(isinstance(cells[key], str) for key in held):
            self._note(answers)
        return found

    def _answers(self, cells: Mapping[str, Any], held: Sequence[str], place: str) -> tuple[str, ...]:
        """The spellings of a row. Raises Unclear; BadInput where two columns give other answers."""
        told = {key: found for key in held if (found := spellings(cells[key]))}
        given = [key for key in told if key in _ANSWERS]
        if len({told[key] for key in given}) > 1:
            raise BadInput(
                f"{self.name}, {place} has other answers in the column {given[0]!r} than in {given[1]!r}",
                "one of them may hold choices, or what a model said",
                "leave only the column of known answers",
            )
        offered = any(cells.get(key) is not None for key in _CHOICES) or all(
            cells.get(key) is not None for key in _LETTERS
        )
        if offered and any(map(_is_choice, told.values())):
            raise Unclear("the number of a choice")
        return tuple(dict.fromkeys(one for found in told.values() for one in found))

    def _made(self, cells: Mapping[str, Any], id: str, text: str, answers: Sequence[str]) -> Question | Lost:
        told = {
            "id": id or f"{self.stem}:{self.rows}",
            "text": text,
            "answers": answers,
            "relation": _first(cells, _RELATION),
            "entity": _first(cells, _ENTITY),
            "source": self.name,
        }
        try:
            return Question.model_validate(told)
        except ValidationError:
            # Half a character, as a broken export leaves it.
            return "broken"

    def _note(self, answers: Sequence[str]) -> None:
        if len(answers) == 1 and whole(answers[0]) is not None:
            self.points.append(len(self.found))
        else:
            self.is_all_points &= len(answers) == 1 and answers[0].replace(".", "", 1).lstrip("-").isdigit()

    def questions(self) -> list[Question]:
        """All of them. Raises BadInput where there is none.

        pandas writes a column of whole numbers of which one is missing with points: "1969.0". Where every answer is
        such a number, the point is taken away; beside other answers "4.0" may be meant so, and both are spellings.
        """
        if not self.rows:
            raise BadInput(f"{self.name} holds no question", "it has no row", "give a row for each question")
        if not self.found:
            raise self._none()
        for place in self.points:
            question = self.found[place]
            number = whole(question.answers[0])
            answers = (number,) if self.is_all_points else (number, question.answers[0])
            self.found[place] = question.model_copy(update={"answers": answers})
        return self.found

    def usable(self, drawn: Sequence[Question]) -> list[Question]:
        """Those of which an answer, of any row that asks the same, has a letter or digit; the others are counted.

        Raises BadInput where none has.
        """
        known: dict[str, bool] = defaultdict(bool)
        for question in drawn:
            known[same(question.text)] |= any(map(normalise, question.answers))
        if not all(known.values()):
            places = {id(question): place for question, place in zip(self.found, self.places, strict=True)}
            for question in drawn:
                if not known[same(question.text)]:
                    is_own = not question.id.startswith(f"{self.stem}:")
                    self._lose("unusable", places[id(question)], question.id if is_own else "")
        if not any(known.values()):
            raise self._none()
        return [question for question in drawn if known[same(question.text)]]

    def _none(self) -> BadInput:
        reasons = ", ".join(ReadQuestions.reasons(self.lost, self.where))
        return BadInput(
            f"{self.name} holds no question with an answer",
            f"of its {self.rows:,} rows none has both that can be used" + (f": {reasons}" if reasons else ""),
            "give a column 'question' and a column 'answers'",
        )


def _first(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        try:
            if told := word(cells.get(name)):
                return told[:200]
        except Unclear:
            continue
    return ""


def _is_choice(answers: Sequence[str]) -> bool:
    return bool(answers) and all(map(_CHOICE.fullmatch, answers))
