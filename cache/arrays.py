"""Arrays on disk that are filled block by block.

Owns creating such an array, and checking that a file still is one. The disk space is reserved before anything is
written: writing to a mapped file with holes ends the program without a message at the first page for which the disk
has no room.
"""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A float32 array in NumPy's format at `path`, memory-mapped, all zero. Raises OSError if the disk is too full."""
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        with path.open("r+b") as file:
            _reserve(file.fileno(), path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array


def is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether `path` is a complete array of this shape, as `new_array` makes it.

    Check this before mapping such a file: NumPy extends a truncated one with zeros. Raises OSError if it cannot be
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
