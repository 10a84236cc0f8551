"""A bounded, content-addressed store of bytes in one folder.

Owns the files `<root>/<key[:2]>/<key>.entry`: writing them whole or not at all, noticing damage,
listing, and dropping the least recently used. It knows nothing of what the bytes mean, never
unpickles or imports anything from them, and touches no file that is not its own.

Several threads and processes may share a root without a lock: a file appears in one step (`cache.atomic`), a
reader keeps the file it opened, and a file that vanishes in between is a miss. When an entry was last
used is its file's modification time, so that reading rewrites nothing.
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
"""How an earlier version named what it had not finished."""

log = logging.getLogger(__name__)


class Store:
    """Payloads by key, at most `max_bytes` on disk in all.

    Args:
        root: its folder; made at the first `put`, so that a read-only store can be read.
        max_bytes: bound on the files together, descriptions included.

    Attributes:
        damaged: how many entries this object found cut or changed, and dropped.

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
        """Keep `payload` under `key`, in place of what was there; drop old entries if over the bound.

        Raises:
            BadKey, BadMeta: the key or the description is malformed.
            PayloadTooLarge: it alone exceeds `max_bytes`.
            StoreFull, StoreUnwritable: the disk refuses; what was kept before is still there.
        """
        now = time.time_ns()
        created = record.moment(now)
        path = self._path(key)
        head = record.head(key, payload, kind, meta, created)
        if len(head) + len(payload) > self.max_bytes:
            raise PayloadTooLarge(
                "The result is too large to keep",
                f"it takes {len(head) + len(payload):,} bytes and the whole store may hold {self.max_bytes:,}",
                "ask for fewer tokens or layers, or raise the bound of the store",
            )
        _write(path, head, payload, now)
        self.evict(keep=key)
        return Entry(key, kind, record.plain(meta), len(payload), created, created)

    def get(self, key: str) -> bytes | None:
        """The payload, byte for byte as it was put, or None where there is none or it is damaged.

        A damaged entry is deleted, counted in `damaged` and logged as a warning.

        Raises:
            BadKey: the key is malformed.
            StoreUnreadable: the system refuses to open or read the file.
        """
        found = self._open(key, with_payload=True)
        return found[1] if found else None

    def entry(self, key: str) -> Entry | None:
        """What is known of `key` from its head alone, or None. The payload's checksum is left to `get`.

        Raises:
            BadKey, StoreUnreadable: as for `get`.
        """
        found = self._open(key, with_payload=False)
        return found[0] if found else None

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, the newest first. Reads heads only; skips what vanishes meanwhile.

        Raises:
            StoreUnreadable: the system refuses to open a file or folder.
        """
        read = (self.entry(path.stem) for path, _ in self._files())
        found = [entry for entry in read if entry is not None and kind in (None, entry.kind)]
        return sorted(found, key=lambda entry: (entry.created, entry.key), reverse=True)

    def delete(self, key: str) -> bool:
        """Drop `key`; whether it was there.

        Raises:
            BadKey, StoreUnwritable: the key is malformed, or the system refuses.
        """
        return _remove(self._path(key))

    def clear(self) -> int:
        """Drop every entry and nothing else; how many there were. Raises StoreUnwritable."""
        return sum(_remove(path) for path, _ in self._files())

    def evict(self, keep: str | None = None) -> list[str]:
        """Drop the least recently used until at most `max_bytes` remain, never `keep`; the keys dropped.

        Raises:
            StoreUnwritable: the system refuses to delete.
        """
        files = sorted(self._files(), key=lambda file: (file[1].st_mtime_ns, file[0].name))
        total, dropped = sum(stat.st_size for _, stat in files), []
        for path, stat in files:
            if total <= self.max_bytes:
                break
            if path.stem == keep:
                continue
            total -= stat.st_size
            if _remove(path):
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

    def _open(self, key: str, with_payload: bool) -> tuple[Entry, bytes] | None:
        """The entry with its payload (empty unless asked for), or None where it is missing or damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as stream:
                return self._judge(stream, path, with_payload)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise not_read(problem, path) from problem

    def _judge(self, stream: BinaryIO, path: Path, with_payload: bool) -> tuple[Entry, bytes] | None:
        stat = os.fstat(stream.fileno())
        try:
            entry, checksum = record.read_head(stream, path.stem, stat.st_size, stat.st_mtime_ns)
            if not with_payload:
                return entry, b""
            payload = record.read_payload(stream, entry, checksum)
        except Damaged as damage:
            self._drop_damaged(path, stat, str(damage))
            return None
        _touch(path)
        return entry, payload

    def _drop_damaged(self, path: Path, seen: os.stat_result, why: str) -> None:
        with self._counting:
            self.damaged += 1
        log.warning("The kept result %s is damaged (%s); it counts as missing.", path.stem, why)
        try:
            # Another process may have put a whole one in its place since it was opened.
            if os.path.samestat(seen, path.stat()):
                _remove(path)
        except FileNotFoundError:
            log.debug("%s was deleted by somebody else", path)
        except (OSError, StoreProblem) as problem:
            log.warning("It could not be deleted: %s", problem)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path, stat in self._listing():
            if path.suffix == _SUFFIX and _KEY.fullmatch(path.stem) and path.stem.startswith(path.parent.name):
                yield path, stat

    def _sweep_unfinished(self) -> None:
        oldest = time.time() - atomic.STALE
        for path, stat in self._listing():
            unfinished = atomic.is_unfinished(path.name) or path.suffix == _OLD_UNFINISHED
            if unfinished and stat.st_mtime < oldest:
                try:
                    _remove(path)
                except StoreProblem as problem:
                    log.warning("An unfinished file stays behind: %s", problem)

    def _listing(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every file one folder down with its stat; what vanishes while listing is left out."""
        for folder in _scan(self.root):
            if _FOLDER.fullmatch(folder.name) and folder.is_dir():
                for file in _scan(Path(folder.path)):
                    try:
                        if file.is_file(follow_symlinks=False):
                            yield Path(file.path), file.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise not_read(problem, folder) from problem


def _write(path: Path, head: bytes, payload: bytes, used_ns: int) -> None:
    try:
        own_folder(path.parent)
        with atomic.path(path) as part:
            with part.open("wb") as stream:
                stream.write(head)
                stream.write(payload)
            os.utime(part, ns=(used_ns, used_ns))
    except OSError as problem:
        raise not_written(problem, path) from problem


def _remove(path: Path) -> bool:
    """Delete a file; whether it was there."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as problem:
        raise not_written(problem, path) from problem
    return True


def _touch(path: Path) -> None:
    now = time.time_ns()
    try:
        os.utime(path, ns=(now, now))
    except OSError as problem:
        # Gone, or a read-only store: the payload is whole all the same, only its age stays unknown.
        log.debug("the use of %s is not recorded: %s", path, problem)
