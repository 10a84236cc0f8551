"""How many bytes rows of Arrow take as objects of Python: a text that Arrow stores once may occur a million times.

Owns that measure for every kind of column. It is taken before any row is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from backend.parquet.bounds import Bounds


def split_heavy_rows(batch: pa.RecordBatch, bounds: Bounds) -> Iterator[tuple[pa.RecordBatch, int, bool]]:
    """(rows, their bytes as objects of Python, whether they are beyond the bounds): the whole batch, or, where it is
    beyond them, its rows one by one. Raises ValueError for a kind of column whose values cannot be counted."""

    def is_heavy(longest: int, weight: int) -> bool:
        return longest > bounds.values or weight > bounds.row

    longest, weight = _measure_batch(batch)
    if not is_heavy(longest, weight):
        yield batch, weight, False
        return
    for place in range(batch.num_rows):
        row = batch.slice(place, 1)
        longest, weight = _measure_batch(row)
        yield row, weight, is_heavy(longest, weight)


def _measure_batch(batch: pa.RecordBatch) -> tuple[int, int]:
    return _combine(map(_measure_array, batch.columns))


def _combine(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    longest, weight = 0, 0
    for inner, size in parts:
        longest, weight = max(longest, inner), weight + size
    return longest, weight


def _measure_array(array: pa.Array) -> tuple[int, int]:
    """(length of the longest list in it, at any depth; bytes of its values, each counted as often as it occurs).

    Raises ValueError for a kind whose values cannot be counted.
    """
    if pa.types.is_struct(array.type):
        return _combine(map(_measure_array, array.flatten()))
    listed = _as_list(array)
    if listed is not None:
        longest, weight = _measure_array(listed.flatten())
        return max(pc.max(pc.list_value_length(listed)).as_py() or 0, longest), 8 * len(array) + weight
    return 0, _bytes_of(array)


def _bytes_of(array: pa.Array) -> int:
    """Bytes of the values of a column that has neither lists nor objects."""
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
    """A column of any of Arrow's kinds of list as a plain list, a map as a list of pairs; None for other columns."""
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
