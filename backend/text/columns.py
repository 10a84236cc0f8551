"""What columns, and the parts of an object, are called in files of others.

Owns how two names are told apart: without case, and without what nobody sees at their ends. Files that were put
together hold byte order marks in their midst, and copied texts hold spaces of other kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from backend.errors import BadInput

_UNSEEN = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200e\u200f\u2060\ufeff"
"""Spaces of every kind, and marks of direction and of byte order."""


def bare(text: str) -> str:
    """The text without what nobody sees at its ends."""
    return text.strip(_UNSEEN)


def column(name: object) -> str:
    """A heading or a key as columns are told apart by."""
    return bare(str(name)).lower()


def has_question(names: Iterable[object]) -> bool:
    """Whether one of these names of columns is that of a question."""
    return any(column(name) in ("question", "prompt", "query") for name in names)


def refuse_twice(heading: Iterable[object], name: str, wanted: Collection[str]) -> None:
    """Raises BadInput where two columns would be read as one."""
    names = [column(cell) for cell in heading]
    twice = next((cell for cell in names if cell in wanted and names.count(cell) > 1), None)
    if twice is not None:
        raise BadInput(f"{name} has two columns {twice!r}", "one of them would not be read", "rename one of them")
