"""A run's answers, packed beside a probe that ships, unpacked on first use, or copied to begin another run from.

Owns the packed form of answers (`RunFolder.answers` says which files are some), and
whether an unpacked copy is still that of what ships now: one that nobody went on from is renewed. Refuses to know where
runs lie (`backend.probes.library`).
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
from backend.runs.folder import packed as packed_place
from cache import atomic, digests
from cache.errors import cause, remedy
from cache.files import TURN, Taken, content, own_folder, signature, turn

AT_ONCE = 120.0
"""Seconds within which all files of a copy are written."""


def pack(folder: Path, into: Path) -> None:
    """Put the answers of the run in `folder` into `into`, packed; the same answers give the same bytes."""
    into.mkdir(parents=True, exist_ok=True)
    for path in RunFolder(folder).answers():
        # Journals are written in the order of work, which hangs on when a run was stopped: sorted, it does not.
        lines = path.read_bytes().splitlines(keepends=True)
        lines = lines if path == RunFolder(folder).questions else sorted(lines)
        atomic.export(packed_place(into / path.name), gzip.compress(b"".join(lines), 9, mtime=0))
    atomic.export(RunFolder(into).plan, RunFolder(folder).plan.read_bytes())


def unpack(packed: Path, folder: Path) -> None:
    """Put packed answers into the run's `folder`, where no run has begun; the plan comes last. A copy of what shipped
    with an earlier version is renewed, unless somebody went on from it: then it is a run of their own.

    Of several who come first at once, one unpacks and the others wait for it. Raises StoreError.
    """
    if not RunFolder(packed).is_begun():
        return
    try:
        if not _wanted(packed, folder):
            return
        own_folder(folder)
        with turn(RunFolder(folder).unpacking):
            # Behind another one's turn the run may have begun, and added to what was unpacked.
            if _wanted(packed, folder):
                _unpack(packed, folder)
    except Taken as error:
        raise StoreError(
            f"The answers of {folder.name} are not unpacked yet",
            "another program has been at it for longer than it should take",
            "try again in a minute",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        why, what = "the packed file is damaged", "install the program again"
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            why, what = cause(error), remedy(error)
        raise StoreError(f"The answers of {folder.name} cannot be unpacked", why, what) from error


def _wanted(packed: Path, folder: Path) -> bool:
    return not RunFolder(folder).is_begun() or outdated(packed, folder)


def outdated(packed: Path, folder: Path) -> bool:
    """Whether `folder` holds a copy of other packed answers than these, which nobody went on from. Raises OSError."""
    run = RunFolder(folder)
    others = {path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".lock"}
    copies = others & {*run.answers(), run.plan}
    if others - copies - {run.unpacked}:
        return False
    told = _told(folder)
    if told is None:
        # Of a version that kept no hashes: whoever goes on from answers writes to them later.
        times = [path.stat().st_mtime for path in copies if path not in run.decided]
        return max(times) - min(times) < AT_ONCE
    if told.get("packed") == _state(packed):
        return False
    held = told.get("files")
    return isinstance(held, dict) and all(_hash(folder / name) == value for name, value in held.items())


def _told(folder: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(content(RunFolder(folder).unpacked))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _state(packed: Path) -> str:
    """The hash of all packed answers together."""
    paths = sorted([RunFolder(packed).plan, *RunFolder(packed).packed()])
    return _hashed(tuple((path, signature(path)) for path in paths))


@lru_cache(maxsize=16)
def _hashed(paths: tuple[tuple[Path, tuple[int, int, int]], ...]) -> str:
    return digests.of_text(f"{path.name}\0{_hash(path)}\0" for path, _ in paths)


def _hash(path: Path) -> str:
    """The hash of a file; '' where there is none."""
    try:
        return digests.of_file(path)
    except FileNotFoundError:
        return ""


def _unpack(packed: Path, folder: Path) -> None:
    run = RunFolder(folder)
    try:
        # Whoever works on the run has taken it over; a look at whether one does takes no time.
        with turn(run.lock, 0.5 if run.is_begun() else TURN):
            _note(folder, "", {})
            written = []
            for path in RunFolder(packed).packed():
                place = folder / path.stem
                if place in run.decided and place.exists():
                    continue
                atomic.write_bytes(place, gzip.decompress(path.read_bytes()))
                written.append(place)
            atomic.write_bytes(run.plan, RunFolder(packed).plan.read_bytes())
            told = {path.name: _hash(path) for path in (*written, run.plan) if path not in run.decided}
            _note(folder, _state(packed), told)
    except Taken:
        return


def _note(folder: Path, packed: str, files: dict[str, str]) -> None:
    """Keep what the folder was filled from. Before it is full nothing is named: then it is filled once more."""
    atomic.write_text(RunFolder(folder).unpacked, json.dumps({"packed": packed, "files": files}))


def copy(source: Path, folder: Path) -> None:
    """Put the answers of another run into `folder`, for a run that begins from them. Raises StoreError."""
    try:
        for path in RunFolder(source).answers():
            with atomic.path(folder / path.name) as part:
                shutil.copyfile(path, part)
    except OSError as error:
        raise StoreError(f"The answers of {source.name} cannot be copied", cause(error), remedy(error)) from error
