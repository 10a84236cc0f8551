"""Questions from files of others: TriviaQA, NQ-Open, PopQA, and a person's CSV, TSV, JSON or JSON lines.

Owns which columns are understood. A file's kind is told by its ending, its columns by their names; TriviaQA's nested
answers (`rc.nocontext`, Parquet) and PopQA's lists written as text are unpacked. Lines are split at "\\n" alone:
answers hold other line separators. Refuses what is not UTF-8, and never runs anything from a file.
"""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from backend.errors import BadInput
from backend.identify.questions import checked, chosen, same
from backend.outside import clause, json_value
from backend.types.identify import MAX_TEXT, Question, ReadQuestions
from backend.types.plan import Source

_END = "\x1eend"
MAX_BYTES = 400 * 1024**2
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
_QUESTION = ("question", "prompt", "query")
_ANSWERS = ("answers", "answer", "possible_answers", "aliases", "ground_truth", "objects", "answer_aliases")
_RELATION = ("relation", "prop", "category", "kind", "topic")
_ENTITY = ("entity", "subj", "subject")
_ID = ("id", "question_id", "qid")
ALL = Source(per_relation=None)
"""Every question of a file."""
Lost = Literal["incomplete", "long", "broken"]
"""Why a row is no question: fields of `ReadQuestions`."""


def read_path(path: Path, source: Source = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in `path` that `source` asks. Raises BadInput."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(
                f"{path.name} is too large", f"it has {size / 1e6:,.0f} MB, at most 400 are read", "take a part of it"
            )
        payload = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read", error.strerror or str(error), "check the name") from error
    return read(payload, path.name, source, seed)


def read(payload: bytes, name: str, source: Source = ALL, seed: int = 0) -> ReadQuestions:
    """The questions in a file's bytes that `source` asks, and which rows are none; its ending says how they are
    written.

    They are chosen before they are counted: a file may hold more than one run asks. Raises BadInput.
    """
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise BadInput(
            f"{name[:60]} is of no kind that is read",
            f"it ends in {ending or 'nothing'}",
            f"save it as {', '.join(ENDINGS)}",
        )
    rows = _parquet(payload, name) if ending == ".parquet" else _text_rows(payload, name, ending)
    if not rows:
        raise BadInput(f"{name} holds no question", "it has no row", "give a row for each question")
    told = [_question(row, number, name) for number, row in enumerate(rows, 1)]
    found = [one for one in told if isinstance(one, Question)]
    long = told.count("long")
    if not found:
        raise BadInput(
            f"{name} holds no question with an answer",
            f"of its {len(rows):,} rows "
            + (f"{long:,} are of more than {MAX_TEXT:,} characters, and no other" if long else "none")
            + " has both",
            "give a column 'question' and a column 'answers'",
        )
    found = list(chosen(found, source.model_copy(update={"file": name}), seed))
    asked, different = checked(found), len({same(one.text) for one in found})
    return ReadQuestions(
        questions=asked,
        rows=len(rows),
        incomplete=told.count("incomplete") + different - len(asked),
        long=long,
        broken=told.count("broken"),
        repeated=len(found) - different,
    )


def _parquet(payload: bytes, name: str) -> list[Mapping[str, Any]]:
    try:
        table = pq.read_table(io.BytesIO(payload))
        wanted = [column for column in table.column_names if column.lower() in _KNOWN]
        return table.select(wanted).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(f"{name} cannot be read", clause(str(error)), "save it as Parquet again") from error


def _text_rows(payload: bytes, name: str, ending: str) -> list[Mapping[str, Any]]:
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name} is not UTF-8", f"byte {error.start} belongs to no character", "save it as UTF-8"
        ) from error
    if "\0" in text:
        raise BadInput(f"{name} is no text", "it holds a zero byte", "save it as UTF-8")
    if ending in (".csv", ".tsv"):
        return _table(text, name, "\t" if ending == ".tsv" else None)
    return _json(text, name)


