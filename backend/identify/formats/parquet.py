"""The rows of a Parquet file, a few at a time.

Owns what Arrow's values are to us, and how heavy they may become: a text that stands a million times in a file lies
there once, and would be made a million times.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.errors import BadInput
from backend.identify.formats import limits
from backend.identify.formats.limits import (
    BATCH,
    LARGE,
    MAX_BYTES,
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_ROW,
    Row,
    beyond,
    refuse_twice,
)
from backend.untrusted import MAX_DEPTH, clause


def parquet(payload: bytes, name: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a Parquet file, with the cells of `wanted` columns (lower case). Raises BadInput."""
    try:
        file = pq.ParquetFile(io.BytesIO(payload), arrow_extensions_enabled=False)
        columns, leaves = _measured(file, name, wanted)
        # Texts that stand many times are kept once each; otherwise a small file would unpack without bound. Kinds that
        # are built on others (JSON) are read as what they are built on, for Arrow keeps theirs as often as they stand.
        file = pq.ParquetFile(io.BytesIO(payload), read_dictionary=leaves, arrow_extensions_enabled=False)
        number = weight = 0
        for batch in file.iter_batches(BATCH, columns=columns):
            for part, size, heavy in _light(batch):
                weight += 0 if heavy else size
                if weight > limits.MAX_WRITTEN:
                    why = "with each text written out as often as it stands there, it has more"
                    raise beyond(name, why, f"{limits.MAX_WRITTEN / 1e9:g} GB")
                for row in [LARGE] * part.num_rows if heavy else _plain(part):
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BadInput(f"{name} cannot be read", clause(str(error)), "save it as Parquet again") from error


def _measured(file: pq.ParquetFile, name: str, wanted: Collection[str]) -> tuple[list[str], list[str]]:
    """(columns that are read, their texts' paths), by the file's own account of itself. Raises BadInput."""
    about = file.metadata
    if about.num_rows > limits.MAX_ROWS:
        raise beyond(name, f"it has {about.num_rows:,} rows", f"{limits.MAX_ROWS:,}")
    names = [column for column in file.schema_arrow.names if column.strip().lower() in wanted]
    refuse_twice(names, name, wanted)
    schema = file.schema
    tops = set(names)
    leaves = [place for place in range(about.num_columns) if schema.column(place).path.split(".", 1)[0] in tops]
    if len(leaves) > MAX_COLUMNS:
        raise beyond(name, f"its columns hold {len(leaves):,} of their own", f"{MAX_COLUMNS:,}")
    if any(schema.column(place).path.count(".") > MAX_DEPTH for place in leaves):
        raise beyond(name, "its lists lie deeper in each other", f"{MAX_DEPTH} in each other")
    cells = size = 0
    for group in range(about.num_row_groups):
        parts = [about.row_group(group).column(place) for place in leaves]
        cells += sum(part.num_values for part in parts)
        size += sum(part.total_uncompressed_size for part in parts)
    if cells > MAX_CELLS:
        raise beyond(name, f"its columns hold {cells:,} values", f"{MAX_CELLS:,}")
    if size > MAX_BYTES:
        raise beyond(name, f"unpacked it has {size / 1e6:,.0f} MB", f"{MAX_BYTES / 1024**2:,.0f} MB")
    texts = [schema.column(place).path for place in leaves if schema.column(place).physical_type == "BYTE_ARRAY"]
    return names, texts


def _light(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int, bool]]:
    """(rows, their bytes as objects of Python, whether those are too many): the batch, or where it would be heavy its
    rows one by one."""
    longest, weight = _measure(batch)
    if not _is_heavy(longest, weight):
        yield batch, weight, False
        return
    for place in range(batch.num_rows):
        row = batch.slice(place, 1)
        longest, weight = _measure(row)
        yield row, weight, _is_heavy(longest, weight)


def _plain(batch: pa.RecordBatch) -> Sequence[Mapping[str, Any]]:
    """Its rows as objects of Python."""
    held = {
        name: [_value(kind, one) for one in batch.column(place).to_pylist()]
        for place, (name, kind) in enumerate(zip(batch.schema.names, batch.schema.types, strict=True))
    }
    return [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)] or [{}] * batch.num_rows


def _is_heavy(longest: int, weight: int) -> bool:
    """Whether rows together hold more than one row may, or one of them a list too long."""
    return longest > limits.MAX_LIST or weight > MAX_ROW


def _measure(batch: pa.RecordBatch) -> tuple[int, int]:
    return _together(map(_measured_in, batch.columns))


def _together(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    longest, weight = 0, 0
    for inner, size in parts:
        longest, weight = max(longest, inner), weight + size
    return longest, weight


def _measured_in(array: pa.Array) -> tuple[int, int]:
    """(values of the longest list in it, however deep, bytes of its values, each counted as often as it stands there).

    Raises ValueError for a kind whose values cannot be counted.
    """
    if pa.types.is_struct(array.type):
        return _together(map(_measured_in, array.flatten()))
    listed = _as_list(array)
    if listed is not None:
        longest, weight = _measured_in(listed.flatten())
        return max(pc.max(pc.list_value_length(listed)).as_py() or 0, longest), 8 * len(array) + weight
    return 0, _bytes(array)


def _bytes(array: pa.Array) -> int:
    """The same of a column that is neither a list nor an object."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        words = array.dictionary
        if not _is_text(words.type):
            return int(len(array) * (words.nbytes + 8))
        lengths = pc.take(pc.binary_length(words), array.indices)
        return int((pc.sum(lengths).as_py() or 0) + 8 * len(array))
    if pa.types.is_nested(kind) or pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        raise ValueError(f"it has a column of the kind {kind}, which is not read here")
    return int(array.nbytes) + 8 * len(array)


def _as_list(array: pa.Array) -> pa.Array | None:
    """A column of lists as one, whichever of Arrow's kinds it is, objects as lists of pairs; None for what is none."""
    kind = array.type
    if pa.types.is_map(kind):
        return array.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return array.cast(pa.large_list(kind.value_type))
    plain = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return array if plain else None


def _is_text(kind: pa.DataType) -> bool:
    tests: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _value(kind: pa.DataType, value: Any) -> Any:
    """What Arrow gives, where Python's own would be another text: short floats, and objects as lists of pairs."""
    if value is None:
        return None
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        short = np.float32(value) if pa.types.is_float32(kind) else np.float16(value)
        return float(str(short))
    if pa.types.is_map(kind):
        if pa.types.is_nested(kind.key_type):
            raise ValueError("it has objects whose parts have no names")
        return {key: _value(kind.item_type, one) for key, one in value}
    if pa.types.is_struct(kind) and isinstance(value, Mapping):
        return {field.name: _value(field.type, value.get(field.name)) for field in kind}
    if isinstance(value, list) and hasattr(kind, "value_type"):
        return [_value(kind.value_type, one) for one in value]
    return value
