"""The cells of Arrow's columns as values of JSON, on their way from the process that reads to the one that asked.

Owns both directions (`cells_to_json`, `cell_from_json`). Arrow's values become what Python would write: a float of few
bits its shortest text, a moment its ISO text, an object its parts in order. A value that cannot be converted (a moment
beyond the years that Python knows, a text that is not UTF-8, an object with two parts of one name) becomes `Unread`;
the other cells of its column are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # the process that asked needs no Arrow
    import pyarrow as pa

FAILURES = (ValueError, OverflowError, TypeError, KeyError, OSError, ArithmeticError)
"""What Arrow and Python raise for a single value that cannot be converted; Arrow's own errors are subclasses."""


@dataclass(frozen=True)
class Unread:
    """Stands for a value that cannot be converted; `why` names its kind."""

    why: str


def cells_to_json(column: pa.Array) -> Iterator[Any]:
    """Each cell of a column as JSON can write it."""
    try:
        values = column.to_pylist()
        yield from [_value_to_json(column.type, value) for value in values]
    except FAILURES:
        # At least one cell cannot be converted: go cell by cell to find out which.
        for cell in column:
            try:
                yield _value_to_json(column.type, cell.as_py())
            except FAILURES as error:
                yield {"unread": type(error).__name__}


def _value_to_json(kind: pa.DataType, value: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # Python would print it with the digits of a float64.
        short = np.float32(value) if pa.types.is_float32(kind) else np.float16(value)
        return float(str(short))
    if pa.types.is_map(kind):
        if pa.types.is_nested(kind.key_type):
            return {"unread": "an object whose parts have no names"}
        return {
            "object": [
                [_value_to_json(kind.key_type, key), _value_to_json(kind.item_type, inner)] for key, inner in value
            ]
        }
    if pa.types.is_struct(kind) and isinstance(value, Mapping):
        return {"object": [[field.name, _value_to_json(field.type, value.get(field.name))] for field in kind]}
    if isinstance(value, list) and hasattr(kind, "value_type"):
        return [_value_to_json(kind.value_type, inner) for inner in value]
    return _single_to_json(value)


def _single_to_json(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time(0) else value.isoformat(" ")
    if isinstance(value, date):
        return str(value)
    return {"unread": type(value).__name__}


def cell_from_json(written: Any) -> Any:
    """The cell that was written as `written`, a value of JSON."""
    if isinstance(written, list):
        return [cell_from_json(part) for part in written]
    if not isinstance(written, dict):
        return written
    ((kind, value),) = written.items()
    return _FROM_JSON[kind](value)


def _object_from_json(pairs: list[list[Any]]) -> dict[str, Any] | Unread:
    """An object from its parts; a key that is not text becomes its text."""
    parts = {str(cell_from_json(key)): cell_from_json(value) for key, value in pairs}
    return parts if len(parts) == len(pairs) else Unread("an object with two parts of one name")


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "object": _object_from_json,
    "bytes": base64.b64decode,
    "decimal": Decimal,
    "unread": Unread,
}
