"""How much is read of a person's file of questions.

Owns the limits: bytes as they lie and unpacked, rows, columns, and what one row holds. They hold before anything is
made of what a file says: a few kilobytes can unpack to more than a machine has. A limit of ours is told as ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from backend.errors import BadInput

MAX_BYTES = 400 * 1024**2
"""Of a file, and of the columns of a Parquet file that are read, unpacked."""
MAX_LIST = 10_000
"""Values of one list of answers."""
MAX_WRITTEN = 2 * 10**9
"""Bytes of the rows of a Parquet file that are read, where a text that lies there once stands many times."""
MAX_ROWS = 350_000
MAX_COLUMNS = 1_000
MAX_CELLS = 20_000_000
"""Single values of a Parquet file's columns that are read."""
MAX_ROW = 10_000_000
"""Characters of one line, and bytes of one row."""
BATCH = 256
"""Rows of a Parquet file that are unpacked at once."""


class Large:
    """In the place of a row that holds more than one row may."""


LARGE = Large()
Row = tuple[str, Any]
"""(where it stands: "line 3" or "row 3", an object of its cells or whatever else stands there)."""


def beyond(name: str, why: str, limit: str) -> BadInput:
    """The sentence for a file beyond a limit of ours."""
    return BadInput(f"{name} is too large", f"{why}, and this program reads at most {limit}", "take a part of it")


def refuse_twice(heading: Iterable[object], name: str, wanted: Collection[str]) -> None:
    """Raises BadInput where two columns would be read as one."""
    names = [str(cell).strip().lower() for cell in heading]
    twice = next((cell for cell in names if cell in wanted and names.count(cell) > 1), None)
    if twice is not None:
        raise BadInput(f"{name} has two columns {twice!r}", "one of them would not be read", "rename one of them")
