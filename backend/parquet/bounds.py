"""How much is read of one Parquet file.

Owns the bounds as one value, which is sent to the process that reads. Each caller chooses how much its files may hold.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 256
"""Rows that are unpacked at a time."""


@dataclass(frozen=True)
class Bounds:
    """The most that is read.

    Args:
        rows: of the file.
        columns: columns without parts, the parts of an object counted each, of those that are read.
        cells: single values of the columns that are read.
        unpacked: bytes of the columns that are read, by the file's metadata.
        written: bytes of all rows, a text counted as often as it occurs, though the file stores it once.
        row: bytes of one row; a heavier row is counted and not read.
        values: length of one list; a row with a longer one is counted and not read.
        depth: levels of nested lists.
        memory: bytes that reading may take beyond what its process has when it begins, where the system can bound it
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