def _table(text: str, name: str, separator: str | None) -> list[Mapping[str, Any]]:
    if not text.strip():
        return []
    first = text.split("\n", 1)[0]
    mark = separator or max(",;\t", key=first.count)
    csv.field_size_limit(10_000_000)
    # A line behind the last: where it is no row of its own, a quotation mark before it was never closed.
    reader = csv.DictReader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=mark)
    rows: list[Mapping[str, Any]] = []
    start, ended = 1, 1
    try:
        _refuse_twice(reader.fieldnames or (), name)
        for row in reader:
            start, ended = ended + 1, reader.line_num
            if next(iter(row.values()), None) == _END:
                return rows
            if any(cell.strip() for cell in row.pop(None, ())):
                raise BadInput(
                    f"{name}, line {reader.line_num} has more cells than the table has columns",
                    f"the heading has {len(row)}",
                    f"put quotation marks around a text with {mark!r} in it",
                )
            rows.append(row)
    except csv.Error as error:
        raise BadInput(f"{name} is no table", str(error), "save it as CSV again") from error
    raise BadInput(
        f"{name}, line {start} opens a quotation mark that is never closed",
        "the rest of the file would be one cell",
        "close it, or write it twice if it belongs to the text",
    )


def _refuse_twice(heading: Sequence[str], name: str) -> None:
    names = [str(cell).strip().lower() for cell in heading]
    twice = next((cell for cell in names if cell in _KNOWN and names.count(cell) > 1), None)
    if twice is not None:
        raise BadInput(f"{name} has two columns {twice!r}", "one of them would not be read", "rename one of them")


def _json(text: str, name: str) -> list[Any]:
    """A list of objects, an object of objects by id, or either of them line by line."""
    with suppress(BadInput):
        return _objects(json_value(text, name))
    rows: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows += _objects(json_value(line, f"{name}, line {number}"))
    return rows


def _objects(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()) and not _has(value):
        return [{"id": key, **one} for key, one in value.items()]
    return [value]


def _has(row: Mapping[str, Any]) -> bool:
    return any(str(key).strip().lower() in _QUESTION for key in row)


_KNOWN = {*_QUESTION, *_ANSWERS, *_RELATION, *_ENTITY, *_ID}


def _question(row: Any, number: int, name: str) -> Question | Lost:
    """The question of a row, or why it is none. Raises BadInput for a table without both columns."""
    if not isinstance(row, Mapping):
        return "broken"
    cells = {str(key).strip().lower(): value for key, value in row.items()}
    text_key, answers_key = (next((key for key in known if key in cells), None) for known in (_QUESTION, _ANSWERS))
    if text_key is None or answers_key is None:
        if number == 1:
            raise BadInput(
                f"{name} has no column of {'questions' if text_key is None else 'answers'}",
                f"its columns are {', '.join(map(str, row))[:120]}",
                "name them 'question' and 'answers'",
            )
        return "incomplete"
    text, answers = _word(cells[text_key]), _answers(cells[answers_key])
    if not text or not answers:
        return "incomplete"
    if len(text) > MAX_TEXT:
        return "long"
    told = {
        "id": _first(cells, _ID) or f"{Path(name).stem}:{number}",
        "text": text,
        "answers": answers,
        "relation": _first(cells, _RELATION),
        "entity": _first(cells, _ENTITY),
        "source": name,
    }
    try:
        return Question.model_validate(told)
    except ValidationError:
        # Half a character, as a broken export leaves it.
        return "broken"


def _first(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((word for name in names if (word := _word(cells.get(name)))), "")[:200]


def _word(value: Any) -> str:
    """A cell as text; '' for nothing, for what is no number, and for lists and objects."""
    missing = value is None or isinstance(value, (list, dict)) or value != value
    return "" if missing else str(value).strip()


def _answers(value: Any) -> tuple[str, ...]:
    """Spellings from a list, TriviaQA's object of them, a JSON list as text, or a text with bars between them."""
    if isinstance(value, dict):
        spelled = [value.get("value"), *_listed(value.get("aliases")), *_listed(value.get("normalized_aliases"))]
    else:
        spelled = _listed(value)
    words = (_word(one).strip('"').strip() for one in spelled)
    return tuple(dict.fromkeys(one for one in words if one))


def _listed(value: Any) -> list[Any]:
    """The spellings in a list, in a text that is a JSON list or has bars between them, or the one that it is."""
    if isinstance(value, str):
        text, held = value.strip(), None
        if text.startswith("["):
            with suppress(BadInput):
                held = json_value(text, "the answers")
        if held is None and text.startswith("['"):
            # As a table of Python's writes a list; nothing of it is run.
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                held = ast.literal_eval(text)
        return held if isinstance(held, list) else text.split("|")
    return value if isinstance(value, list) else [value]
