"""What comes from outside, opened: JSON texts and NumPy's files.

Owns the one place in which a broken, cut or bottomless file becomes a sentence. Refuses to unpickle, and knows no
format: what a file means is its reader's. Anyone may import it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from backend.errors import BadInput

L = TypeVar("L")
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK"
MAX_CLAUSE = 200
MAX_DEPTH = 100
"""Lists in each other that are read; Python itself gives up at some hundreds, and not everywhere at the same."""


def json_value(
    text: str | bytes, name: str, kind: type[BadInput] = BadInput, constant: Callable[[str], Any] | None = None
) -> Any:
    """The value of a JSON text.

    Args:
        name: of the file, or of the place in it, for the sentence.
        constant: what to make of NaN and Infinity, which are not JSON; by default they are numbers.
    Raises `kind`, naming the place.
    """
    try:
        return _bounded(json.loads(text, parse_constant=constant))
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in error.doc.strip() else ""
        why = f"{line}column {error.colno}: {error.msg}"
        raise kind(f"{name} is broken JSON", why, "mend it there, or export it again") from error
    except UnicodeDecodeError as error:
        raise kind(f"{name} is not UTF-8", f"byte {error.start} belongs to no character", "save it as UTF-8") from error
    except ValueError as error:
        # All else that Python refuses in JSON.
        raise kind(f"{name} is no JSON that is read", "a number in it has thousands of digits", "shorten it") from error
    except RecursionError as error:
        raise kind(
            f"{name} is no JSON that is read",
            "its lists lie too deep in each other",
            f"write it with at most {MAX_DEPTH} in each other",
        ) from error


def _bounded(value: Any) -> Any:
    """The value, where whoever walks through it or shows it gets to its end. Raises RecursionError."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for held in level
            for inner in (held.values() if isinstance(held, dict) else held if isinstance(held, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return value
    raise RecursionError


def array(payload: bytes, name: str) -> np.ndarray:
    """The array in an .npy file. Raises BadInput."""
    if payload.startswith(_ARCHIVE):
        raise BadInput(f"{name} is no array", "it is an archive of arrays", "write each to a file of its own")
    return _loaded(lambda: np.load(io.BytesIO(payload), allow_pickle=False), payload, _ARRAY, name)


def arrays(payload: bytes, name: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Those arrays of an .npz file that are wanted and there; no other is opened. Raises BadInput."""
    if payload.startswith(_ARRAY):
        raise BadInput(f"{name} is no archive of arrays", "it is one array without a name", "write it by numpy.savez")

    def opened() -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(payload), allow_pickle=False) as found:
            return {key: found[key] for key in wanted if key in found}

    return _loaded(opened, payload, _ARCHIVE, name)


def _loaded(load: Callable[[], L], payload: bytes, magic: bytes, name: str) -> L:
    if not payload.startswith(magic):
        # NumPy would take it for a pickle, and say how to open it unsafely.
        why = "it is no file of NumPy's" if payload else "it is empty"
        raise BadInput(f"{name} cannot be read", why, "write it again")
    try:
        return load()
    except Exception as error:
        # Of a damaged file NumPy lets through whatever its parts raise: zipfile's, zlib's and tokenize's errors,
        # EOFError, and MemoryError where it lies about its size.
        raise BadInput(
            f"{name} cannot be read", clause(str(error)) or type(error).__name__, "write it again"
        ) from error


def clause(words: str) -> str:
    """A library's words as the middle part of a sentence of ours: in one line, cut between words."""
    line = " ".join(words.replace(";", ",").split())
    return line.rstrip(".") if len(line) <= MAX_CLAUSE else f"{line[:MAX_CLAUSE].rpartition(' ')[0]} ..."


def real(numbers: np.ndarray, name: str) -> np.ndarray:
    """The numbers, where they are real ones: a complex array would lose its other half without a word.

    Raises BadInput.
    """
    if numbers.dtype.kind not in "fiu":
        raise BadInput(f"{name} holds no real numbers", f"they are {numbers.dtype}", "write them as float32")
    return numbers
