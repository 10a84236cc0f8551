"""Stage 3, judge: the rules' verdict on one answer to a question.

Owns that every spelling of a question's known answer counts. The rules are `backend.text.verdict`'s, which Compare uses
too.
"""

from __future__ import annotations

from backend.text import verdict as text_verdict
from backend.types.identify import Question, Verdict


def rule_verdict(answer: str, question: Question) -> Verdict:
    """The rules' verdict on one answer; an answer without a word is uncertain."""
    return text_verdict.verdict(answer, question.answers)
