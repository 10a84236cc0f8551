"""The rows of a table in a text: CSV, TSV, and what parts its cells by semicolons.

Owns what a line, a cell and a heading are, as spreadsheets, R and others write them. Lines end at what ends the first
one. What a row means is `backend.identify.formats.questions`'s.
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
"""What R writes without quotation marks: numbers, days and truths."""


def table(payload: bytes, name: str, separator: str | None, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a table, with the cells of `wanted` columns (lower case).

    Args:
        separator: what parts its cells; None where the heading tells.
    Raises BadInput, also at a later row.
    """
    lines = _bounded_lines(payload, name)
    first, mark, before = _heading(lines, separator)
    if not first:
        return
    if _QUOTED.fullmatch(first):
        # R puts every text between quotation marks, so this is no "NA" of a text, as Namibia's sign is.
        lines = _without_na(lines, mark)
    csv.field_size_limit(MAX_ROW)
    # Behind a mark a space may stand before a quotation mark: it belongs to neither.
    is_bare = mark == "\t" and not _is_quoted(payload, name)
    every_line = chain([first], lines)
    reader = csv.reader(
        every_line if is_bare else _closed(every_line, mark), delimiter=mark, strict=True, skipinitialspace=True,
        quoting=csv.QUOTE_NONE if is_bare else csv.QUOTE_MINIMAL,
    )  # fmt: skip
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
        raise _broken(name, str(error), ended + 1, reader.line_num + before) from error


def _broken(name: str, said: str, first: int, last: int) -> BadInput:
    """The sentence for a row, of these lines of the file, of which the reader of tables says `said`."""
    if "field limit" in said:
        return beyond(name, f"line {last}: {said}", f"{MAX_ROW:,} characters in a cell")
    if "expected after" in said:
        return BadInput(
            f"{name}, line {first} has a quotation mark within a cell",
            "it does not end the cell, and is not written twice as those of a text are",
            "write it twice",
        )
    if "new-line character" in said:
        return BadInput(
            f"{name}, line {first} has a carriage return within a cell",
            "without quotation marks it would end the row there",
            "put quotation marks around the text, or take it out",
        )
    if "unexpected end" not in said:
        return BadInput(f"{name} is no table", f"line {last}: {said}", "save it as CSV again")
    return BadInput(
        f"{name}, line {first} opens a quotation mark that is never closed",
        "the rest of the file would be one cell",
        "close it, or write it twice if it belongs to the text",
    )


def _is_quoted(payload: bytes, name: str) -> bool:
    """Whether quotation marks enclose cells in a table whose cells tabs part.

    Excel encloses what has a quotation mark or a line's end in it; others, as Google's Sheets, keep both out of the
    cells, and there a quotation mark is a part of the text. Then what is enclosed does not end as it should, or has a
    tab in it. Where a mark is written twice, they do enclose.
    """
    try:
        lines = _closed(_bounded_lines(payload, name), "\t")
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


def _is_heading(told: Mapping[str, str], cells: Sequence[str], name: str, line: int) -> bool:
    """Whether a row is the heading once more, as in tables that were put together: it is no question.

    Raises BadInput where it is the heading of other columns, for what follows would be read as what it is not.
    """
    if told and all(column(cell) == column(heading) for heading, cell in told.items()):
        return True
    names = {column(cell) for cell in cells if cell} if told else set()
    if has_question(names) and all(column(heading) in names for heading in told):
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


def _closed(lines: Iterable[str], mark: str) -> Iterator[str]:
    """The lines of a table without the blanks between the quotation mark that ends a cell and what parts it from the
    next: whoever writes a space behind each cell encloses it all the same, and the reader of tables refuses it."""
    blanks, is_within = re.compile(rf"[^\S\r\n{re.escape(mark)}]+(?=[{re.escape(mark)}\r\n]|\Z)"), False
    for line in lines:
        parts = line.split('"')
        # Those at every second place stand within no quotation marks; the first of a line follows none.
        for place in range(2 - is_within, len(parts), 2):
            if found := blanks.match(parts[place]):
                parts[place] = parts[place][found.end() :]
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
        text_of(payload, name)
        raise no_utf8(name, error.start) from error
