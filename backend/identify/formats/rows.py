"""The rows of a person's file, one at a time: CSV, TSV, JSON, JSON lines (and Parquet, by its own module).

Owns what is a row of each, within the limits of `backend.identify.formats.limits`. Only the columns that are asked for
are kept. Lines are split at "\\n" alone, but in tables: answers hold other line separators. What a row means
is `backend.identify.formats.questions`'s.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from backend import spreadsheet
from backend.errors import BadInput
from backend.identify.formats import limits
from backend.identify.formats.limits import LARGE, MAX_BYTES, MAX_COLUMNS, MAX_ROW, Row
from backend.identify.formats.parquet import parquet
from backend.text.columns import column, refuse_twice
from backend.untrusted import beyond, json_value

_PACKED = {
    b"PK\x03\x04": "an Excel workbook or another ZIP file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the older kind",
    b"\x1f\x8b": "packed with gzip",
    b"PAR1": "a Parquet file",
}
_QUOTED = re.compile(r'"[^"]*"(?:[,;\t]"[^"]*")+\s*')
_OF_R = re.compile(r"NA|TRUE|FALSE|NaN|-?Inf|[-+\d.,:eETZ ]*")
"""What R writes without quotation marks: numbers, days and truths."""
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
        raise _no_utf8(name, 0)
    elif b"\0" in payload:
        raise BadInput(f"{name} is no text", "it holds a zero byte", "save it as UTF-8")
    elif ending in (".csv", ".tsv"):
        found = _table(payload, name, "\t" if ending == ".tsv" else None, wanted)
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
            raise _no_utf8(name, stream.tell() - len(line) + error.start) from error
        if text.strip():
            yield number, text.rstrip("\r\n")


def _no_utf8(name: str, place: int) -> BadInput:
    return BadInput(f"{name} is not UTF-8", f"byte {place} belongs to no character", "save it as UTF-8")


def _table(payload: bytes, name: str, separator: str | None, wanted: Collection[str]) -> Iterator[Row]:
    lines = _bounded_lines(payload, name)
    first, mark, before = _heading(lines, separator)
    if not first:
        return
    if _QUOTED.fullmatch(first):
        # R puts every text between quotation marks, so this is no "NA" of a text, as Namibia's sign is.
        lines = _without_na(lines, mark)
    csv.field_size_limit(MAX_ROW)
    # Behind a mark a space may stand before a quotation mark: it belongs to neither.
    reader = csv.reader(chain([first], lines), delimiter=mark, strict=True, skipinitialspace=True)
    ended = 0
    try:
        heading = [spreadsheet.text(cell) for cell in next(reader)]
        if len(heading) > MAX_COLUMNS:
            raise beyond(name, f"it has {len(heading):,} columns", f"{MAX_COLUMNS:,}")
        refuse_twice(heading, name, wanted)
        kept = [(place, cell) for place, cell in enumerate(heading) if column(cell) in wanted]
        # The first row names all columns, for the sentence that says that one is missing.
        every = dict.fromkeys(heading)
        ended = reader.line_num + before
        for cells in reader:
            start, ended = ended + 1, reader.line_num + before
            if not cells:
                continue
            # Where no column is known, the heading is told of and not what stands below it.
            if kept and len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
                raise BadInput(
                    f"{name}, line {reader.line_num + before} has more cells than the table has columns",
                    f"the heading has {len(heading)}",
                    f"put quotation marks around a text with {mark!r} in it, or name a column that has no name",
                )
            told = {cell: spreadsheet.text(cells[place]) for place, cell in kept if place < len(cells)}
            yield f"line {start}", {**every, **(told if not _is_heading(told, cells, name, start) else {})}
            every = dict.fromkeys(cell for _, cell in kept)
    except csv.Error as error:
        why = f"line {reader.line_num + before}: {error}"
        if "field limit" in str(error):
            raise beyond(name, why, f"{MAX_ROW:,} characters in a cell") from error
        if "expected after" in str(error):
            raise BadInput(
                f"{name}, line {ended + 1} has a quotation mark within a cell",
                "it does not end the cell, and is not written twice as those of a text are",
                "write it twice",
            ) from error
        if "new-line character" in str(error):
            raise BadInput(
                f"{name}, line {ended + 1} has a carriage return within a cell",
                "without quotation marks it would end the row there",
                "put quotation marks around the text, or take it out",
            ) from error
        if "unexpected end" not in str(error):
            raise BadInput(f"{name} is no table", why, "save it as CSV again") from error
        raise BadInput(
            f"{name}, line {ended + 1} opens a quotation mark that is never closed",
            "the rest of the file would be one cell",
            "close it, or write it twice if it belongs to the text",
        ) from error


def _is_heading(told: Mapping[str, str], cells: Sequence[str], name: str, line: int) -> bool:
    """Whether a row is the heading once more, as in tables that were put together: it is no question.

    Raises BadInput where it is the heading of other columns, for what follows would be read as what it is not.
    """
    if told and all(column(cell) == column(heading) for heading, cell in told.items()):
        return True
    names = {column(cell) for cell in cells if cell} if told else set()
    if _has_column(names) and all(column(heading) in names for heading in told):
        raise BadInput(
            f"{name}, line {line} is a heading again, of columns in another order",
            "the rows below it would be read as those above",
            "save each table as a file of its own",
        )
    return False


def _heading(lines: Iterator[str], separator: str | None) -> tuple[str, str, int]:
    """(the first line that is not blank, what parts its cells, the lines before it); '' where there is none.

    Excel's own "sep=;" says what parts them.
    """
    before, first = 0, ""
    for first in lines:
        told = re.fullmatch(r"\W{0,2}sep=(.)\"?\s*", first, re.IGNORECASE)
        if told:
            separator = told[1]
        if first.strip(" ,;\t\r\n") and not told:
            break
        before += 1
        first = ""
    # What stands between quotation marks parts nothing.
    bare = re.sub(r'"[^"]*"', "", first)
    return first, separator or max(",;\t", key=bare.count), before


def _without_na(lines: Iterable[str], mark: str) -> Iterator[str]:
    """The lines of a table with nothing in the place of R's NA, where no text stands without quotation marks."""
    pattern, is_within = re.compile(rf"(?<![^{mark}])NA(?=[{mark}\r\n]|\Z)"), False
    for line in lines:
        parts = line.split('"')
        bare = parts[is_within::2]
        if len(parts) > 1 and all(_OF_R.fullmatch(cell.strip()) for part in bare for cell in part.split(mark)):
            parts[is_within::2] = [pattern.sub("", part) for part in bare]
        yield '"'.join(parts)
        is_within ^= len(parts) % 2 == 0


