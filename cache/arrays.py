"""Arrays on disk that are filled piece by piece.

Owns their making, and whether a file still is one: the space is taken before anything is written. A mapped file
with holes in it would end the program, without a word, at the first page for which the disk has no room.
"""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A float32 array in NumPy's format at `path`, mapped, all zero. Raises OSError where there is no room for it."""
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        with path.open("r+b") as file:
            _reserve(file.fileno(), path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array


def is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether `path` is an array of this shape as `new_array` makes it, to its last byte.

    To be asked before such a file is mapped: NumPy fills a short one up with zeros. Raises OSError where it cannot be
    read.
    """
    written = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(np.float32))
    np.lib.format.write_array_header_1_0(written, {"descr": descr, "fortran_order": False, "shape": shape})
    header = written.getvalue()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return file.read(len(header)) == header and size == len(header) + 4 * math.prod(shape)
    except FileNotFoundError:
        return False


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
