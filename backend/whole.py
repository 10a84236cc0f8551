"""Files that are there whole or not at all, whatever ends the writing.

Owns the place beside a file that it is written to first. Refuses to say what a failure means: the OSError is the
caller's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The place to write `path` to: moved there behind the block, and gone where the block failed. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
