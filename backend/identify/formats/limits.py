"""How much is read of a person's file of questions.

Owns the limits: bytes as they lie and unpacked, rows, columns, and what one row holds. They hold before anything is
made of what a file says: a few kilobytes can unpack to more than a machine has. A limit of ours is told as ours.
"""

from __future__ import annotations

from typing import Any

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
MAX_MEMORY = 3 * 1024**3
"""Bytes that reading a Parquet file may take."""
MAX_ROW = 10_000_000
"""Characters of one line, and bytes of one row."""


class Large:
    """In the place of a row that holds more than one row may."""


LARGE = Large()
Row = tuple[str, Any]
"""(where it stands: "line 3" or "row 3", an object of its cells or whatever else stands there)."""
