"""A place on the map of an answer, and the scores that the map can show: what charts and addresses both name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Score = Literal["largest", "top10", "sum", "concentration", "strong", "usual"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer at one token; written '17.12'."""

    layer: int
    pos: int

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The cell that `text` names. Raises ValueError for any other spelling."""
        layer, dot, pos = text.partition(".")
        if not dot or not (layer.isascii() and layer.isdigit() and pos.isascii() and pos.isdigit()):
            raise ValueError("a cell is written layer.token, for example 17.12")
        return cls(int(layer[:6]), int(pos[:6]))

    def __str__(self) -> str:
        return f"{self.layer}.{self.pos}"
