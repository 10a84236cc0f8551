"""The process that reads a Parquet file: its rows go out as lines of JSON.

Owns the other side of `backend.parquet.reading`: refusing a file by its metadata, and the rows within the bounds. A
damaged file may crash the library below Python; in a process of its own this ends nothing else.
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
from backend.parquet.cells import cells_to_json
from backend.parquet.weight import split_heavy_rows
from backend.text.columns import column, refuse_twice
from backend.untrusted import beyond, clause


def batches(payload: bytes, name: str, wanted: Collection[str], bounds: Bounds) -> Iterator[pa.RecordBatch | int]:
    """Rows of the `wanted` columns (lower case); for rows beyond the bounds only how many there are.

    Raises BadInput, MemoryError.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(payload), arrow_extensions_enabled=False)
        columns, leaves = _select_columns(file, name, wanted, bounds)
        # As a dictionary Arrow stores a repeated text once; otherwise a small file would unpack without bound.
        # Extension types (JSON) are read as the type they are built on, because Arrow makes no dictionary of them.
        file = pq.ParquetFile(io.BytesIO(payload), read_dictionary=leaves, arrow_extensions_enabled=False)
        weight = 0
        for batch in _read_batches(file, columns):
            for part, size, heavy in split_heavy_rows(batch, bounds):
                weight += 0 if heavy else size
                if weight > bounds.written:
                    why = "with each text written out as often as it occurs, it has more"
                    raise beyond(name, why, f"{bounds.written / 1e9:g} GB")
                yield part.num_rows if heavy else part
    except MemoryError:  # Arrow's own memory error is an ArrowException too, which is caught below
        raise
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} cannot be read", "a name in it is not UTF-8", "save it as Parquet again") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BadInput(f"{name} cannot be read", clause(str(error)), "save it as Parquet again") from error


def _select_columns(
    file: pq.ParquetFile, name: str, wanted: Collection[str], bounds: Bounds
) -> tuple[list[str], list[str]]:
    """(columns to read, paths of those text columns in them that can be read as dictionaries), by the file's metadata.

    Raises BadInput where the metadata says that the file is beyond the bounds.
    """
    metadata = file.metadata
    if metadata.num_rows > bounds.rows:
        raise beyond(name, f"it has {metadata.num_rows:,} rows", f"{bounds.rows:,}")
    names = [top for top in file.schema_arrow.names if column(top) in wanted]
    refuse_twice(names, name, wanted)
    schema = file.schema
    tops = set(names)
    leaves = [place for place in range(metadata.num_columns) if schema.column(place).path.split(".", 1)[0] in tops]
    if len(leaves) > bounds.columns:
        raise beyond(name, f"its columns have {len(leaves):,} parts", f"{bounds.columns:,}")
    if any(schema.column(place).path.count(".") > bounds.depth for place in leaves):
        raise beyond(name, "its lists are nested deeper", f"{bounds.depth} levels")
    cells = size = 0
    for group in range(metadata.num_row_groups):
        parts = [metadata.row_group(group).column(place) for place in leaves]
        cells += sum(part.num_values for part in parts)
        size += sum(part.total_uncompressed_size for part in parts)
    if cells > bounds.cells:
        raise beyond(name, f"its columns hold {cells:,} values", f"{bounds.cells:,}")
    if size > bounds.unpacked:
        raise beyond(name, f"unpacked it has {size / 1e6:,.0f} MB", f"{bounds.unpacked / 1024**2:,.0f} MB")
    texts = [place for place in leaves if schema.column(place).physical_type == "BYTE_ARRAY"]
    return names, [schema.column(place).path for place in texts if not _is_delta(metadata, place)]


def _is_delta(metadata: pq.FileMetaData, place: int) -> bool:
    """Whether a text column is written in an encoding of differences, of which Arrow makes no dictionary: it is read in
    full, within this process's memory."""
    groups = (metadata.row_group(group).column(place) for group in range(metadata.num_row_groups))
    return any(encoding.startswith("DELTA") for part in groups for encoding in part.encodings)


def _read_batches(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows, `BATCH` at a time. Row group by row group, because Arrow cannot join lists whose texts have a
    dictionary for each group."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False)


def main() -> None:
    """Standard input has a line with the request, then the file; its rows go to the standard output."""
    request = json.loads(sys.stdin.buffer.readline())
    payload, name, bounds = sys.stdin.buffer.read(), request["name"], Bounds(**request["bounds"])
    _limit_memory(bounds.memory)
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr  # anything that a library prints must not be read as a row
    try:
        for part in batches(payload, name, request["wanted"], bounds):
            answer.write(
                (json.dumps({"heavy": part}) if isinstance(part, int) else line_of_batch(part)).encode() + b"\n"
            )
            answer.flush()
        last: dict[str, Any] = {"end": True}
    except BadInput as error:
        last = {"refused": [error.what, error.why, error.instead]}
    except MemoryError:
        why = f"reading it takes more than the {bounds.memory / 1024**3:.2g} GB of memory that this program allows"
        last = {"refused": [f"{name} is too large", why, "take a part of it, or save it again in smaller row groups"]}
    answer.write(json.dumps(last).encode() + b"\n")
    answer.flush()


def line_of_batch(batch: pa.RecordBatch) -> str:
    """Rows as one line of JSON: their number, and each column's cells."""
    cells = {name: [*cells_to_json(batch.column(place))] for place, name in enumerate(batch.schema.names)}
    return json.dumps({"rows": batch.num_rows, "cells": cells}, ensure_ascii=False)


def _limit_memory(memory: int) -> None:
    """Bound the memory that this process may take from now on to `memory` bytes, and write no core file."""
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
