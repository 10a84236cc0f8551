"""What comes from outside, opened: a person's files, JSON texts and NumPy's files.

Owns the one place in which a broken, cut or bottomless file becomes a sentence, and the limits on how much is taken
from one. Refuses to unpickle, to read anything but regular files, and to unpack more than a limit allows: the size is
looked at before memory is asked for. Knows no format: what a file means is its reader's. Anyone may import it.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from backend.errors import BadInput, ModelUnreadable

log = logging.getLogger(__name__)

L = TypeVar("L")
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK"
MAX_CLAUSE = 200
MAX_DEPTH = 100
"""Lists in each other that are read; Python itself gives up at some hundreds, and not everywhere at the same."""
MAX_VALUES = 4_000_000
"""Values of one JSON text, told by its commas and opening brackets: as objects of Python some hundreds of MB."""
MAX_NUMBERS = 8_000_000
"""Numbers in one array: one for each feed-forward neuron of a model of 405 billion parameters is 6.7 million."""
MAX_UNPACKED = 64 * 1024**2
"""Bytes of one NumPy file's arrays together, unpacked."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def bytes_of(path: Path, limit: int, kind: type[BadInput] = BadInput, name: str | None = None) -> bytes:
    """What a regular file holds, at most `limit` bytes.

    A pipe or device, also behind a link, is refused before anything is read of it: it may have no end, or never begin.

    Args:
        name: what the sentence calls it, by default its path.
    Raises `kind`.
    """
    shown = name or str(path)
    try:
        # Looked at before it is opened, since opening a device may do something, and again after it: what the name
        # leads to may have changed in between. Without O_NONBLOCK, opening a pipe waits for somebody who writes.
        _refuse_irregular(os.stat(path), shown, kind)
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as stream:
            held = os.fstat(handle)
            _refuse_irregular(held, shown, kind)
            payload = b"" if held.st_size > limit else stream.read(limit + 1)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise kind(f"{shown} cannot be read", why, "check the name and the permissions") from error
    if max(held.st_size, len(payload)) > limit:
        size = f"it has {max(held.st_size, len(payload)) / 1e6:,.0f} MB, and this program reads"
        raise kind(f"{shown} is too large", f"{size} at most {_megabytes(limit)}", "take a part of it")
    return payload


def _refuse_irregular(found: os.stat_result, shown: str, kind: type[BadInput]) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = next((word for test, word in _KINDS if test(found.st_mode)), "no file")
        raise kind(f"{shown} is no regular file", f"it is {what}", "name a file, or save what it gives to one")


@contextmanager
def no_panic() -> Iterator[None]:
    """Within the block, what a library in Rust cannot go on from is an error like any other.

    PyO3 raises it beside `Exception`, so that nothing which outlives errors outlives it: a thread would end without a
    word. The tokenizers are such a library, and the only one that was seen to. Raises ModelUnreadable in its place.
    """
    try:
        yield
    except BaseException as error:
        # Its class is made in Rust, and stands in no module that could be imported.
        if type(error).__name__ != "PanicException":
            raise
        log.info("a library in Rust broke off", exc_info=True)
        raise ModelUnreadable(
            "The model's tokenizer cannot be used",
            "the parts of its files contradict each other, and the library that reads them broke off",
            "fetch them again, or choose another model",
        ) from error


def beyond(name: str, why: str, limit: str) -> BadInput:
    """The sentence for a file beyond a limit of ours."""
    return BadInput(f"{name} is too large", f"{why}, and this program reads at most {limit}", "take a part of it")


def text_of(payload: bytes, name: str, kind: type[BadInput] = BadInput) -> str:
    """The text in a person's file, without the byte order mark that some editors put before it. Raises `kind`."""
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise no_utf8(name, error.start, kind) from error


def no_utf8(name: str, place: int, kind: type[BadInput] = BadInput) -> BadInput:
    """The sentence for a text whose byte `place` (the first is 0) belongs to no character."""
    return kind(f"{name} is not UTF-8", f"byte {place} belongs to no character", "save it as UTF-8")


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.0f} MB" if size >= 1024**2 else f"{size:,} bytes"


