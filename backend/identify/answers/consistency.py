"""Stage 4, consistency: which questions the model knows, and which it answers wrongly time and again.

Owns the filter and what it leaves. The paper keeps 10 of 10 on both sides; a small model knows next to nothing so
surely, so each side has its own k of n and may ask the greedy answer to agree. Refuses judging and drawing.
Source: Gao et al. 2025, section 6.1.1; the authors' code (an uncertain sample drops the question).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from backend.types.identify import Consistency, Fate, Verdict


def fate(filter: Consistency, greedy: Verdict | None, samples: Sequence[Verdict]) -> Fate:
    """What becomes of one question.

    Args:
        greedy: the verdict on the greedy answer; None where there is none.
        samples: the verdicts on the samples.
    """
    counts = Counter(samples)
    if counts["uncertain"] > filter.uncertain:
        return "uncertain"
    agrees = {side: not filter.greedy or greedy == side for side in ("right", "wrong")}
    if counts["right"] >= filter.right and agrees["right"]:
        return "right"
    if counts["wrong"] >= filter.wrong and agrees["wrong"]:
        return "wrong"
    return "mixed"


def balanced(fates: Mapping[str, Fate], relations: Mapping[str, str]) -> dict[str, int]:
    """For each relation how many right and wrong questions can be kept in equal numbers."""
    sides: dict[str, Counter[str]] = {}
    for question, found in fates.items():
        sides.setdefault(relations[question], Counter())[found] += 1
    return {relation: min(count["right"], count["wrong"]) for relation, count in sides.items()}
