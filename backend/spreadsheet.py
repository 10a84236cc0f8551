"""Cells of tables that spreadsheets open: a text stays a text, and ours are read back exactly.

Owns the one way in which a table becomes CSV. A spreadsheet takes a cell that begins with = + - @ (or a tab or line
end before them) for a formula, whatever quotation marks stand around it; a token, an answer or the name of a probe
may begin so. An apostrophe is put before such a text, and one more where it had apostrophes already, so that taking
one away gives back every text. Numbers stay numbers. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a cell begins with that is taken for a formula; the last four are the wide forms, which some take too."""


def cell(value: Any) -> Any:
    """A value of a table as it goes into a CSV cell: a text that would be a formula behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def text(cell: str) -> str:
    """The text that `cell` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv(table: pd.DataFrame) -> bytes:
    """The table as CSV, UTF-8, without its index; headings are texts too."""
    columns = [one if is_numeric_dtype(one) else one.map(cell) for _, one in table.items()]
    safe = pd.concat(columns, axis=1) if columns else table
    headed = safe.set_axis([cell(name) for name in table.columns], axis=1)
    # With both line ends in it, a text with either of them is put between quotation marks.
    return headed.to_csv(index=False, lineterminator="\r\n").encode()
