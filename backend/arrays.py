"""Arrays on disk that are filled piece by piece.

Owns their making: the space is taken before anything is written. A mapped file with holes in it would end the
program, without a word, at the first page for which the disk has no room.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A float32 array in NumPy's format at `path`, mapped, all zero. Raises OSError where there is no room for it."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    try:
        with path.open("r+b") as file:
            _reserve(file.fileno(), path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
