"""A run's answers, packed beside a probe that ships, unpacked on first use, or copied to begin another run from.

Owns which files are answers (all that cost hours and hang on no filter, probe or check) and their packed form. Refuses
to know where runs lie (`backend.identify.library`).
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path

from backend.errors import StoreError
from cache.errors import remedy
from cache.files import Taken, own_folder, turn, whole

PLAN = "plan.json"
QUESTIONS = "questions.jsonl"
ANSWERS = (QUESTIONS, "greedy.jsonl", "samples.jsonl", "overrules.jsonl", "marked.jsonl")
PATTERNS = ("judged-*.jsonl", "worded-*.jsonl")
PACKED = ".gz"


def pack(folder: Path, into: Path) -> None:
    """Put the answers of the run in `folder` into `into`, packed; the same answers give the same bytes."""
    into.mkdir(parents=True, exist_ok=True)
    for path in _answers(folder):
        # Journals are written in the order of work, which hangs on when a run was stopped: sorted, it does not.
        lines = path.read_bytes().splitlines(keepends=True)
        lines = lines if path.name == QUESTIONS else sorted(lines)
        (into / f"{path.name}{PACKED}").write_bytes(gzip.compress(b"".join(lines), 9, mtime=0))
    shutil.copyfile(folder / PLAN, into / PLAN)


def unpack(packed: Path, folder: Path) -> None:
    """Put packed answers into the run's `folder`, where no run has begun; the plan comes last.

    Of several who come first at once, one unpacks and the others wait for it. Raises StoreError.
    """
    if (folder / PLAN).exists() or not (packed / PLAN).exists():
        return
    try:
        own_folder(folder)
        with turn(folder / ".unpacking.lock"):
            # Behind another one's turn the run may have begun, and added to what was unpacked.
            if not (folder / PLAN).exists():
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
            why, what = error.strerror or str(error), remedy(error)
        raise StoreError(f"The answers of {folder.name} cannot be unpacked", why, what) from error


def _unpack(packed: Path, folder: Path) -> None:
    for path in packed.glob(f"*.jsonl{PACKED}"):
        with whole(folder / path.stem) as part:
            part.write_bytes(gzip.decompress(path.read_bytes()))
    with whole(folder / PLAN) as part:
        shutil.copyfile(packed / PLAN, part)


def copy(source: Path, folder: Path) -> None:
    """Put the answers of another run into `folder`, for a run that begins from them. Raises StoreError."""
    try:
        for path in _answers(source):
            with whole(folder / path.name) as part:
                shutil.copyfile(path, part)
    except OSError as error:
        raise StoreError(
            f"The answers of {source.name} cannot be copied", error.strerror or str(error), remedy(error)
        ) from error


def _answers(folder: Path) -> list[Path]:
    named = [folder / name for name in ANSWERS if (folder / name).exists()]
    return named + [path for pattern in PATTERNS for path in sorted(folder.glob(pattern))]
