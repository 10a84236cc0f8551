"""SHA-256 of files, remembered from one start to the next, and the fingerprint of a model.

Owns the list of remembered hashes (`hashes.json` in the models folder). What it remembers of a file
is dropped as soon as size, times or inode differ. It is only a saving of time: where the list cannot be
read or written, hashes are computed afresh.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cache.paths import models_dir

LIST = "hashes.json"
_TOO_YOUNG = 0.1
"""Seconds within which a second write could leave the same times behind."""
_log = logging.getLogger(__name__)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError where it cannot be read."""
    return files_sha256([path])[path]


def files_sha256(paths: list[Path]) -> dict[Path, str]:
    """The SHA-256 of each file. Raises OSError where one cannot be read."""
    known, found, new = _remembered(), {}, {}
    for path in paths:
        key, stamp = str(path.resolve()), _stamp(path)
        entry = known.get(key)
        if isinstance(entry, list) and entry[:-1] == stamp and _is_hash(entry[-1]):
            found[path] = entry[-1]
            continue
        started = time.time()
        with path.open("rb") as file:
            found[path] = hashlib.file_digest(file, "sha256").hexdigest()
        changed = max(stamp[1], stamp[2]) / 1e9
        if stamp == _stamp(path) and started - changed > _TOO_YOUNG:
            new[key] = [*stamp, found[path]]
    if new:
        _remember(new)
    return found


def fingerprint(files: list[Path], dtype: str) -> str:
    """What identifies a loaded model: SHA-256 over the name, size and hash of each file, and the dtype.

    Where the files lie and in which order they are given makes no difference.
    """
    hashes = files_sha256(files)
    parts = sorted([path.name, path.stat().st_size, hashes[path]] for path in files)
    return hashlib.sha256(json.dumps({"dtype": dtype, "files": parts}, sort_keys=True).encode()).hexdigest()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64


def _remembered() -> dict[str, Any]:
    try:
        known = json.loads((models_dir() / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("The list of file hashes is not used: %s", error)
        return {}
    return known if isinstance(known, dict) else {}


def _remember(new: dict[str, Any]) -> None:
    target = models_dir() / LIST
    written = target.with_name(f".{LIST}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{LIST}.lock"), timeout=2):
            kept = {key: entry for key, entry in _remembered().items() if os.path.exists(key)}
            written.write_text(json.dumps(kept | new, indent=1), encoding="utf-8")
            os.replace(written, target)
    except (OSError, Timeout) as error:
        _log.warning("File hashes are not remembered: %s", error)
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)
