"""CSV that is safe in spreadsheets: no text becomes a formula, and the program reads its own cells back exactly.

Owns the only conversion of a table to CSV. A spreadsheet takes a cell that begins with = + - @ (or a tab or line
end before them) for a formula, even in quotation marks; a token, an answer or the name of a probe may begin so. An
apostrophe is put before such a text, and one more if it already begins with apostrophes, so that removing one
restores every text. Numbers stay numbers. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Beginning of a cell that spreadsheets take for a formula; the last four are full-width forms, which some accept."""


def cell(value: Any) -> Any:
    """A value of a table as it goes into a CSV cell: a text that would be a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def text(cell: str) -> str:
    """The text from which `cell` made this cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv(table: pd.DataFrame) -> bytes:
    """The table as CSV, UTF-8, without its index; headings are escaped like texts."""
    columns = [column if is_numeric_dtype(column) else column.map(cell) for _, column in table.items()]
    safe = pd.concat(columns, axis=1) if columns else table
    headed = safe.set_axis([cell(name) for name in table.columns], axis=1)
    # With "\r\n" as line end, pandas puts quotation marks around any text that contains "\r" or "\n".
    return headed.to_csv(index=False, lineterminator="\r\n").encode()
