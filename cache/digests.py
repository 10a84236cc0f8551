"""What bytes are known by: SHA-256, in the one module that computes one.

Owns hashing of bytes, texts and files. What goes into a key, and in which order, is the caller's: keys of results and
runs have their rule in `backend.types.base.digest`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_bytes(payload: bytes) -> str:
    """The hash of `payload`, 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


def of_text(parts: Iterable[str]) -> str:
    """The hash of these texts one behind the other, as UTF-8; they are never held all at once."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode())
    return whole.hexdigest()


def of_file(path: Path) -> str:
    """The hash of a file's content, read a piece at a time. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
