"""The rows of a user's file, one at a time: JSON and JSON lines (tables and Parquet have modules of their own).

Owns what a row of each is, within the limits of `backend.identify.formats.limits`. Only the wanted columns are kept.
Except in tables, lines are split at "\\n" alone: answers contain other line separators. What a row means is
`backend.identify.formats.questions`'s.
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
from backend.identify.formats.parquet import parquet_rows
from backend.identify.formats.tables import table_rows
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
        read_rows = parquet_rows(payload, name, wanted)
    elif packed_kind := next((kind for magic, kind in _PACKED.items() if payload.startswith(magic)), None):
        raise BadInput(f"{name} is no text", f"it is {packed_kind}", "save the table in it as CSV")
    elif payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise no_utf8(name, 0)
    elif b"\0" in payload:
        raise BadInput(f"{name} is no text", "it holds a zero byte", "save it as UTF-8")
    elif ending in (".csv", ".tsv"):
        read_rows = table_rows(payload, name, "\t" if ending == ".tsv" else None, wanted)
    else:
        read_rows = _json_rows(payload, name, ending, wanted)
    for count, row in enumerate(read_rows):
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
        # Files that were joined have byte order marks in the middle.
        text = text.lstrip("\ufeff").rstrip("\r\n")
        if text.strip():
            yield number, text


# JSON


def _json_rows(payload: bytes, name: str, ending: str, wanted: Collection[str]) -> Iterator[Row]:
    """Lines of objects, or one value: a list of objects, objects by id, columns, or one object."""
    lines = _lines(payload, name)
    head = next(lines, None)
    if head is None:
        return
    second = next(lines, None)
    try:
        first = json_value(head[1], f"{name}, line {head[0]}")
    except BadInput:
        # The first line is not a value by itself: one value over several lines, or a broken file.
        if second is None or ending == ".jsonl" and not _is_one_value(payload):
            raise
        first, second = json_value(text_of(payload, name), name), None
    if second is None:
        yield from _rows_of_value(first, name, wanted)
        return
    yield from _rows_of_line(first, head[0], name, wanted)
    for number, line in chain([second], lines):
        if len(line) > MAX_ROW:
            yield f"line {number}", LARGE
            continue
        yield from _rows_of_line(json_value(line, f"{name}, line {number}"), number, name, wanted)


def _rows_of_line(value: Any, number: int, name: str, wanted: Collection[str]) -> Iterator[Row]:
    rows_of_value = _rows_of_value(value, f"{name}, line {number}", wanted, is_line=True)
    return ((f"line {number}", row) for _, row in rows_of_value)


def _is_one_value(payload: bytes) -> bool:
    """Whether this begins as a list or object that continues on the next line."""
    return payload.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].strip() in (b"[", b"{")


def _rows_of_value(value: Any, name: str, wanted: Collection[str], is_line: bool = False) -> Iterator[Row]:
    """The rows of a JSON value, each with its place in it.

    Args:
        is_line: whether it is one line of several. Such a value is not a table of columns by the rows' names.
    Raises BadInput where rows would be skipped.
    """
    if isinstance(value, Mapping) and not has_question(value):
        inner = _named_data(value, name, wanted)
        value = value if inner is None else _headed(value.get("columns"), inner, name, wanted)
    elif isinstance(value, Mapping) and _is_columns(value, is_line):
        yield from _rows_of_columns(value, name, wanted)
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
    """Whether it has a question and another wanted column; an example in a description does not."""
    return _is_question(value) and len({column(key) for key in value} & set(wanted)) > 1


def _named_data(value: Mapping[str, Any], name: str, wanted: Collection[str]) -> list[Any] | None:
    """The rows under `data`, where pandas ("split", "table") and TriviaQA's own files have them; None where there are
    none.

    Raises BadInput where there are rows elsewhere too.
    """
    key = next((key for key in value if column(key) == "data" and isinstance(value[key], list)), None)
    if key is None:
        return None
    for other_key, part in value.items():
        inner = part if isinstance(part, list) else part.values() if isinstance(part, Mapping) else ()
        if other_key != key and any(_is_row(candidate, wanted) for candidate in (part, *inner)):
            raise BadInput(
                f"{name} has questions under {key!r} and under {str(other_key)[:60]!r}",
                "only those of one list are read",
                "save each list as a file of its own",
            )
    data_rows: list[Any] = value[key]
    return data_rows


def _headed(heading: Any, rows: list[Any], name: str, wanted: Collection[str]) -> list[Any]:
    """Rows that are lists as objects by the heading; a row whose length differs from the heading's stays as it is."""
    if not isinstance(heading, list):
        return rows
    refuse_twice(heading, name, wanted)
    names = [str(cell) for cell in heading]
    return [
        dict(zip(names, row, strict=True)) if isinstance(row, list) and len(row) == len(names) else row for row in rows
    ]


def _is_by_id(value: Mapping[str, Any]) -> bool:
    """Whether an object holds rows by their ids; some of the rows may be broken."""
    rows_of_ids = value.values()
    return bool(value) and (any(map(_is_question, rows_of_ids)) or all(isinstance(row, Mapping) for row in rows_of_ids))


def _with_id(id: str, row: Any) -> Any:
    """The row with its id, unless it has one of its own."""
    if not isinstance(row, Mapping) or any(column(key) == "id" and row[key] is not None for key in row):
        return row
    return {"id": id, **{key: cell for key, cell in row.items() if column(key) != "id"}}


def _is_columns(value: Mapping[str, Any], is_line: bool) -> bool:
    """Whether each column is a list, or an object by the row's name, as Datasets and pandas write a table."""
    columns = list(value.values())
    return all(isinstance(cells, list) and len(cells) == len(columns[0]) for cells in columns) or (
        not is_line and all(isinstance(cells, Mapping) for cells in columns)
    )


def _rows_of_columns(columns: Mapping[str, Any], name: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of columns, with the cells of those that are wanted."""
    refuse_twice(columns, name, wanted)
    cells_by_column = {
        key: cells if isinstance(cells, Mapping) else dict(enumerate(cells))
        for key, cells in columns.items()
        if column(key) in wanted
    }
    all_columns = dict.fromkeys(columns)
    # The first row has all columns, for the error that names them when one is missing.
    keys = dict.fromkeys(key for cells in cells_by_column.values() for key in cells)
    for number, key in enumerate(keys, 1):
        row = {column_name: cells.get(key) for column_name, cells in cells_by_column.items()}
        yield f"row {number}", {**all_columns, **row} if number == 1 else row
