"""The rows of a table in a text: CSV, TSV, and tables with semicolons between their cells.

Owns what a line, a cell and a heading are, as spreadsheets, R and others write them. The end of the first line shows
how lines end. What a row means is `backend.identify.formats.questions`'s.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from backend import spreadsheet
from backend.errors import BadInput
from backend.identify.formats.limits import MAX_COLUMNS, MAX_ROW, Row
from backend.text.columns import column, has_question, refuse_twice
from backend.untrusted import beyond, no_utf8, text_of

_QUOTED = re.compile(r'"[^"]*"(?:[,;\t]"[^"]*")+\s*')
_ENCLOSED = re.compile(r'"(?:[^"]|"")+"')
"""A cell between quotation marks."""
_OF_R = re.compile(r"NA|TRUE|FALSE|NaN|-?Inf|[-+\d.,:eETZ ]*")
"""What R writes without quotation marks: numbers, days and truth values."""


def table_rows(payload: bytes, name: str, separator: str | None, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a table, with the cells of `wanted` columns (lower case).

    Args:
        separator: the character between cells; None to find it from the heading.
    Raises BadInput, also at a later row.
    """
    lines = _bounded_lines(payload, name)
    first, mark, before = _heading(lines, separator)
    if not first:
        return
    if _QUOTED.fullmatch(first):
        # R quotes every text, so an NA without quotation marks is a missing value, and not the code of Namibia.
        lines = _without_na(lines, mark)
    csv.field_size_limit(MAX_ROW)
    # `skipinitialspace`: a space between a separator and a quotation mark belongs to neither.
    is_bare = mark == "\t" and not _is_quoted(payload, name)
    every_line = chain([first], lines)
    reader = csv.reader(
        every_line if is_bare else _without_blanks_after_quotes(every_line, mark),
        delimiter=mark, strict=True, skipinitialspace=True,
        quoting=csv.QUOTE_NONE if is_bare else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    ended = 0
    try:
        heading = [spreadsheet.text(cell) for cell in next(reader)]
        if len(heading) > MAX_COLUMNS:
            raise beyond(name, f"it has {len(heading):,} columns", f"{MAX_COLUMNS:,}")
        refuse_twice(heading, name, wanted)
        wanted_places = [(place, cell) for place, cell in enumerate(heading) if column(cell) in wanted]
        # The first row has all columns, for the error that names them when one is missing.
        empty_cells = dict.fromkeys(heading)
        ended = reader.line_num + before
        for cells in reader:
            start, ended = ended + 1, reader.line_num + before
            if not cells:
                continue
            # Where no column is known, the error is about the heading, and not about this row.
            if wanted_places and len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
                raise BadInput(
                    f"{name}, line {reader.line_num + before} has more cells than the table has columns",
                    f"the heading has {len(heading)}",
                    f"put quotation marks around a text with {mark!r} in it, or name a column that has no name",
                )
            row_cells = {cell: spreadsheet.text(cells[place]) for place, cell in wanted_places if place < len(cells)}
            yield (
                f"line {start}",
                {**empty_cells, **(row_cells if not _is_heading(row_cells, cells, name, start) else {})},
            )
            empty_cells = dict.fromkeys(cell for _, cell in wanted_places)
    except csv.Error as error:
        raise _error_of_row(name, str(error), ended + 1, reader.line_num + before) from error


def _error_of_row(name: str, reported: str, first: int, last: int) -> BadInput:
    """The error for the row in lines `first` to `last`, of which the csv module reported `reported`."""
    if "field limit" in reported:
        return beyond(name, f"line {last}: {reported}", f"{MAX_ROW:,} characters in a cell")
    if "expected after" in reported:
        return BadInput(
            f"{name}, line {first} has a quotation mark within a cell",
            "it does not end the cell, and a quotation mark in a text must be written twice",
            "write it twice",
        )
    if "new-line character" in reported:
        return BadInput(
            f"{name}, line {first} has a carriage return within a cell",
            "without quotation marks it would end the row there",
            "put quotation marks around the text, or remove the carriage return",
        )
    if "unexpected end" not in reported:
        return BadInput(f"{name} is no table", f"line {last}: {reported}", "save it as CSV again")
    return BadInput(
        f"{name}, line {first} opens a quotation mark that is never closed",
        "the rest of the file would be one cell",
        "close it, or write it twice if it belongs to the text",
    )


def _is_quoted(payload: bytes, name: str) -> bool:
    """Whether quotation marks enclose cells in a table with tabs between its cells.

    Excel quotes a cell with a quotation mark or a line end in it. Others, such as Google Sheets, never quote, and a
    quotation mark is a part of the text: then quoted cells do not end as they should, or contain a tab. Where quotation
    marks are written twice within a cell, they do enclose.
    """
    try:
        lines = _without_blanks_after_quotes(_bounded_lines(payload, name), "\t")
        for row in csv.reader(lines, delimiter="\t", strict=True, skipinitialspace=True):
            if any("\t" in cell for cell in row):
                break
        else:
            return True
    except csv.Error as error:
        if "expected after" not in str(error) and "unexpected end" not in str(error):
            return True
    bare = csv.reader(_bounded_lines(payload, name), delimiter="\t", quoting=csv.QUOTE_NONE)
    return any('""' in cell.strip()[1:-1] and _ENCLOSED.fullmatch(cell.strip()) for row in bare for cell in row)


def _is_heading(row_cells: Mapping[str, str], cells: Sequence[str], name: str, line: int) -> bool:
    """Whether a row repeats the heading, as in tables that were joined: it is not a question.

    Raises BadInput where it is a heading of columns in another order, because the rows below it would be misread.
    """
    if row_cells and all(column(cell) == column(heading) for heading, cell in row_cells.items()):
        return True
    names = {column(cell) for cell in cells if cell} if row_cells else set()
    if has_question(names) and all(column(heading) in names for heading in row_cells):
        raise BadInput(
            f"{name}, line {line} is a heading again, of columns in another order",
            "the rows below it would be read as those above",
            "save each table as a file of its own",
        )
    return False


def _heading(lines: Iterator[str], separator: str | None) -> tuple[str, str, int]:
    """(the first line that is not blank, the character between its cells, the number of lines before it); '' if all
    lines are blank.

    Excel's own line "sep=;" names the separator.
    """
    before, first = 0, ""
    for first in lines:
        match = re.fullmatch(r"\W{0,2}sep=(.)\"?\s*", first, re.IGNORECASE)
        if match:
            separator = match[1]
        if first.strip(" ,;\t\r\n") and not match:
            break
        before += 1
        first = ""
    # Characters between quotation marks do not separate cells.
    bare = re.sub(r'"[^"]*"', "", first)
    return first, separator or max(",;\t", key=bare.count), before


def _without_na(lines: Iterable[str], mark: str) -> Iterator[str]:
    """The lines of a table with R's NA replaced by nothing, in lines that have no text without quotation marks."""
    pattern, is_within = re.compile(rf"(?<![^{mark}])NA(?=[{mark}\r\n]|\Z)"), False
    for line in lines:
        parts = line.split('"')
        bare = parts[is_within::2]
        if len(parts) > 1 and all(_OF_R.fullmatch(cell.strip()) for part in bare for cell in part.split(mark)):
            parts[is_within::2] = [pattern.sub("", part) for part in bare]
        yield '"'.join(parts)
        is_within ^= len(parts) % 2 == 0


def _without_blanks_after_quotes(lines: Iterable[str], mark: str) -> Iterator[str]:
    """The lines of a table without the spaces between the quotation mark that ends a cell and the separator after it:
    some programs write them, and the csv module refuses them."""
    blanks, is_within = re.compile(rf"[^\S\r\n{re.escape(mark)}]+(?=[{re.escape(mark)}\r\n]|\Z)"), False
    for line in lines:
        parts = line.split('"')
        # Every second part is outside quotation marks; the first part of a line follows no quotation mark.
        for place in range(2 - is_within, len(parts), 2):
            if match := blanks.match(parts[place]):
                parts[place] = parts[place][match.end() :]
        yield '"'.join(parts)
        is_within ^= len(parts) % 2 == 0


def _bounded_lines(payload: bytes, name: str) -> Iterator[str]:
    """Lines for the csv module, which end like the first one. Raises BadInput."""
    # In old tables carriage returns alone end lines; in others they belong to a text.
    newline = "" if re.match(rb"[^\r\n]*\r+(?![\r\n])", payload) else "\n"
    stream = io.TextIOWrapper(io.BytesIO(payload), encoding="utf-8-sig", newline=newline)
    try:
        while line := stream.readline(MAX_ROW + 1):
            if len(line) > MAX_ROW:
                raise beyond(name, f"a line has more than {MAX_ROW:,} characters", f"{MAX_ROW:,}")
            yield line
    except UnicodeDecodeError as error:
        # `error.start` counts from the part that was being read; `text_of` raises with the place in the whole file.
        text_of(payload, name)
        raise no_utf8(name, error.start) from error
