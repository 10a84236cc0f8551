"""Marks made by hand on the answers of one comparison, and their spelling in an address.

Owns `Marks`. Refuses Streamlit and comparisons: it knows rows by their number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

Mark = Literal["right", "wrong", "uncertain"]
HASHED = 12
"""Letters of a request's hash that tell one comparison from another."""
_SPELLING = re.compile(rf"[0-9a-f]{{{HASHED}}}:[0-9]{{1,3}}=[a-z]+(,[0-9]{{1,3}}=[a-z]+){{0,63}}")


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks on the rows of one comparison; written '1f0c9a7be2d4:1=wrong,2=right'."""

    of: str
    """The first letters of that comparison's hash: on the rows of another the marks would mean nothing."""
    rows: tuple[tuple[int, Mark], ...]

    @classmethod
    def parse(cls, text: str) -> Marks:
        """The marks that `text` spells. Raises ValueError for any other spelling, pydantic's among them, and
        where a row has two marks."""
        if not _SPELLING.fullmatch(text):
            raise ValueError("marks are written hash:row=mark, for example 1f0c9a7be2d4:1=wrong,2=right")
        of, _, pairs = text.partition(":")
        marks: dict[int, str] = {}
        for row, _, mark in (pair.partition("=") for pair in pairs.split(",")):
            if marks.setdefault(int(row), mark) != mark:
                raise ValueError(f"row {int(row)} is marked twice, as {marks[int(row)]} and as {mark}")
        return cls(of, tuple(sorted((row, TypeAdapter(Mark).validate_python(mark)) for row, mark in marks.items())))

    def __str__(self) -> str:
        return f"{self.of}:{','.join(f'{row}={mark}' for row, mark in self.rows)}"
