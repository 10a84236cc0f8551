"""The rows of a person's Parquet file, within the limits of `backend.identify.formats.limits`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from backend.identify.formats import limits
from backend.identify.formats.limits import LARGE, Row
from backend.parquet import reading
from backend.parquet.bounds import Bounds
from backend.untrusted import MAX_DEPTH


def bounds() -> Bounds:
    """The most that is read of a file of questions."""
    return Bounds(
        rows=limits.MAX_ROWS,
        columns=limits.MAX_COLUMNS,
        cells=limits.MAX_CELLS,
        unpacked=limits.MAX_BYTES,
        written=limits.MAX_WRITTEN,
        row=limits.MAX_ROW,
        values=limits.MAX_LIST,
        depth=MAX_DEPTH,
        memory=limits.MAX_MEMORY,
    )


def parquet_rows(payload: bytes, name: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a Parquet file, with the cells of `wanted` columns (lower case). Raises BadInput."""
    for number, row in enumerate(reading.rows(payload, name, wanted, bounds()), 1):
        yield f"row {number}", LARGE if row is None else row
