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
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from backend import spreadsheet
from backend.errors import BadInput
from backend.identify.formats import limits
from backend.identify.formats.limits import LARGE, MAX_BYTES, MAX_COLUMNS, MAX_ROW, Row
from backend.identify.formats.parquet import parquet
from backend.untrusted import beyond, json_value, refuse_twice

_END = "\x1eend"
_PACKED = {
    b"PK\x03\x04": "an Excel workbook or another ZIP file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the older kind",
    b"\x1f\x8b": "packed with gzip",
    b"PAR1": "a Parquet file",
}
_QUOTED = re.compile(r'"[^"]*"(?:[,;\t]"[^"]*")+\s*')
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
        found = _json(payload, name, ending)
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
            yield number, text


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
    # A line behind the last: where it is no row of its own, a quotation mark before it was never closed.
    reader = csv.reader(chain([first], lines, [_END]), delimiter=mark, strict=True)
    start = ended = 0
    try:
        heading = [spreadsheet.text(cell) for cell in next(reader)]
        if len(heading) > MAX_COLUMNS:
            raise beyond(name, f"it has {len(heading):,} columns", f"{MAX_COLUMNS:,}")
        refuse_twice(heading, name, wanted)
        kept = [(place, cell) for place, cell in enumerate(heading) if cell.strip().lower() in wanted]
        every = dict.fromkeys(heading)
        ended = reader.line_num + before
        for cells in reader:
            start, ended = ended + 1, reader.line_num + before
            if cells == [_END]:
                return
            if not cells:
                continue
            if len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
                raise BadInput(
                    f"{name}, line {reader.line_num + before} has more cells than the table has columns",
                    f"the heading has {len(heading)}",
                    f"put quotation marks around a text with {mark!r} in it",
                )
            if _END not in cells[-1]:
                told = {cell: spreadsheet.text(cells[place]) for place, cell in kept if place < len(cells)}
                yield f"line {start}", {**every, **told}
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
        if "unexpected end" not in str(error):
            raise BadInput(f"{name} is no table", why, "save it as CSV again") from error
        start = ended + 1
    raise BadInput(
        f"{name}, line {start or 1} opens a quotation mark that is never closed",
        "the rest of the file would be one cell",
        "close it, or write it twice if it belongs to the text",
    )


def _heading(lines: Iterator[str], separator: str | None) -> tuple[str, str, int]:
    """(the first line that is not blank, what parts its cells, the lines before it); '' where there is none.

    Excel's own "sep=;" says what parts them.
    """
    before, first = 0, ""
    for first in lines:
        told = re.fullmatch(r"\W?sep=(.)\s*", first, re.IGNORECASE)
        if told:
            separator = told[1]
        if first.strip() and not told:
            break
        before += 1
        first = ""
    # What stands between quotation marks parts nothing.
    bare = re.sub(r'"[^"]*"', "", first)
    return first, separator or max(",;\t", key=bare.count), before


def _without_na(lines: Iterable[str], mark: str) -> Iterator[str]:
    """The lines of a table with nothing in the place of R's NA."""
    pattern, is_within = re.compile(rf"(?<![^{mark}])NA(?=[{mark}\r\n]|\Z)"), False
    for line in lines:
        if not is_within and not line.startswith('"'):
            yield line
            continue
        parts = line.split('"')
        yield '"'.join(
            part if (place % 2 == 1) != is_within else pattern.sub("", part) for place, part in enumerate(parts)
        )
        is_within ^= len(parts) % 2 == 0


def _bounded_lines(payload: bytes, name: str) -> Iterator[str]:
    """Lines as a table's reader wants them, ended by whatever ends a line. Raises BadInput."""
    stream = io.TextIOWrapper(io.BytesIO(payload), encoding="utf-8-sig", newline="")
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


def _json(payload: bytes, name: str, ending: str) -> Iterator[Row]:
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
        yield from _of_value(first)
        return
    yield from ((f"line {head[0]}", row) for _, row in _of_value(first))
    for number, line in chain([second], found):
        if len(line) > MAX_ROW:
            yield f"line {number}", LARGE
            continue
        for _, row in _of_value(json_value(line, f"{name}, line {number}")):
            yield f"line {number}", row


def _is_one(payload: bytes) -> bool:
    """Whether this begins as a list or object that goes on in the next line."""
    return payload.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].strip() in (b"[", b"{")


def _decoded(payload: bytes, name: str) -> str:
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_utf8(name, error.start) from error


def _of_value(value: Any) -> Iterator[Row]:
    """The rows of a JSON value, each with its place in it."""
    inner = next((value[key] for key in ("data", "Data") if key in value), None) if isinstance(value, Mapping) else None
    if isinstance(inner, list) and not _has_column(value):
        # As pandas ("split", "table") and TriviaQA's own files have it.
        heading = value.get("columns")
        is_split = isinstance(heading, list) and all(isinstance(one, list) for one in inner)
        value = [dict(zip(heading, one, strict=False)) for one in inner] if is_split else inner
    elif isinstance(value, Mapping) and _is_columns(value):
        value = _rows_of(value)
    if isinstance(value, list):
        yield from ((f"row {number}", row) for number, row in enumerate(value, 1))
    elif isinstance(value, Mapping) and value and not _has_column(value) and all(map(_is_object, value.values())):
        yield from ((f"row {number}", {"id": key, **row}) for number, (key, row) in enumerate(value.items(), 1))
    else:
        yield "row 1", value


def _has_column(value: Mapping[str, Any]) -> bool:
    return any(str(key).strip().lower() in ("question", "prompt", "query") for key in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_columns(value: Mapping[str, Any]) -> bool:
    """Whether each column is a list, or an object by the row's name: as Datasets and pandas write a table."""
    held = list(value.values())
    return _has_column(value) and (
        all(isinstance(one, list) and len(one) == len(held[0]) for one in held) or all(map(_is_object, held))
    )


def _rows_of(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    held = {name: one if isinstance(one, Mapping) else dict(enumerate(one)) for name, one in columns.items()}
    keys = dict.fromkeys(key for one in held.values() for key in one)
    return [{name: one.get(key) for name, one in held.items()} for key in keys]
