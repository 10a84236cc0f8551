"""The base of all types that are stored or sent: frozen, strict, with one canonical JSON.

Owns `Frozen`, the `Array` field type and the rule by which keys are made (`digest`). These types know
how they are written and read, not how they were computed.
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
"""Increased whenever the computation of a stored result changes."""

KEY = "^[0-9a-f]{64}$"
"""Pattern of the key of a result or a stored link."""

COMPACT = {"arrays": "base64"}
"""Serialisation context that writes arrays as base64 (store, HTTP) instead of lists."""

_DTYPES = {"float32", "int32", "bool"}


def _read_array(value: object) -> np.ndarray:
    """A read-only array from an array, its base64 form, or nested lists (null is NaN). Raises ValueError."""
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
    """Base of every request and result: immutable, no extra fields, no NaN in a scalar."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, ser_json_inf_nan="null"
    )

    def canonical(self) -> str:
        """The canonical JSON of this value: sorted keys, no spaces, every default written out."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    # Computed at each call: `model_copy(update=...)` would copy a cached one to a different request.
    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON, 64 hexadecimal digits."""
        return digest([f"{type(self).__name__}:{self.canonical()}"])

    def to_bytes(self) -> bytes:
        """The compact JSON in which this value is stored and sent."""
        return self.model_dump_json(context=COMPACT).encode()


def _be_strict(schema: Any) -> None:
    """Mark every number and boolean in a schema as strict, also in nested types."""
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
    """Base of what people and programs send: numbers and booleans are not converted from other types.

    By default pydantic accepts true as 1, "3" as 3 and 3.0 as a whole number. Each is a mistake in the request, and
    the result would be that of a different request. A whole number is still accepted for a float field.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _be_strict(schema)
        return schema


def digest(of: Iterable[str | Frozen], over: Iterable[str | Frozen] = ()) -> str:
    """The key of a result that depends on all of this: SHA-256, 64 hexadecimal digits; callers may shorten it.

    A value is hashed as its canonical JSON. Keys are stored on people's disks: this code may change, but the bytes that
    are hashed for a key must stay the same.

    Args:
        of: what the result as a whole depends on; joined with NUL.
        over: the single items, joined without a separator; they may be thousands, and are not all in memory at once.
    """

    def as_text(part: str | Frozen) -> str:
        return part if isinstance(part, str) else part.canonical()

    return digests.of_text(chain(["\0".join(map(as_text, of))], map(as_text, over)))


def checked_key(key: str) -> str:
    """`key`, if it has the form of a key. Raises BadSettings, with the same message in pages, HTTP and command line."""
    if not re.fullmatch(KEY, key):
        raise BadSettings(f"{key[:80]!r} is no key", "a key is 64 characters of 0-9 and a-f", "copy the whole of it")
    return key


def result_key(request: Frozen, basis: str) -> str:
    """The store key of the result of `request` on the model with this `basis` (`ModelInfo.basis`): 64 hex digits."""
    return digest([f"{request.hash}:{figures(basis)}"])


def figures(basis: str) -> str:
    """What every stored result depends on besides its request: the model with its libraries, and the metric."""
    return f"{basis}:{METRIC_VERSION}"
