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

    The parts joined are `text`; a changed part also says what the baseline has in its place, and a part of
    no text stands where something of the baseline is only left out.
    """
    old, new = _WORDS.findall(baseline), _WORDS.findall(text)
    parts: list[DiffPart] = []
    for tag, low, high, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        stretch, gone = "".join(new[start:end]), "".join(old[low:high])
        parts.append(DiffPart(text=stretch, same=tag == "equal", left_out="" if tag == "equal" else gone))
    return _joined(parts)


def _joined(parts: Sequence[DiffPart]) -> tuple[DiffPart, ...]:
    """Neighbours of one kind as one; a lone space between two changed stretches belongs to them."""
    joined: list[DiffPart] = []
    for place, part in enumerate(parts):
        if part.same and part.text.isspace() and 0 < place < len(parts) - 1:
            part = DiffPart(text=part.text, same=False, left_out=part.text)
        if joined and joined[-1].same == part.same:
            last = joined.pop()
            part = DiffPart(text=last.text + part.text, same=part.same, left_out=last.left_out + part.left_out)
        joined.append(part)
    return tuple(joined)


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
