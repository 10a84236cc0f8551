"""Names of columns, and keys of JSON objects, in files that users bring.

Owns how two such names are compared: without case, and without invisible characters at their ends. Files made by
joining others have byte order marks in the middle, and copied texts have unusual kinds of spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from backend.errors import BadInput

_UNSEEN = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200e\u200f\u2060\ufeff"
"""Spaces of every kind, marks of text direction and byte order marks."""


def bare(text: str) -> str:
    """The text without spaces and invisible characters at its ends."""
    return text.strip(_UNSEEN)


def column(name: object) -> str:
    """A heading or a key in the form in which it is compared."""
    return bare(str(name)).lower()


def has_question(names: Iterable[object]) -> bool:
    """Whether one of these columns holds questions, by its name."""
    return any(column(name) in ("question", "prompt", "query") for name in names)


def refuse_twice(heading: Iterable[object], name: str, wanted: Collection[str]) -> None:
    """Raises BadInput if two columns of `wanted` have the same name once compared as `column` does."""
    names = [column(cell) for cell in heading]
    duplicate = next((cell for cell in names if cell in wanted and names.count(cell) > 1), None)
    if duplicate is not None:
        raise BadInput(f"{name} has two columns {duplicate!r}", "one of them would not be read", "rename one of them")
