"""How two answers differ: words, tokens, and the first place at which they part.

Owns differences of texts; the matching is difflib's. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from backend.types import DiffPart

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def word_diff(baseline: str, text: str) -> tuple[DiffPart, ...]:
    """`text` cut into stretches that the baseline has too, in that order, and stretches that it has not.

    The parts joined are `text`. White space goes with the word before it.
    """
    old, new = _WORDS.findall(baseline), _WORDS.findall(text)
    parts: list[tuple[str, bool]] = []
    for tag, _, _, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        stretch = "".join(new[start:end])
        if stretch:
            parts.append((stretch, tag == "equal"))
    return tuple(DiffPart(text=stretch, same=same) for stretch, same in _joined(parts))


def _joined(parts: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Neighbours of one kind as one; a lone space between two changed stretches belongs to them."""
    joined: list[tuple[str, bool]] = []
    for place, (stretch, same) in enumerate(parts):
        between = same and stretch.isspace() and 0 < place < len(parts) - 1
        same = same and not between
        if joined and joined[-1][1] == same:
            joined[-1] = (joined[-1][0] + stretch, same)
        else:
            joined.append((stretch, same))
    return joined


def tokens_changed(baseline: Sequence[int], ids: Sequence[int]) -> int:
    """Tokens of `ids` that have no partner in the baseline."""
    blocks = SequenceMatcher(None, list(baseline), list(ids), autojunk=False).get_matching_blocks()
    return len(ids) - sum(block.size for block in blocks)


def first_split(baseline: Sequence[int], row: Sequence[int]) -> int | None:
    """The first position at which the two part, one of them ending included; None where they are equal."""
    for place, (one, other) in enumerate(zip(baseline, row, strict=False)):
        if one != other:
            return place
    return None if len(baseline) == len(row) else min(len(baseline), len(row))
