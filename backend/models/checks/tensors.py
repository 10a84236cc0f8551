"""Explains why a safetensors file cannot be read, from its header and the size of the file.

Used only after the safetensors library has failed: an intact file is read just once. Reads no weights.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from backend.models.checks.fault import Fault, shown
from backend.models.checks.texts import head_of, json_problem, stand_in

_LENGTH = 8
_LONGEST = 100_000_000
"""Maximum size of a header in bytes, by the format."""
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Bits of one number in each known format."""


def fault(path: Path) -> Fault:
    """Why this file cannot be read."""
    name = path.name
    try:
        head, size = head_of(path), path.stat().st_size
        instead = stand_in(f"its {name}", head)
        if instead is not None:
            return instead
        if size < _LENGTH:
            return Fault(f"its {name} has {size} bytes, and its first {_LENGTH} should say how long its header is")
        length = int.from_bytes(head[:_LENGTH], "little")
        if length > _LONGEST:
            return Fault(f"its {name} is no safetensors file: it does not begin with the length of a header")
        if length > size - _LENGTH:
            return Fault(f"its {name} says that its header has {length:,} bytes, and the whole file has {size:,}")
        with path.open("rb") as stream:
            stream.seek(_LENGTH)
            payload = stream.read(length)
        return _header_fault(name, payload, size - _LENGTH - length)
    except Fault as fault_met:
        return fault_met


def _header_fault(name: str, payload: bytes, weight_bytes: int) -> Fault:
    """What is wrong with a header; `weight_bytes` bytes of weights follow it."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return Fault(f"its {name} is damaged: its header is not UTF-8")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Fault(f"its {name} is damaged: its header {json_problem(text, error) if text.strip() else 'is empty'}")
    if not isinstance(header, dict):
        return Fault(f"its {name} is damaged: its header is not a JSON object")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        return Fault(f"its {name} is damaged: what its header says of itself (__metadata__) is not all text")
    end = 0
    for weight, description in header.items():
        weight_fault = _weight_fault(name, weight, description)
        if weight_fault is not None:
            return weight_fault
        end = max(end, description["data_offsets"][1])
    if end > weight_bytes:
        return Fault(f"its {name} is cut: its header tells of {end:,} bytes of weights, and it holds {weight_bytes:,}")
    if end < weight_bytes:
        return Fault(f"its {name} holds {weight_bytes - end:,} bytes more than its header tells of")
    return Fault(f"its {name} is damaged: by its header its weights do not lie one behind the other")


def _weight_fault(name: str, weight: str, description: Any) -> Fault | None:
    """What is wrong with a header's description of one weight; None if nothing is."""
    weight = weight[:80]
    if not isinstance(description, dict) or not {"dtype", "shape", "data_offsets"} <= description.keys():
        return Fault(f"its {name} is damaged: its header does not say format, shape and place of {weight}")
    dtype, shape, offsets = description["dtype"], description["shape"], description["data_offsets"]
    if not isinstance(dtype, str):
        return Fault(f"its {name} is damaged: by its header the format of {weight} is {shown(dtype)}")
    if not _are_counts(shape):
        return Fault(f"its {name} is damaged: by its header the shape of {weight} is {shown(shape)}")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return Fault(f"its {name} is damaged: by its header the place of {weight} is {shown(offsets)}")
    if dtype not in _BITS:
        return Fault(
            f"its {name} keeps {weight} in the format {shown(dtype)}, which is not known here",
            "choose its copy in bfloat16, or see whether the name is right",
            ours=True,
        )
    needed, occupied = math.prod(shape) * _BITS[dtype] // 8, offsets[1] - offsets[0]
    if needed != occupied:
        return Fault(
            f"its {name} is damaged: by its header {weight} is {shown(shape)} in {dtype}, which takes {needed:,} "
            f"bytes, and has {occupied:,}"
        )
    return None


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(count) is int and count >= 0 for count in value)
