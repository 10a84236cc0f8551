"""The process that reads a Parquet file: its rows go out as lines of JSON.

Owns the other side of `backend.parquet.reading`: what is refused by the file's own account of itself, and the rows
within the bounds. A damaged file may end this process in the middle, by an error that no Python sees, and nobody else.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backend.errors import BadInput
from backend.parquet.bounds import BATCH, Bounds
from backend.parquet.cells import told
from backend.parquet.weight import light
from backend.text.columns import column, refuse_twice
from backend.untrusted import beyond, clause


def batches(payload: bytes, name: str, wanted: Collection[str], bounds: Bounds) -> Iterator[pa.RecordBatch | int]:
    """Rows of the `wanted` columns (lower case), or how many rows there are in the place of some that are too heavy.

    Raises BadInput, MemoryError.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(payload), arrow_extensions_enabled=False)
        columns, leaves = _measured(file, name, wanted, bounds)
        # Texts that stand many times are kept once each; otherwise a small file would unpack without bound. Kinds that
        # are built on others (JSON) are read as what they are built on, for Arrow keeps theirs as often as they stand.
        file = pq.ParquetFile(io.BytesIO(payload), read_dictionary=leaves, arrow_extensions_enabled=False)
        weight = 0
        for batch in _unpacked(file, columns):
            for part, size, heavy in light(batch, bounds):
                weight += 0 if heavy else size
                if weight > bounds.written:
                    why = "with each text written out as often as it stands there, it has more"
                    raise beyond(name, why, f"{bounds.written / 1e9:g} GB")
                yield part.num_rows if heavy else part
    except MemoryError:  # Arrow's own is one of its errors as well
        raise
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} cannot be read", "a name in it is no UTF-8", "save it as Parquet again") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BadInput(f"{name} cannot be read", clause(str(error)), "save it as Parquet again") from error


def _measured(file: pq.ParquetFile, name: str, wanted: Collection[str], bounds: Bounds) -> tuple[list[str], list[str]]:
    """(columns that are read, their texts' paths), by the file's own account of itself. Raises BadInput."""
    about = file.metadata
    if about.num_rows > bounds.rows:
        raise beyond(name, f"it has {about.num_rows:,} rows", f"{bounds.rows:,}")
    names = [top for top in file.schema_arrow.names if column(top) in wanted]
    refuse_twice(names, name, wanted)
    schema = file.schema
    tops = set(names)
    leaves = [place for place in range(about.num_columns) if schema.column(place).path.split(".", 1)[0] in tops]
    if len(leaves) > bounds.columns:
        raise beyond(name, f"its columns hold {len(leaves):,} of their own", f"{bounds.columns:,}")
    if any(schema.column(place).path.count(".") > bounds.depth for place in leaves):
        raise beyond(name, "its lists lie deeper in each other", f"{bounds.depth} in each other")
    cells = size = 0
    for group in range(about.num_row_groups):
        parts = [about.row_group(group).column(place) for place in leaves]
        cells += sum(part.num_values for part in parts)
        size += sum(part.total_uncompressed_size for part in parts)
    if cells > bounds.cells:
        raise beyond(name, f"its columns hold {cells:,} values", f"{bounds.cells:,}")
    if size > bounds.unpacked:
        raise beyond(name, f"unpacked it has {size / 1e6:,.0f} MB", f"{bounds.unpacked / 1024**2:,.0f} MB")
    texts = [place for place in leaves if schema.column(place).physical_type == "BYTE_ARRAY"]
    return names, [schema.column(place).path for place in texts if not _is_delta(about, place)]


def _is_delta(about: pq.FileMetaData, place: int) -> bool:
    """Whether texts are written as their differences, which Arrow cannot keep once each: they are read as they stand,
    within this process's memory."""
    groups = (about.row_group(group).column(place) for group in range(about.num_row_groups))
    return any(encoding.startswith("DELTA") for part in groups for encoding in part.encodings)


def _unpacked(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows, some at a time. Group by group, since Arrow cannot put texts of two groups that are kept once each into
    one list."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False)


def main() -> None:
    """Read the file that comes behind the request in the standard input, and write its rows to the standard output."""
    request = json.loads(sys.stdin.buffer.readline())
    payload, name, bounds = sys.stdin.buffer.read(), request["name"], Bounds(**request["bounds"])
    _bound(bounds.memory)
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever else is printed is no row
    try:
        for part in batches(payload, name, request["wanted"], bounds):
            answer.write((json.dumps({"heavy": part}) if isinstance(part, int) else line(part)).encode() + b"\n")
            answer.flush()
        last: dict[str, Any] = {"end": True}
    except BadInput as error:
        last = {"refused": [error.what, error.why, error.instead]}
    except MemoryError:
        why = f"reading it takes more than the {bounds.memory / 1024**3:.2g} GB of memory that this program gives it"
        last = {"refused": [f"{name} is too large", why, "take a part of it, or save it again in smaller row groups"]}
    answer.write(json.dumps(last).encode() + b"\n")
    answer.flush()


def line(batch: pa.RecordBatch) -> str:
    """Rows as JSON: how many, and each column's cells."""
    cells = {name: [*told(batch.column(place))] for place, name in enumerate(batch.schema.names)}
    return json.dumps({"rows": batch.num_rows, "cells": cells}, ensure_ascii=False)


def _bound(memory: int) -> None:
    """Take no more memory than this from here on, and leave no core behind when ended."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
