"""How much is read of a person's file of questions.

Owns the limits: bytes of the file and unpacked, rows, columns, and the content of one row. They are checked before
anything is unpacked: a few kilobytes can unpack to more than the memory of a machine. Errors name them as limits of
this program.
"""

from __future__ import annotations

from typing import Any

MAX_BYTES = 400 * 1024**2
"""Of a file, and of the unpacked columns of a Parquet file that are read."""
MAX_LIST = 10_000
"""Values of one list of answers."""
MAX_WRITTEN = 2 * 10**9
"""Bytes of a Parquet file's rows that are read, a repeated text counted each time although it is stored once."""
MAX_ROWS = 350_000
MAX_COLUMNS = 1_000
MAX_CELLS = 20_000_000
"""Single values of a Parquet file's columns that are read."""
MAX_MEMORY = 3 * 1024**3
"""Bytes that reading a Parquet file may take."""
MAX_ROW = 10_000_000
"""Characters of one line, and bytes of one row."""


class Large:
    """Stands for a row that is larger than a row may be."""


LARGE = Large()
Row = tuple[str, Any]
"""(place in the file: "line 3" or "row 3"; the row: an object of its cells, or any other value)."""
