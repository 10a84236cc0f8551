"""Stage 4, consistency: which questions the model answers rightly again and again, and which wrongly.

Owns the filter and what it keeps. The paper keeps 10 of 10 on both sides; a small model knows almost nothing that
surely, so each side has its own k of n and can require that the greedy answer agrees. Neither judges nor draws answers.
Source: Gao et al. 2025, section 6.1.1; the authors' code (an uncertain sample drops the question).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from backend.types.identify import Consistency, Fate, Verdict


def fate(filter: Consistency, greedy: Verdict | None, samples: Sequence[Verdict]) -> Fate:
    """On which side the filter keeps one question, or why it drops it.

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
    """Relation -> how many right questions, and as many wrong ones, can be kept."""
    sides: dict[str, Counter[str]] = {}
    for question, outcome in fates.items():
        sides.setdefault(relations[question], Counter())[outcome] += 1
    return {relation: min(count["right"], count["wrong"]) for relation, count in sides.items()}
