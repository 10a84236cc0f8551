"""Journals of a run read as what they hold: each record of one kind, or a sentence that names the file.

Owns the way from a record to a value and back, and the words for a damaged one. Refuses to know where journals lie
and what their records mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from backend.errors import StoreError, in_tree
from backend.types import Frozen
from backend.types.refusal import first_problem
from backend.untrusted import clause
from cache import atomic
from cache.errors import JournalDamaged, StoreProblem, cause, remedy
from cache.files import TURN
from cache.journal import Journal

R = TypeVar("R", bound=Frozen)

ALONE = "remove that line, and resume"
"""For records that stand each for itself: what a missing one held is made again."""
ONWARDS = "remove that line and all behind it, and resume"
"""For records whose place in the journal is their number."""


def records(journal: Journal, kind: type[R], instead: str = ALONE) -> list[R]:
    """What the journal holds, oldest first. Raises StoreError where it cannot be read or a record is of another kind.

    instead: what a person can do about a damaged record.
    """
    return [_made(journal, number, record, kind, instead) for number, record in _numbered(journal, instead)]


def by_question(journal: Journal, kind: type[R], instead: str = ALONE) -> dict[str, Callable[[], R]]:
    """Question -> what makes its record, which is not looked into before: of many, a page shows a few.

    Raises StoreError as `records`.
    """
    found: dict[str, Callable[[], R]] = {}
    for number, record in _numbered(journal, instead):
        question = record.get("question")
        if not isinstance(question, str):
            raise damaged(journal, number, "question is not text", instead)
        found[question] = partial(_made, journal, number, record, kind, instead)
    return found


def keep(journal: Journal, record: Frozen) -> None:
    """Add one record. Raises StoreError where the folder cannot be written, or another program writes there."""
    try:
        # A verdict takes milliseconds: thirty at once wait for one another.
        with journal.writing(wait=TURN):
            journal.append([record.model_dump(mode="json")])
    except StoreProblem as error:
        raise in_tree(error) from error


def write_text(path: Path, text: str) -> None:
    """A small file of a run, written atomically. Raises StoreError."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be written", cause(error), f"{remedy(error)} and resume") from error


def damaged(journal: Journal, number: int, why: str, instead: str = ALONE) -> StoreError:
    """The error of a record that cannot be what was written."""
    return StoreError(f"{journal.name} is damaged", f"in line {number} {why}", instead)


def reason(error: Exception) -> str:
    """Why something could not be read, as one clause."""
    if isinstance(error, ValidationError):
        return clause(first_problem(error))
    return clause(cause(error) if isinstance(error, OSError) else str(error))


def _numbered(journal: Journal, instead: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        return journal.numbered()
    except JournalDamaged as error:
        raise StoreError(error.what, error.why, instead) from error
    except StoreProblem as error:
        raise in_tree(error) from error


def _made(journal: Journal, number: int, record: dict[str, Any], kind: type[R], instead: str) -> R:
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        raise damaged(journal, number, reason(error), instead) from error
