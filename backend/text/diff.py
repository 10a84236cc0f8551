"""How two answers differ: words, tokens, and the first place at which they differ.

Owns differences of texts; difflib does the matching. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from backend.types import DiffPart

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def word_diff(baseline: str, text: str) -> tuple[DiffPart, ...]:
    """`text` cut into parts that the baseline has too, in the same order, and parts that it has not.

    The parts joined are `text`. A changed part also holds the baseline's text at its place (`left_out`); where text of
    the baseline is only missing, the part's own text is empty.
    """
    old, new = _WORDS.findall(baseline), _WORDS.findall(text)
    parts: list[DiffPart] = []
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        new_text, old_text = "".join(new[new_start:new_end]), "".join(old[old_start:old_end])
        parts.append(DiffPart(text=new_text, same=tag == "equal", left_out="" if tag == "equal" else old_text))
    return _merge_neighbours(parts)


def _merge_neighbours(parts: Sequence[DiffPart]) -> tuple[DiffPart, ...]:
    """Neighbouring parts of one kind as one part; spaces alone between two changed parts count as changed too."""
    merged: list[DiffPart] = []
    for place, part in enumerate(parts):
        if part.same and part.text.isspace() and 0 < place < len(parts) - 1:
            part = DiffPart(text=part.text, same=False, left_out=part.text)
        if merged and merged[-1].same == part.same:
            last = merged.pop()
            part = DiffPart(text=last.text + part.text, same=part.same, left_out=last.left_out + part.left_out)
        merged.append(part)
    return tuple(merged)


def tokens_changed(baseline: Sequence[int], ids: Sequence[int]) -> int:
    """Tokens of `ids` that have no partner in the baseline."""
    blocks = SequenceMatcher(None, list(baseline), list(ids), autojunk=False).get_matching_blocks()
    return len(ids) - sum(block.size for block in blocks)


def first_split(baseline: Sequence[int], row: Sequence[int]) -> int | None:
    """The first position at which the two differ, where one of them ends included; None if they are equal."""
    for place, (baseline_token, token) in enumerate(zip(baseline, row, strict=False)):
        if baseline_token != token:
            return place
    return None if len(baseline) == len(row) else min(len(baseline), len(row))
