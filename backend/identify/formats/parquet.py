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
            for part in _light(batch):
                told = _plain(part)
                weight += _weight(part) if told is not None else 0
                if weight > limits.MAX_WRITTEN:
                    why = "with each text written out as often as it stands there, it has more"
                    raise beyond(name, why, f"{limits.MAX_WRITTEN / 1e9:g} GB")
                for row in told if told is not None else [LARGE] * part.num_rows:
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


def _light(batch: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
    """The batch, or its rows one by one where it would be heavy as objects of Python."""
    if not _is_heavy(batch):
        return [batch]
    return (batch.slice(place, 1) for place in range(batch.num_rows))


def _plain(batch: pa.RecordBatch) -> Sequence[Mapping[str, Any]] | None:
    """Its rows as objects of Python; None where they would be heavier than a row may be."""
    if _is_heavy(batch):
        return None
    held = {
        name: [_value(kind, one) for one in batch.column(place).to_pylist()]
        for place, (name, kind) in enumerate(zip(batch.schema.names, batch.schema.types, strict=True))
    }
    return [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)] or [{}] * batch.num_rows


def _is_heavy(batch: pa.RecordBatch) -> bool:
    """Whether its rows together hold more than one row may, or one of them a list too long."""
    return max(map(_longest, batch.columns), default=0) > limits.MAX_LIST or _weight(batch) > MAX_ROW


def _weight(batch: pa.RecordBatch) -> int:
    return sum(_bytes(column) for column in batch.columns)


def _longest(array: pa.Array) -> int:
    """Values of the longest list in it, however deep."""
    listed = _as_list(array)
    if listed is not None:
        return max(pc.max(pc.list_value_length(listed)).as_py() or 0, _longest(listed.flatten()))
    return max(map(_longest, array.flatten()), default=0) if pa.types.is_struct(array.type) else 0


def _bytes(array: pa.Array) -> int:
    """So many bytes are in its values, each counted as often as it stands there.

    Raises ValueError for a kind whose values cannot be counted.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        words = array.dictionary
        if not _is_text(words.type):
            return int(len(array) * (words.nbytes + 8))
        lengths = pc.take(pc.binary_length(words), array.indices)
        return int((pc.sum(lengths).as_py() or 0) + 8 * len(array))
    if pa.types.is_struct(kind):
        return sum(_bytes(part) for part in array.flatten())
    listed = _as_list(array)
    if listed is not None:
        return 8 * len(array) + _bytes(listed.flatten())
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
        return {key: _value(kind.item_type, one) for key, one in value}
    if pa.types.is_struct(kind) and isinstance(value, Mapping):
        return {field.name: _value(field.type, value.get(field.name)) for field in kind}
    if isinstance(value, list) and hasattr(kind, "value_type"):
        return [_value(kind.value_type, one) for one in value]
    return value
