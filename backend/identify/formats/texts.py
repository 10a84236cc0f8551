"""What every text of questions is held to: that it is UTF-8, and whether names of columns hold a question's.

Refuses tables and JSON (`backend.identify.formats.tables`, `backend.identify.formats.rows`).
"""

from __future__ import annotations

from collections.abc import Iterable

from backend.errors import BadInput
from backend.text.columns import column


def no_utf8(name: str, place: int) -> BadInput:
    """The sentence for a text whose byte `place` (the first is 0) belongs to no character."""
    return BadInput(f"{name} is not UTF-8", f"byte {place} belongs to no character", "save it as UTF-8")


def decoded(payload: bytes, name: str) -> str:
    """The text in these bytes, without a byte order mark. Raises BadInput."""
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise no_utf8(name, error.start) from error


def has_question(names: Iterable[str]) -> bool:
    """Whether one of these names of columns is that of a question."""
    return any(column(name) in ("question", "prompt", "query") for name in names)
