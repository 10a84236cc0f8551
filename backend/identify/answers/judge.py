"""Stage 3, judge: the verdict on one answer to a question.

Owns that a question's every spelling counts. The rule is `backend.text.verdict`'s, the same that Compare shows.
"""

from __future__ import annotations

from backend.text import verdict as judging
from backend.types.identify import Question, Verdict


def verdict(answer: str, question: Question) -> Verdict:
    """What the rule says of one answer. One without a word is uncertain: it says nothing."""
    return judging.verdict(answer, question.answers)
