"""A run's answers: packed beside a probe that ships, unpacked on first use, or copied to begin another run from.

Owns the packed form of answers (`RunFolder.answers` lists their files), and whether an unpacked copy is outdated: a
copy of an earlier version that no run continued is unpacked again. Does not know where runs are
(`backend.probes.library` does).
"""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import StoreError
from backend.runs.folder import RunFolder
from backend.runs.folder import packed_path as packed_place
from cache import atomic, digests
from cache.errors import cause, remedy
from cache.files import TURN, Taken, content, own_folder, signature, turn

AT_ONCE = 120.0
"""Seconds within which all files of a copy are written: files of more distant times were not written together."""


def pack(folder: Path, into: Path) -> None:
    """Write the answers of the run in `folder` to `into`, packed; the same answers give the same bytes."""
    into.mkdir(parents=True, exist_ok=True)
    for path in RunFolder(folder).answers():
        # The order of a journal's lines depends on when the run was stopped; sorted lines do not.
        lines = path.read_bytes().splitlines(keepends=True)
        lines = lines if path == RunFolder(folder).questions else sorted(lines)
        atomic.export(packed_place(into / path.name), gzip.compress(b"".join(lines), 9, mtime=0))
    atomic.export(RunFolder(into).plan, RunFolder(folder).plan.read_bytes())


def unpack(packed: Path, folder: Path) -> None:
    """Unpack answers into the run's `folder`, where no run has begun; the plan is written last. A copy of what shipped
    with an earlier version is replaced, unless a run continued it: then it is the user's own run.

    Of several callers at once, one unpacks and the others wait for it. Raises StoreError.
    """
    if not RunFolder(packed).is_begun():
        return
    try:
        if not _must_unpack(packed, folder):
            return
        own_folder(folder)
        with turn(RunFolder(folder).unpacking):
            # While this caller waited, another one may have unpacked, and the run may have begun.
            if _must_unpack(packed, folder):
                _write_unpacked(packed, folder)
    except Taken as error:
        raise StoreError(
            f"The answers of {folder.name} are not unpacked yet",
            "another program is unpacking them, and takes longer than it should",
            "try again in a minute",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        why, what = "the packed file is damaged", "install the program again"
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            why, what = cause(error), remedy(error)
        raise StoreError(f"The answers of {folder.name} cannot be unpacked", why, what) from error


def _must_unpack(packed: Path, folder: Path) -> bool:
    return not RunFolder(folder).is_begun() or is_outdated(packed, folder)


def is_outdated(packed: Path, folder: Path) -> bool:
    """Whether `folder` holds a copy of other answers than `packed`, which no run continued. Raises OSError."""
    run = RunFolder(folder)
    files = {path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".lock"}
    copies = files & {*run.answers(), run.plan}
    if files - copies - {run.unpacked}:
        return False
    origin = _read_origin(folder)
    if origin is None:
        # Unpacked by a version that kept no hashes: a run that continued the answers wrote to them later.
        times = [path.stat().st_mtime for path in copies if path not in run.decided]
        return max(times) - min(times) < AT_ONCE
    if origin.get("packed") == _hash_of_packed(packed):
        return False
    hashes = origin.get("files")
    return isinstance(hashes, dict) and all(_hash(folder / name) == value for name, value in hashes.items())


def _read_origin(folder: Path) -> dict[str, Any] | None:
    try:
        origin = json.loads(content(RunFolder(folder).unpacked))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return origin if isinstance(origin, dict) else {}


def _hash_of_packed(packed: Path) -> str:
    """The hash of all packed answers together."""
    paths = sorted([RunFolder(packed).plan, *RunFolder(packed).packed()])
    return _hash_of_files(tuple((path, signature(path)) for path in paths))


@lru_cache(maxsize=16)
def _hash_of_files(paths: tuple[tuple[Path, tuple[int, int, int]], ...]) -> str:
    return digests.of_text(f"{path.name}\0{_hash(path)}\0" for path, _ in paths)


def _hash(path: Path) -> str:
    """The hash of a file; '' where there is none."""
    try:
        return digests.of_file(path)
    except FileNotFoundError:
        return ""


def _write_unpacked(packed: Path, folder: Path) -> None:
    run = RunFolder(folder)
    try:
        # A run at work has taken the answers over; asking for its lock shows whether there is one.
        with turn(run.lock, 0.5 if run.is_begun() else TURN):
            _write_origin(folder, "", {})
            written = []
            for path in RunFolder(packed).packed():
                place = folder / path.stem
                if place in run.decided and place.exists():
                    continue
                atomic.write_bytes(place, gzip.decompress(path.read_bytes()))
                written.append(place)
            atomic.write_bytes(run.plan, RunFolder(packed).plan.read_bytes())
            hashes = {path.name: _hash(path) for path in (*written, run.plan) if path not in run.decided}
            _write_origin(folder, _hash_of_packed(packed), hashes)
    except Taken:
        return


def _write_origin(folder: Path, packed: str, files: dict[str, str]) -> None:
    """Keep which packed answers the folder was filled from. Until all files are written `packed` is '', so that an
    interrupted unpacking is repeated."""
    atomic.write_text(RunFolder(folder).unpacked, json.dumps({"packed": packed, "files": files}))


def copy(source: Path, folder: Path) -> None:
    """Copy the answers of another run to `folder`, for a run that begins with them. Raises StoreError."""
    try:
        for path in RunFolder(source).answers():
            with atomic.path(folder / path.name) as part:
                shutil.copyfile(path, part)
    except OSError as error:
        raise StoreError(f"The answers of {source.name} cannot be copied", cause(error), remedy(error)) from error
