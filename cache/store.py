"""A bounded, content-addressed store of bytes in one folder.

Owns the files `<root>/<key[:2]>/<key>.entry`: writing them atomically, detecting damage, listing,
and deleting the least recently used. It does not know what the bytes mean, never unpickles or
imports anything from them, and touches no file that is not its own.

Several threads and processes may share a root without a lock: a file appears in one step (`cache.atomic`), a
reader keeps the file it opened, and a file that is deleted in between counts as missing. The time of last use is
the file's modification time, so that reading rewrites nothing.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cache import atomic, record
from cache.errors import BadKey, PayloadTooLarge, StoreProblem, not_read, not_written
from cache.files import own_folder
from cache.record import Damaged, Entry

__all__ = ["DEFAULT_MAX_BYTES", "Entry", "Store"]

DEFAULT_MAX_BYTES = 2 * 1024**3
_KEY = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_SUFFIX = ".entry"
_OLD_UNFINISHED = ".unfinished"
"""Suffix of unfinished files of an earlier version."""

log = logging.getLogger(__name__)


class Store:
    """Payloads by key, at most `max_bytes` on disk in all.

    Args:
        root: its folder; created at the first `put`, so that a read-only store can be read.
        max_bytes: limit of all files together, descriptions included.

    Attributes:
        damaged: how many truncated or changed entries this object has met and deleted.

    Raises:
        ValueError: `max_bytes` is not positive.
    """

    def __init__(self, root: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes must be positive, not {max_bytes}")
        self.root, self.max_bytes, self.damaged = Path(root), max_bytes, 0
        self._counting = threading.Lock()
        self._sweep_unfinished()

    def put(self, key: str, payload: bytes, kind: str, meta: Mapping[str, Any]) -> Entry:
        """Store `payload` under `key`, replacing what was there; delete old entries if the limit is exceeded.

        Raises:
            BadKey, BadMeta: the key or the description is malformed.
            PayloadTooLarge: the payload alone exceeds `max_bytes`.
            StoreFull, StoreUnwritable: the disk refuses; what was stored before is still there.
        """
        now = time.time_ns()
        created = record.utc_time(now)
        path = self._path(key)
        head = record.head(key, payload, kind, meta, created)
        if len(head) + len(payload) > self.max_bytes:
            raise PayloadTooLarge(
                "The result is too large to keep",
                f"it takes {len(head) + len(payload):,} bytes and the whole store may hold {self.max_bytes:,}",
                "ask for fewer tokens or layers, or raise the bound of the store",
            )
        _write_entry(path, head, payload, now)
        self.evict(keep=key)
        return Entry(key, kind, record.as_json(meta), len(payload), created, created)

    def get(self, key: str) -> bytes | None:
        """The payload, byte for byte as it was stored, or None if it is missing or damaged.

        A damaged entry is deleted, counted in `damaged` and logged as a warning.

        Raises:
            BadKey: the key is malformed.
            StoreUnreadable: the operating system refuses to open or read the file.
        """
        stored = self._read_entry(key, with_payload=True)
        return stored[1] if stored else None

    def entry(self, key: str) -> Entry | None:
        """The entry of `key` from its header alone, or None. Only `get` checks the payload's checksum.

        Raises:
            BadKey, StoreUnreadable: as for `get`.
        """
        stored = self._read_entry(key, with_payload=False)
        return stored[0] if stored else None

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, the newest first. Reads headers only; skips files deleted meanwhile.

        Raises:
            StoreUnreadable: the operating system refuses to open a file or folder.
        """
        read_entries = (self.entry(path.stem) for path, _ in self._entry_files())
        matching = [entry for entry in read_entries if entry is not None and kind in (None, entry.kind)]
        return sorted(matching, key=lambda entry: (entry.created, entry.key), reverse=True)

    def delete(self, key: str) -> bool:
        """Delete `key`; whether it was there.

        Raises:
            BadKey, StoreUnwritable: the key is malformed, or the operating system refuses.
        """
        return _remove_file(self._path(key))

    def clear(self) -> int:
        """Delete every entry and nothing else; how many there were. Raises StoreUnwritable."""
        return sum(_remove_file(path) for path, _ in self._entry_files())

    def evict(self, keep: str | None = None) -> list[str]:
        """Delete the least recently used entries until at most `max_bytes` remain, never `keep`; the deleted keys.

        Raises:
            StoreUnwritable: the operating system refuses to delete a file.
        """
        files = sorted(self._entry_files(), key=lambda file: (file[1].st_mtime_ns, file[0].name))
        total, dropped = sum(stat.st_size for _, stat in files), []
        for path, stat in files:
            if total <= self.max_bytes:
                break
            if path.stem == keep:
                continue
            total -= stat.st_size
            if _remove_file(path):
                dropped.append(path.stem)
        return dropped

    def _path(self, key: str) -> Path:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise BadKey(
                f"{key!r:.80} is not a key of the store",
                "a key is 64 characters of 0-9 and a-f",
                "use the sha256 of the request, in lowercase hexadecimal",
            )
        return self.root / key[:2] / f"{key}{_SUFFIX}"

    def _read_entry(self, key: str, with_payload: bool) -> tuple[Entry, bytes] | None:
        """The entry with its payload (empty unless asked for), or None if it is missing or damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as stream:
                return self._read_verified(stream, path, with_payload)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise not_read(problem, path) from problem

    def _read_verified(self, stream: BinaryIO, path: Path, with_payload: bool) -> tuple[Entry, bytes] | None:
        stat = os.fstat(stream.fileno())
        try:
            entry, checksum = record.read_head(stream, path.stem, stat.st_size, stat.st_mtime_ns)
            if not with_payload:
                return entry, b""
            payload = record.read_payload(stream, entry, checksum)
        except Damaged as damage:
            self._drop_damaged(path, stat, str(damage))
            return None
        _record_use(path)
        return entry, payload

    def _drop_damaged(self, path: Path, seen: os.stat_result, why: str) -> None:
        with self._counting:
            self.damaged += 1
        log.warning("The kept result %s is damaged (%s); it counts as missing.", path.stem, why)
        try:
            # Another process may have replaced it by an intact entry since it was opened.
            if os.path.samestat(seen, path.stat()):
                _remove_file(path)
        except FileNotFoundError:
            log.debug("%s was deleted by somebody else", path)
        except (OSError, StoreProblem) as problem:
            log.warning("It could not be deleted: %s", problem)

    def _entry_files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path, stat in self._list_files():
            if path.suffix == _SUFFIX and _KEY.fullmatch(path.stem) and path.stem.startswith(path.parent.name):
                yield path, stat

    def _sweep_unfinished(self) -> None:
        oldest = time.time() - atomic.STALE
        for path, stat in self._list_files():
            unfinished = atomic.is_unfinished(path.name) or path.suffix == _OLD_UNFINISHED
            if unfinished and stat.st_mtime < oldest:
                try:
                    _remove_file(path)
                except StoreProblem as problem:
                    log.warning("An unfinished file stays behind: %s", problem)

    def _list_files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every file in the subfolders with its stat; files that are deleted meanwhile are left out."""
        for folder in _scan_folder(self.root):
            if _FOLDER.fullmatch(folder.name) and folder.is_dir():
                for file in _scan_folder(Path(folder.path)):
                    try:
                        if file.is_file(follow_symlinks=False):
                            yield Path(file.path), file.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue


def _scan_folder(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise not_read(problem, folder) from problem


def _write_entry(path: Path, head: bytes, payload: bytes, used_ns: int) -> None:
    try:
        own_folder(path.parent)
        with atomic.path(path) as part:
            with part.open("wb") as stream:
                stream.write(head)
                stream.write(payload)
            os.utime(part, ns=(used_ns, used_ns))
    except OSError as problem:
        raise not_written(problem, path) from problem


def _remove_file(path: Path) -> bool:
    """Delete a file; whether it was there."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as problem:
        raise not_written(problem, path) from problem
    return True


def _record_use(path: Path) -> None:
    now = time.time_ns()
    try:
        os.utime(path, ns=(now, now))
    except OSError as problem:
        # Deleted, or a read-only store: the payload was read in full; only its time of last use is not recorded.
        log.debug("the use of %s is not recorded: %s", path, problem)
