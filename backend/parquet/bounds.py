"""How much is read of one Parquet file.

Owns the bounds as one value, which goes to the process that reads. Refuses to choose them: whoever reads says how much
its files may hold.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 256
"""Rows that are unpacked at once."""


@dataclass(frozen=True)
class Bounds:
    """The most that is read.

    Args:
        rows: of the file.
        columns: single ones in the columns that are read, as the parts of an object are.
        cells: single values of the columns that are read.
        unpacked: bytes of the columns that are read, by the file's own account.
        written: bytes of the rows, where a text that lies there once stands many times.
        row: bytes of one row; a heavier one is told and not made.
        values: of one list; a row with a longer one is told and not made.
        depth: lists in each other.
        memory: bytes that reading may take besides what its process has when it begins; where the system can bound it
            (Linux).
    """

    rows: int
    columns: int
    cells: int
    unpacked: int
    written: int
    row: int
    values: int
    depth: int
    memory: int
