"""Reading untrusted input: a person's files, JSON texts and NumPy files.

Owns the conversion of a broken, truncated or endless file to an error message, and the limits on how much is read
from one. Never unpickles, reads regular files only, and unpacks no more than a limit allows: the size is checked
before memory is allocated. What a file means is up to its reader. Any module may import this one.
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
"""Accepted depth of nested lists; Python itself fails at some hundreds, at different depths in different functions."""
MAX_VALUES = 4_000_000
"""Values in one JSON text, estimated by its commas and opening brackets: some hundred MB as Python objects."""
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
    """The content of a regular file of at most `limit` bytes.

    A pipe or device, also behind a symbolic link, is rejected before it is read: it may never end, or never begin.

    Args:
        name: what the error message calls the file, by default its path.
    Raises `kind`.
    """
    shown = name or str(path)
    try:
        # Checked before it is opened, since opening a device may have an effect, and again afterwards, since the name
        # may lead to another file by then. Without O_NONBLOCK, opening a pipe waits for a writer.
        _refuse_irregular(os.stat(path), shown, kind)
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(handle)
            _refuse_irregular(status, shown, kind)
            payload = b"" if status.st_size > limit else stream.read(limit + 1)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise kind(f"{shown} cannot be read", why, "check the name and the permissions") from error
    if max(status.st_size, len(payload)) > limit:
        size = f"it has {max(status.st_size, len(payload)) / 1e6:,.0f} MB, and this program reads"
        raise kind(f"{shown} is too large", f"{size} at most {_megabytes(limit)}", "take a part of it")
    return payload


def _refuse_irregular(status: os.stat_result, shown: str, kind: type[BadInput]) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = next((word for test, word in _KINDS if test(status.st_mode)), "no file")
        raise kind(f"{shown} is no regular file", f"it is {what}", "name a file, or save what it gives to one")


@contextmanager
def no_panic() -> Iterator[None]:
    """Within the block, convert a panic of a Rust library to ModelUnreadable.

    PyO3's PanicException is not a subclass of `Exception`, so no handler of errors catches it, and a thread would end
    without a message. Of the libraries used here, only tokenizers was seen to panic.
    """
    try:
        yield
    except BaseException as error:
        # The class is created in Rust, in no module that could be imported.
        if type(error).__name__ != "PanicException":
            raise
        log.info("a library in Rust broke off", exc_info=True)
        raise ModelUnreadable(
            "The model's tokenizer cannot be used",
            "the parts of its files contradict each other, and the library that reads them failed",
            "fetch them again, or choose another model",
        ) from error


def beyond(name: str, why: str, limit: str) -> BadInput:
    """The error for a file that exceeds a limit of this program."""
    return BadInput(f"{name} is too large", f"{why}, and this program reads at most {limit}", "take a part of it")


def text_of(payload: bytes, name: str, kind: type[BadInput] = BadInput) -> str:
    """The text of a person's file, without the byte order mark that some editors write. Raises `kind`."""
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise no_utf8(name, error.start, kind) from error


def no_utf8(name: str, place: int, kind: type[BadInput] = BadInput) -> BadInput:
    """The error for a text that is not UTF-8 at byte `place` (counted from 0)."""
    return kind(f"{name} is not UTF-8", f"byte {place} belongs to no character", "save it as UTF-8")


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.0f} MB" if size >= 1024**2 else f"{size:,} bytes"


def json_value(
    text: str | bytes, name: str, kind: type[BadInput] = BadInput, constant: Callable[[str], Any] | None = None
) -> Any:
    """The value of a JSON text.

    Args:
        name: of the file, or of the place in it, for the error message.
        constant: called with NaN and Infinity, which are not JSON; by default they are read as numbers.
    Raises `kind`, naming the place.
    """
    values = sum(text.count(mark.encode()) if isinstance(text, bytes) else text.count(mark) for mark in ",[{")
    if values > MAX_VALUES:
        raise kind(
            f"{name} holds too much",
            f"by its commas and brackets it has {values:,} values, and this program reads at most {MAX_VALUES:,}",
            "take a part of it, or write one object on each line",
        )
    try:
        return _check_depth(json.loads(text, parse_constant=constant, object_pairs_hook=_object_without_duplicates))
    except _DuplicateKey as error:
        raise kind(
            f"{name} has {str(error)[:60]!r} twice in one object", "one of them would not be read", "remove one of them"
        ) from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in error.doc.strip() else ""
        why = f"{line}column {error.colno}: {error.msg}"
        raise kind(f"{name} is broken JSON", why, "correct it there, or export it again") from error
    except UnicodeDecodeError as error:
        raise no_utf8(name, error.start, kind) from error
    except ValueError as error:
        # The only other error that Python's JSON parser raises.
        raise kind(f"{name} cannot be read as JSON", "a number in it has thousands of digits", "shorten it") from error
    except RecursionError as error:
        raise kind(
            f"{name} cannot be read as JSON",
            "its lists are nested too deeply",
            f"write it with at most {MAX_DEPTH} nested lists",
        ) from error


