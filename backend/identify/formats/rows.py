"""The rows of a person's file, one at a time: JSON and JSON lines (tables and Parquet by modules of their own).

Owns what is a row of each, within the limits of `backend.identify.formats.limits`. Only the columns that are asked for
are kept. Lines are split at "\\n" alone, but in tables: answers hold other line separators. What a row means
is `backend.identify.formats.questions`'s.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from backend.errors import BadInput
from backend.identify.formats import limits
from backend.identify.formats.limits import LARGE, MAX_BYTES, MAX_ROW, Row
from backend.identify.formats.parquet import parquet
from backend.identify.formats.tables import table
from backend.text.columns import column, has_question, refuse_twice
from backend.untrusted import beyond, json_value, no_utf8, text_of

_PACKED = {
    b"PK\x03\x04": "an Excel workbook or another ZIP file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the older kind",
    b"\x1f\x8b": "packed with gzip",
    b"PAR1": "a Parquet file",
}
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


def rows(payload: bytes, name: str, ending: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a file in its bytes, with the cells of `wanted` columns (lower case).

    Raises BadInput, also at a later row, for what is damaged or beyond a limit.
    """
    if len(payload) > MAX_BYTES:
        raise beyond(name, f"it has {len(payload) / 1e6:,.0f} MB", f"{MAX_BYTES / 1024**2:,.0f} MB")
    if ending == ".parquet":
        found = parquet(payload, name, wanted)
    elif packed := next((kind for magic, kind in _PACKED.items() if payload.startswith(magic)), None):
        raise BadInput(f"{name} is no text", f"it is {packed}", "save the table in it as CSV")
    elif payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise no_utf8(name, 0)
    elif b"\0" in payload:
        raise BadInput(f"{name} is no text", "it holds a zero byte", "save it as UTF-8")
    elif ending in (".csv", ".tsv"):
        found = table(payload, name, "\t" if ending == ".tsv" else None, wanted)
    else:
        found = _json(payload, name, ending, wanted)
    for count, row in enumerate(found):
        if count == limits.MAX_ROWS:
            raise beyond(name, f"it has more than {limits.MAX_ROWS:,} rows", f"{limits.MAX_ROWS:,}")
        yield row


# Text


