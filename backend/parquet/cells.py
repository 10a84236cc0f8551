"""The cells of Arrow's columns as values of JSON, on their way from the process that reads to the one that asked.

Owns both directions (`told`, `made`). Arrow's values become what Python would write: a short float its shortest text, a
moment its own, an object its parts in order. A value that cannot be made (a moment beyond the years that Python knows,
a text that is no UTF-8, an object with two parts of one name) becomes `Unread`, and its neighbours stay.
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
"""What Arrow and Python raise of a single value that cannot be made; Arrow's own errors are among them."""


@dataclass(frozen=True)
class Unread:
    """In the place of a value that cannot be made; `why` says what it is."""

    why: str


def told(column: pa.Array) -> Iterator[Any]:
    """Each cell of a column as JSON can write it."""
    try:
        values = column.to_pylist()
        yield from [_told(column.type, value) for value in values]
    except FAILURES:
        # One of them cannot be made: which, they say one by one.
        for cell in column:
            try:
                yield _told(column.type, cell.as_py())
            except FAILURES as error:
                yield {"unread": type(error).__name__}


def _told(kind: pa.DataType, value: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # Python's own text of it would have the digits of a longer float.
        short = np.float32(value) if pa.types.is_float32(kind) else np.float16(value)
        return float(str(short))
    if pa.types.is_map(kind):
        if pa.types.is_nested(kind.key_type):
            return {"unread": "an object whose parts have no names"}
        return {"object": [[_told(kind.key_type, key), _told(kind.item_type, inner)] for key, inner in value]}
    if pa.types.is_struct(kind) and isinstance(value, Mapping):
        return {"object": [[field.name, _told(field.type, value.get(field.name))] for field in kind]}
    if isinstance(value, list) and hasattr(kind, "value_type"):
        return [_told(kind.value_type, inner) for inner in value]
    return _single(value)


def _single(value: Any) -> Any:
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


def made(held: Any) -> Any:
    """The cell that `held`, a value of JSON, tells."""
    if isinstance(held, list):
        return [made(one) for one in held]
    if not isinstance(held, dict):
        return held
    ((kind, value),) = held.items()
    return _MADE[kind](value)


def _object(pairs: list[list[Any]]) -> dict[str, Any] | Unread:
    """An object by its parts; keys that are no texts are named by what they are written as."""
    found = {str(made(key)): made(value) for key, value in pairs}
    return found if len(found) == len(pairs) else Unread("an object with two parts of one name")


_MADE: dict[str, Callable[[Any], Any]] = {
    "object": _object,
    "bytes": base64.b64decode,
    "decimal": Decimal,
    "unread": Unread,
}