class _DuplicateKey(Exception):
    """A JSON object has the same key twice."""


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _DuplicateKey(next(name for name, count in counts.items() if count > 1))
    return fields


def _check_depth(value: Any) -> Any:
    """`value`, if it can be traversed and shown recursively. Raises RecursionError beyond `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            element
            for container in level
            for element in (
                container.values() if isinstance(container, dict) else container if isinstance(container, list) else ()
            )
            if isinstance(element, (dict, list))
        ]
        if not level:
            return value
    raise RecursionError


def array(payload: bytes, name: str) -> np.ndarray:
    """The array in an .npy file. Raises BadInput."""
    if payload.startswith(_ARCHIVE):
        raise BadInput(f"{name} is no array", "it is an archive of arrays", "write each to a file of its own")

    def load_array() -> np.ndarray:
        stream = io.BytesIO(payload)
        _refuse_large(_unpacked_size(stream, name), name)
        stream.seek(0)
        return np.load(stream, allow_pickle=False)

    return _load_numpy(load_array, payload, _ARRAY, name)


def arrays(payload: bytes, name: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that are both wanted and there; no other is opened. Raises BadInput."""
    if payload.startswith(_ARRAY):
        raise BadInput(f"{name} is no archive of arrays", "it is one array without a name", "write it by numpy.savez")

    def load_arrays() -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            present = [key for key in wanted if key in archive]
            with zipfile.ZipFile(io.BytesIO(payload)) as packed:
                members = [next(m for m in packed.namelist() if m in (key, f"{key}.npy")) for key in present]
                sizes = []
                for member in members:
                    with packed.open(member) as stream:
                        sizes.append(_unpacked_size(stream, name))
            _refuse_large((max((count for count, _ in sizes), default=0), sum(size for _, size in sizes)), name)
            return {key: archive[key] for key in present}

    return _load_numpy(load_arrays, payload, _ARCHIVE, name)


def _unpacked_size(stream: IO[bytes], name: str) -> tuple[int, int]:
    """(numbers, bytes) of the array at the start of a stream, from its header alone.

    Raises ValueError, and BadInput for an array of objects.
    """
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read_header(stream)
    if kind.hasobject:
        raise BadInput(f"{name} holds Python objects", "opening them runs what is in the file", "write it as float32")
    count = math.prod(shape)
    return count, count * kind.itemsize


def _refuse_large(unpacked_size: tuple[int, int], name: str) -> None:
    numbers, size = unpacked_size
    if numbers > MAX_NUMBERS or size > MAX_UNPACKED:
        raise BadInput(
            f"{name} is too large",
            f"unpacked it holds {numbers:,} numbers in {size / 1e6:,.0f} MB, and this program reads at most "
            f"{MAX_NUMBERS:,} in {_megabytes(MAX_UNPACKED)}",
            "write the weights, or the features of one item, alone",
        )


def _load_numpy(load: Callable[[], L], payload: bytes, magic: bytes, name: str) -> L:
    if not payload.startswith(magic):
        # NumPy would take it for a pickle, and its message would say how to open it unsafely.
        why = "it is not a NumPy file" if payload else "it is empty"
        raise BadInput(f"{name} cannot be read", why, "write it again")
    try:
        return load()
    except BadInput:
        raise
    except Exception as error:
        # For a damaged file NumPy passes on the errors of zipfile, zlib and tokenize, EOFError, and MemoryError if the
        # file states a wrong size.
        raise BadInput(
            f"{name} cannot be read", clause(str(error)) or type(error).__name__, "write it again"
        ) from error


def clause(words: str) -> str:
    """A library's message as the middle part of an error message of this program: one line, cut between words."""
    line = " ".join(words.replace(";", ",").split())
    return line.rstrip(".") if len(line) <= MAX_CLAUSE else f"{line[:MAX_CLAUSE].rpartition(' ')[0]} ..."


def real(numbers: np.ndarray, name: str) -> np.ndarray:
    """`numbers`, if they are real. Raises BadInput: converting complex numbers would silently drop a part."""
    if numbers.dtype.kind not in "fiu":
        raise BadInput(f"{name} holds no real numbers", f"they are {numbers.dtype}", "write them as float32")
    return numbers


def shown_name(name: str) -> str:
    """A file's name as text: bytes in it that are no UTF-8, as some archives leave them, become '?'."""
    return name.encode("utf-8", "replace").decode("utf-8")