def _lines(payload: bytes, name: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank. Raises BadInput."""
    start = 3 if payload.startswith(codecs.BOM_UTF8) else 0
    stream, number = io.BytesIO(payload), 0
    stream.seek(start)
    while line := stream.readline():
        number += 1
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise no_utf8(name, stream.tell() - len(line) + error.start) from error
        # Files that were put together hold byte order marks in their midst.
        text = text.lstrip("\ufeff").rstrip("\r\n")
        if text.strip():
            yield number, text


# JSON


def _json(payload: bytes, name: str, ending: str, wanted: Collection[str]) -> Iterator[Row]:
    """Lines of objects, or one value: a list of objects, objects by id, columns, or one object."""
    found = _lines(payload, name)
    head = next(found, None)
    if head is None:
        return
    second = next(found, None)
    try:
        first = json_value(head[1], f"{name}, line {head[0]}")
    except BadInput:
        # Not a line of its own: one value over several lines, or a broken file.
        if second is None or ending == ".jsonl" and not _is_one(payload):
            raise
        first, second = json_value(text_of(payload, name), name), None
    if second is None:
        yield from _of_value(first, name, wanted)
        return
    yield from _of_line(first, head[0], name, wanted)
    for number, line in chain([second], found):
        if len(line) > MAX_ROW:
            yield f"line {number}", LARGE
            continue
        yield from _of_line(json_value(line, f"{name}, line {number}"), number, name, wanted)


def _of_line(value: Any, number: int, name: str, wanted: Collection[str]) -> Iterator[Row]:
    found = _of_value(value, f"{name}, line {number}", wanted, is_line=True)
    return ((f"line {number}", row) for _, row in found)


def _is_one(payload: bytes) -> bool:
    """Whether this begins as a list or object that goes on in the next line."""
    return payload.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].strip() in (b"[", b"{")


def _of_value(value: Any, name: str, wanted: Collection[str], is_line: bool = False) -> Iterator[Row]:
    """The rows of a JSON value, each with its place in it.

    Args:
        is_line: whether it stands beside others. Such a value is no whole table of columns by the rows' names.
    Raises BadInput where rows would not be read.
    """
    if isinstance(value, Mapping) and not has_question(value):
        inner = _named_data(value, name, wanted)
        value = value if inner is None else _headed(value.get("columns"), inner, name, wanted)
    elif isinstance(value, Mapping) and _is_columns(value, is_line):
        yield from _rows_of(value, name, wanted)
        return
    if isinstance(value, list):
        yield from ((f"row {number}", row) for number, row in enumerate(value, 1))
    elif isinstance(value, Mapping) and not has_question(value) and _is_by_id(value):
        yield from ((f"row {number}", _with_id(key, row)) for number, (key, row) in enumerate(value.items(), 1))
    else:
        yield "row 1", value


def _is_question(value: Any) -> bool:
    return isinstance(value, Mapping) and has_question(value)


def _is_row(value: Any, wanted: Collection[str]) -> bool:
    """Whether it is a question with something beside it that is read, as an example in a description is not."""
    return _is_question(value) and len({column(key) for key in value} & set(wanted)) > 1


def _named_data(value: Mapping[str, Any], name: str, wanted: Collection[str]) -> list[Any] | None:
    """The rows under `data`, as pandas ("split", "table") and TriviaQA's own files have them; None where none are.

    Raises BadInput where rows stand elsewhere too.
    """
    key = next((key for key in value if column(key) == "data" and isinstance(value[key], list)), None)
    if key is None:
        return None
    for other, held in value.items():
        inner = held if isinstance(held, list) else held.values() if isinstance(held, Mapping) else ()
        if other != key and any(_is_row(one, wanted) for one in (held, *inner)):
            raise BadInput(
                f"{name} has questions under {key!r} and under {str(other)[:60]!r}",
                "only those of one list are read",
                "save each list as a file of its own",
            )
    found: list[Any] = value[key]
    return found


def _headed(heading: Any, rows: list[Any], name: str, wanted: Collection[str]) -> list[Any]:
    """Rows that are lists as objects by the heading; one that has other cells than the heading stays as it is."""
    if not isinstance(heading, list):
        return rows
    refuse_twice(heading, name, wanted)
    names = [str(cell) for cell in heading]
    return [
        dict(zip(names, row, strict=True)) if isinstance(row, list) and len(row) == len(names) else row for row in rows
    ]


def _is_by_id(value: Mapping[str, Any]) -> bool:
    """Whether an object holds rows by their ids; of these some may be broken."""
    held = value.values()
    return bool(value) and (any(map(_is_question, held)) or all(isinstance(one, Mapping) for one in held))


def _with_id(id: str, row: Any) -> Any:
    """The row with its id, unless it has one of its own."""
    if not isinstance(row, Mapping) or any(column(key) == "id" and row[key] is not None for key in row):
        return row
    return {"id": id, **{key: cell for key, cell in row.items() if column(key) != "id"}}


def _is_columns(value: Mapping[str, Any], is_line: bool) -> bool:
    """Whether each column is a list, or an object by the row's name: as Datasets and pandas write a table."""
    held = list(value.values())
    return all(isinstance(one, list) and len(one) == len(held[0]) for one in held) or (
        not is_line and all(isinstance(one, Mapping) for one in held)
    )


def _rows_of(columns: Mapping[str, Any], name: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of columns, with the cells of those that are wanted."""
    refuse_twice(columns, name, wanted)
    held = {
        key: one if isinstance(one, Mapping) else dict(enumerate(one))
        for key, one in columns.items()
        if column(key) in wanted
    }
    every = dict.fromkeys(columns)
    # The first row names all columns, for the sentence that says that one is missing.
    keys = dict.fromkeys(key for one in held.values() for key in one)
    for number, key in enumerate(keys, 1):
        yield f"row {number}", {**(every if number == 1 else {}), **{name: one.get(key) for name, one in held.items()}}
