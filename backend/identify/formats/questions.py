"""Questions from files of others: TriviaQA, NQ-Open, PopQA, and a person's CSV, TSV, JSON or JSON lines.

Owns which columns are understood. A file's kind is told by its ending, its columns by their names; TriviaQA's nested
answers (`rc.nocontext`, Parquet) and PopQA's lists written as text are unpacked. Lines are split at "\\n" alone:
answers hold other line separators. Refuses what is not UTF-8, and never runs anything from a file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from backend.errors import BadInput
from backend.identify.questions import checked
from backend.types.identify import Question

MAX_BYTES = 400 * 1024**2
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
_QUESTION = ("question", "prompt", "query")
_ANSWERS = ("answers", "answer", "possible_answers", "aliases", "ground_truth", "objects", "answer_aliases")
_RELATION = ("relation", "prop", "category", "kind", "topic")
_ENTITY = ("entity", "subj", "subject")
_ID = ("id", "question_id", "qid")


def read_path(path: Path, limit: int | None = None, seed: int = 0) -> tuple[Question, ...]:
    """The questions in `path`, at most `limit` of them at random. Raises BadInput."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(
                f"{path.name} is too large", f"it has {size / 1e6:,.0f} MB, at most 400 are read", "take a part of it"
            )
        payload = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read", error.strerror or str(error), "check the name") from error
    return read(payload, path.name, limit, seed)


def read(payload: bytes, name: str, limit: int | None = None, seed: int = 0) -> tuple[Question, ...]:
    """The questions in a file's bytes; its ending says how they are written. Raises BadInput."""
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
    found = [question for number, row in enumerate(rows, 1) if (question := _question(row, number, name)) is not None]
    if not found:
        raise BadInput(
            f"{name} holds no question with an answer",
            f"of its {len(rows):,} rows none has both",
            "give a column 'question' and a column 'answers'",
        )
    if limit is not None and limit < len(found):
        kept = np.sort(np.random.default_rng(seed).choice(len(found), limit, replace=False))
        found = [found[place] for place in kept]
    return checked(found)


def _parquet(payload: bytes, name: str) -> list[Mapping[str, Any]]:
    try:
        table = pq.read_table(io.BytesIO(payload))
        wanted = [column for column in table.column_names if column.lower() in _KNOWN]
        return table.select(wanted).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError) as error:
        raise BadInput(f"{name} cannot be read", f"{error}"[:160], "save it as Parquet again") from error


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
    first = text.split("\n", 1)[0]
    mark = separator or max(",;\t", key=first.count)
    csv.field_size_limit(10_000_000)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark))
    except csv.Error as error:
        raise BadInput(f"{name} is no table", str(error), "save it as CSV again") from error
    return [{str(key): value for key, value in row.items() if key is not None} for row in rows]


def _json(text: str, name: str) -> list[Mapping[str, Any]]:
    """A list of objects, an object of objects by id, or either of them line by line."""
    try:
        return list(_objects(json.loads(text)))
    except ValueError:
        pass
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows += _objects(json.loads(line))
            except ValueError as error:
                raise BadInput(f"{name}, line {number} is not JSON", str(error)[:120], "correct that line") from error
    return rows


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(value, list):
        return [one for one in value if isinstance(one, dict)]
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()) and not _has(value):
        return [{"id": key, **one} for key, one in value.items()]
    return [value] if isinstance(value, dict) else []


def _has(row: Mapping[str, Any]) -> bool:
    return any(str(key).strip().lower() in _QUESTION for key in row)


_KNOWN = {*_QUESTION, *_ANSWERS, *_RELATION, *_ENTITY, *_ID}


def _question(row: Mapping[str, Any], number: int, name: str) -> Question | None:
    """The question of a row; None where it lacks its text or its answers. Raises BadInput for a table without both."""
    cells = {str(key).strip().lower(): value for key, value in row.items()}
    text_key, answers_key = (next((key for key in known if key in cells), None) for known in (_QUESTION, _ANSWERS))
    if text_key is None or answers_key is None:
        if number == 1:
            raise BadInput(
                f"{name} has no column of {'questions' if text_key is None else 'answers'}",
                f"its columns are {', '.join(map(str, row))[:120]}",
                "name them 'question' and 'answers'",
            )
        return None
    text, answers = str(cells[text_key] or "").strip(), _answers(cells[answers_key])
    if not text or not answers or len(text) > 2_000:
        return None
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
        return None


def _first(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    found = next((cells[name] for name in names if cells.get(name) not in (None, "")), "")
    return str(found).strip()[:200]


def _answers(value: Any) -> tuple[str, ...]:
    """Spellings from a list, TriviaQA's object of them, a JSON list as text, or a text with bars between them."""
    if isinstance(value, dict):
        value = [value.get("value"), *(value.get("aliases") or ()), *(value.get("normalized_aliases") or ())]
    if isinstance(value, str):
        text = value.strip()
        try:
            listed = json.loads(text) if text.startswith("[") else None
        except ValueError:
            listed = None
        value = listed if isinstance(listed, list) else text.split("|")
    if not isinstance(value, (list, tuple)):
        value = [value]
    told = (str(one).strip().strip('"').strip() for one in value if one is not None)
    return tuple(dict.fromkeys(one for one in told if one))
