"""The journals of a run read as values of one type, or an error that names the file and the line.

Owns the conversion from a record to a value and back, and the error for a damaged one. Does not know where journals
are and what their records mean.
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
"""Remedy for records that are independent of each other: what a missing one held is computed again."""
ONWARDS = "remove that line and all lines after it, and resume"
"""Remedy for records whose place in the journal is their number."""


def read_records(journal: Journal, kind: type[R], instead: str = ALONE) -> list[R]:
    """The journal's records, oldest first.

    Args:
        instead: what a person can do about a damaged record.
    Raises StoreError where the journal cannot be read or a record is not of `kind`.
    """
    return [
        _validated(journal, number, record, kind, instead) for number, record in _numbered_records(journal, instead)
    ]


def records_by_question(journal: Journal, kind: type[R], instead: str = ALONE) -> dict[str, Callable[[], R]]:
    """Question -> a function that validates and returns its record: a page shows few of many records, and validating
    all takes time. Raises StoreError as `read_records`; so does the function.
    """
    readers: dict[str, Callable[[], R]] = {}
    for number, record in _numbered_records(journal, instead):
        question = record.get("question")
        if not isinstance(question, str):
            raise damaged_record(journal, number, "question is not text", instead)
        readers[question] = partial(_validated, journal, number, record, kind, instead)
    return readers


def append_record(journal: Journal, record: Frozen) -> None:
    """Add one record. Raises StoreError where the folder cannot be written, or another program writes there."""
    try:
        # Writing a verdict takes milliseconds, so many at once wait for each other.
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


def damaged_record(journal: Journal, number: int, why: str, instead: str = ALONE) -> StoreError:
    """The error for a record that is not what was written."""
    return StoreError(f"{journal.name} is damaged", f"in line {number} {why}", instead)


def reason(error: Exception) -> str:
    """Why something could not be read, as a clause of an error's sentence."""
    if isinstance(error, ValidationError):
        return clause(first_problem(error))
    return clause(cause(error) if isinstance(error, OSError) else str(error))


def _numbered_records(journal: Journal, instead: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        return journal.numbered()
    except JournalDamaged as error:
        raise StoreError(error.what, error.why, instead) from error
    except StoreProblem as error:
        raise in_tree(error) from error


def _validated(journal: Journal, number: int, record: dict[str, Any], kind: type[R], instead: str) -> R:
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        raise damaged_record(journal, number, reason(error), instead) from error
