"""The base of everything that crosses a boundary: frozen, strict, with one canonical JSON.

Owns `Frozen`, the `Array` field type and the one rule of keys (`digest`). Refuses behaviour: a type here
knows how to be written and read, not how it was computed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainValidator,
    SerializationInfo,
    WithJsonSchema,
)
from pydantic.functional_serializers import PlainSerializer
from pydantic_core import CoreSchema

from backend.errors import BadSettings
from cache import digests

METRIC_VERSION = 2
"""Raised whenever a stored figure would be computed differently today."""

KEY = "^[0-9a-f]{64}$"
"""How the key of a result or a kept link is written."""

COMPACT = {"arrays": "base64"}
"""Serialization context under which arrays are written as base64 (store, HTTP) rather than as lists."""

_DTYPES = {"float32", "int32", "bool"}


def _read_array(value: object) -> np.ndarray:
    """An array from itself, from its base64 form, or from nested lists (null is NaN). Raises ValueError."""
    if isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, dict):
        if set(value) != {"dtype", "shape", "base64"} or value["dtype"] not in _DTYPES:
            raise ValueError("an array is written as dtype, shape and base64")
        raw = base64.b64decode(value["base64"], validate=True)
        array = np.frombuffer(raw, dtype=value["dtype"]).reshape(value["shape"])
    elif isinstance(value, list):
        array = np.array(_without_null(value))
    else:
        raise ValueError("an array is written as nested lists")
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    elif array.dtype.kind in "iu":
        array = array.astype(np.int32, copy=False)
    elif array.dtype != np.bool_:
        raise ValueError("an array holds numbers")
    array = array if not array.flags.writeable else array.copy()
    array.flags.writeable = False
    return array


def _without_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return float("nan") if value is None else value


def _with_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_null(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _write_array(array: np.ndarray, info: SerializationInfo) -> Any:
    if info.context and info.context.get("arrays") == "base64":
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
        return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": data}
    listed = array.tolist()
    return listed if np.isfinite(array).all() else _with_null(listed)


Array = Annotated[
    np.ndarray,
    PlainValidator(_read_array),
    PlainSerializer(_write_array),
    WithJsonSchema({"anyOf": [{"type": "array"}, {"type": "object"}]}),
]
"""A read-only float32, int32 or bool array. As JSON: nested lists, or base64 under `COMPACT`."""


class Frozen(BaseModel):
    """Base of every request and result: immutable, extra fields forbidden, never NaN in a scalar."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, ser_json_inf_nan="null"
    )

    def canonical(self) -> str:
        """The one JSON text of this value: sorted keys, no spaces, every default written out."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    # Worked out at each call: a cached one would go along with `model_copy(update=...)` to another request.
    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON, 64 hexadecimal digits."""
        return digest([f"{type(self).__name__}:{self.canonical()}"])

    def to_bytes(self) -> bytes:
        """The compact JSON under which this value is stored and sent."""
        return self.model_dump_json(context=COMPACT).encode()


def _be_strict(schema: Any) -> None:
    """Mark every number and boolean of a schema, those of types within it too."""
    if isinstance(schema, dict):
        if schema.get("type") in ("int", "float", "bool"):
            schema["strict"] = True
        for key, part in schema.items():
            if key not in ("metadata", "serialization"):
                _be_strict(part)
    elif isinstance(schema, list):
        for part in schema:
            _be_strict(part)


class Strict(Frozen):
    """Base of what people and programs send: a number is a number, and yes or no is a boolean.

    Pydantic would take true for 1, "3" for 3 and 3.0 for a whole number: each is a slip of whoever wrote the request,
    who would get the answer to another one. A whole number may still stand where a number with a point may.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _be_strict(schema)
        return schema


def digest(of: Iterable[str | Frozen], over: Iterable[str | Frozen] = ()) -> str:
    """The key of what hangs on all this: SHA-256, 64 hexadecimal digits; where less is enough, its beginning.

    A value stands as its canonical JSON. Keys are on people's disks: what is hashed for one of them may be written
    otherwise here, and must stay the same bytes.

    Args:
        of: what every one of the things that are looked up hangs on, told apart by NUL.
        over: the things themselves, one behind the other; they may be thousands, and are not held at once.
    """

    def told(part: str | Frozen) -> str:
        return part if isinstance(part, str) else part.canonical()

    return digests.of_text(chain(["\0".join(map(told, of))], map(told, over)))


def checked_key(key: str) -> str:
    """`key`, where it is written like one; the same words at every door. Raises BadSettings."""
    if not re.fullmatch(KEY, key):
        raise BadSettings(f"{key[:80]!r} is no key", "a key is 64 characters of 0-9 and a-f", "copy the whole of it")
    return key


def result_key(request: Frozen, basis: str) -> str:
    """Where the result of `request` on the model of that `basis` (`ModelInfo.basis`) is stored: 64 hex digits."""
    return digest([f"{request.hash}:{figures(basis)}"])


def figures(basis: str) -> str:
    """What every figure that is kept hangs on besides what was asked: the model with its libraries, and the metric."""
    return f"{basis}:{METRIC_VERSION}"
