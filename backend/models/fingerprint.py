"""What a model's figures depend on, as one hash: its files' contents and its number format.

Hashing half a gigabyte takes a second, so each file's hash is remembered with its size and time of change.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from cache import atomic, digests
from cache.paths import models_dir

log = logging.getLogger(__name__)
_COUNTED = {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken", ".bpe", ".spm"}
_TEMPLATES = "additional_chat_templates"
"""The folder in which Transformers looks for templates besides, the one that is used among them."""
_LEFT_OUT = {"converted.json"}


def fingerprint(folder: Path, dtype: str) -> str:
    """sha256 over names and contents of the model's files, and the format it runs in: 64 hexadecimal digits."""
    files = sorted(f for f in folder.iterdir() if f.suffix in _COUNTED and f.is_file() and f.name not in _LEFT_OUT)
    files += sorted(f for f in folder.glob(f"{_TEMPLATES}/*.jinja") if f.is_file())
    known = _remembered()
    told = [dtype]
    fresh: dict[str, str] = {}
    for file in files:
        mark = _mark(file)
        digest = known.get(mark) or digests.of_file(file)
        fresh[mark] = digest
        told.append(f"\n{file.relative_to(folder).as_posix()}:{digest}")
    if any(mark not in known for mark in fresh):
        _remember({**known, **fresh})
    return digests.of_text(told)


def _mark(file: Path) -> str:
    # A copy that keeps the time of change, of a file of the same size, is another file, or was written since.
    state = file.stat()
    return f"{file.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}"


def _memory() -> Path:
    return models_dir() / "hashes.json"


def _remembered() -> dict[str, str]:
    try:
        told = json.loads(_memory().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in told.items()} if isinstance(told, dict) else {}


def _remember(told: dict[str, str]) -> None:
    """Remembering is a convenience: where it fails the files are hashed again next time."""
    path = _memory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps(told))
    except OSError as error:
        log.warning("file hashes not kept: %s", error)
