"""One hash of everything that a model's results depend on: the contents of its files and its number format.

Hashing half a gigabyte takes a second, so each file's hash is stored together with its size and time of change.
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
"""The folder in which Transformers looks for further templates; one of them may be the one that is used."""
_LEFT_OUT = {"converted.json"}


def fingerprint(folder: Path, dtype: str) -> str:
    """sha256 over names and contents of the model's files, and the format it runs in: 64 hexadecimal digits."""
    files = sorted(f for f in folder.iterdir() if f.suffix in _COUNTED and f.is_file() and f.name not in _LEFT_OUT)
    files += sorted(f for f in folder.glob(f"{_TEMPLATES}/*.jinja") if f.is_file())
    known_hashes = _read_hashes()
    hashed = [dtype]
    current_hashes: dict[str, str] = {}
    for file in files:
        state = _file_state(file)
        digest = known_hashes.get(state) or digests.of_file(file)
        current_hashes[state] = digest
        hashed.append(f"\n{file.relative_to(folder).as_posix()}:{digest}")
    if any(state not in known_hashes for state in current_hashes):
        _save_hashes({**known_hashes, **current_hashes})
    return digests.of_text(hashed)


def _file_state(file: Path) -> str:
    # A replaced file may have the same size and time of change, but then its ctime or inode differs.
    state = file.stat()
    return f"{file.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}"


def _hashes_file() -> Path:
    return models_dir() / "hashes.json"


def _read_hashes() -> dict[str, str]:
    try:
        hashes = json.loads(_hashes_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in hashes.items()} if isinstance(hashes, dict) else {}


def _save_hashes(hashes: dict[str, str]) -> None:
    """Store the hashes. If that fails, the files are only hashed again next time."""
    path = _hashes_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps(hashes))
    except OSError as error:
        log.warning("file hashes not kept: %s", error)