def _bounded_lines(payload: bytes, name: str) -> Iterator[str]:
    """Lines as a table's reader wants them, ended as the first one is. Raises BadInput."""
    # Carriage returns alone end the lines of old tables; in others they belong to a text.
    newline = "" if re.match(rb"[^\r\n]*\r+(?![\r\n])", payload) else "\n"
    stream = io.TextIOWrapper(io.BytesIO(payload), encoding="utf-8-sig", newline=newline)
    try:
        while line := stream.readline(MAX_ROW + 1):
            if len(line) > MAX_ROW:
                raise beyond(name, f"a line has more than {MAX_ROW:,} characters", f"{MAX_ROW:,}")
            yield line
    except UnicodeDecodeError as error:
        # Its place is of the part that was being read; the place in the whole is told.
        _decoded(payload, name)
        raise _no_utf8(name, error.start) from error


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
        first, second = json_value(_decoded(payload, name), name), None
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


def _decoded(payload: bytes, name: str) -> str:
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_utf8(name, error.start) from error


def _of_value(value: Any, name: str, wanted: Collection[str], is_line: bool = False) -> Iterator[Row]:
    """The rows of a JSON value, each with its place in it.

    Args:
        is_line: whether it stands beside others. Such a value is no whole table of columns by the rows' names.
    Raises BadInput where rows would not be read.
    """
    if isinstance(value, Mapping) and not _has_column(value):
        inner = _named_data(value, name)
        value = value if inner is None else _headed(value.get("columns"), inner, name, wanted)
    elif isinstance(value, Mapping) and _is_columns(value, is_line):
        yield from _rows_of(value, name, wanted)
        return
    if isinstance(value, list):
        yield from ((f"row {number}", row) for number, row in enumerate(value, 1))
    elif isinstance(value, Mapping) and not _has_column(value) and _is_by_id(value):
        yield from ((f"row {number}", _with_id(key, row)) for number, (key, row) in enumerate(value.items(), 1))
    else:
        yield "row 1", value


def _has_column(value: Iterable[str]) -> bool:
    return any(column(key) in ("question", "prompt", "query") for key in value)


def _is_question(value: Any) -> bool:
    return isinstance(value, Mapping) and _has_column(value)


def _named_data(value: Mapping[str, Any], name: str) -> list[Any] | None:
    """The rows under `data`, as pandas ("split", "table") and TriviaQA's own files have them; None where none are.

    Raises BadInput where rows stand elsewhere too.
    """
    key = next((key for key in value if column(key) == "data" and isinstance(value[key], list)), None)
    if key is None:
        return None
    for other, held in value.items():
        inner = held if isinstance(held, list) else held.values() if isinstance(held, Mapping) else ()
        if other != key and (_is_question(held) or any(map(_is_question, inner))):
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
