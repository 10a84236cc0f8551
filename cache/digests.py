"""SHA-256 of bytes, texts and files; no other module computes one.

The caller decides what goes into a key, and in which order: for keys of results and runs the rule is
`backend.types.base.digest`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_bytes(payload: bytes) -> str:
    """The hash of `payload`, 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


def of_text(parts: Iterable[str]) -> str:
    """The hash of these texts joined without a separator, as UTF-8; they are never all in memory at once."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode())
    return whole.hexdigest()


def of_file(path: Path) -> str:
    """The hash of a file's content, read in chunks. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