def json_value(
    text: str | bytes, name: str, kind: type[BadInput] = BadInput, constant: Callable[[str], Any] | None = None
) -> Any:
    """The value of a JSON text.

    Args:
        name: of the file, or of the place in it, for the sentence.
        constant: what to make of NaN and Infinity, which are not JSON; by default they are numbers.
    Raises `kind`, naming the place.
    """
    values = sum(text.count(mark.encode()) if isinstance(text, bytes) else text.count(mark) for mark in ",[{")
    if values > MAX_VALUES:
        raise kind(
            f"{name} holds too much",
            f"by its commas and brackets it has {values:,} values, and this program reads at most {MAX_VALUES:,}",
            "take a part of it, or write an object a line",
        )
    try:
        return _bounded(json.loads(text, parse_constant=constant, object_pairs_hook=_once))
    except _Twice as error:
        raise kind(
            f"{name} has {str(error)[:60]!r} twice in one object", "one of them would not be read", "leave one of them"
        ) from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in error.doc.strip() else ""
        why = f"{line}column {error.colno}: {error.msg}"
        raise kind(f"{name} is broken JSON", why, "mend it there, or export it again") from error
    except UnicodeDecodeError as error:
        raise no_utf8(name, error.start, kind) from error
    except ValueError as error:
        # All else that Python refuses in JSON.
        raise kind(f"{name} is no JSON that is read", "a number in it has thousands of digits", "shorten it") from error
    except RecursionError as error:
        raise kind(
            f"{name} is no JSON that is read",
            "its lists lie too deep in each other",
            f"write it with at most {MAX_DEPTH} in each other",
        ) from error


class _Twice(Exception):
    """An object names a part twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _Twice(next(name for name, count in counts.items() if count > 1))
    return told


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

    def opened() -> np.ndarray:
        stream = io.BytesIO(payload)
        _refuse_large(_unpacked(stream, name), name)
        stream.seek(0)
        return np.load(stream, allow_pickle=False)

    return _loaded(opened, payload, _ARRAY, name)


def arrays(payload: bytes, name: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Those arrays of an .npz file that are wanted and there; no other is opened. Raises BadInput."""
    if payload.startswith(_ARRAY):
        raise BadInput(f"{name} is no archive of arrays", "it is one array without a name", "write it by numpy.savez")

    def opened() -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(payload), allow_pickle=False) as found:
            there = [key for key in wanted if key in found]
            with zipfile.ZipFile(io.BytesIO(payload)) as packed:
                members = [next(m for m in packed.namelist() if m in (key, f"{key}.npy")) for key in there]
                sizes = []
                for member in members:
                    with packed.open(member) as stream:
                        sizes.append(_unpacked(stream, name))
            _refuse_large((max((count for count, _ in sizes), default=0), sum(size for _, size in sizes)), name)
            return {key: found[key] for key in there}

    return _loaded(opened, payload, _ARCHIVE, name)


def _unpacked(stream: IO[bytes], name: str) -> tuple[int, int]:
    """(numbers, bytes) that the array at the start of a stream will take, by its header alone. Raises ValueError, and
    BadInput for an array of objects."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    if kind.hasobject:
        raise BadInput(f"{name} holds Python objects", "opening them runs what is in the file", "write it as float32")
    count = math.prod(shape)
    return count, count * kind.itemsize


def _refuse_large(found: tuple[int, int], name: str) -> None:
    numbers, size = found
    if numbers > MAX_NUMBERS or size > MAX_UNPACKED:
        raise BadInput(
            f"{name} is too large",
            f"unpacked it holds {numbers:,} numbers in {size / 1e6:,.0f} MB, and this program reads at most "
            f"{MAX_NUMBERS:,} in {_megabytes(MAX_UNPACKED)}",
            "write the weights, or the features of one item, alone",
        )


def _loaded(load: Callable[[], L], payload: bytes, magic: bytes, name: str) -> L:
    if not payload.startswith(magic):
        # NumPy would take it for a pickle, and say how to open it unsafely.
        why = "it is no file of NumPy's" if payload else "it is empty"
        raise BadInput(f"{name} cannot be read", why, "write it again")
    try:
        return load()
    except BadInput:
        raise
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
