"""Stage 3, judge: whether an answer is right, wrong or uncertain, by rules that anyone can read.

Owns the words that mark an answer as uncertain. The matching is `backend.judging`'s. Refuses meaning: an answer
that denies the known one still matches, which is why each verdict can be overruled.
Source: the authors' code for the order (uncertain first, then the known answer); our words are more, and both are
matched as whole words where the code takes any piece of a word.
"""

from __future__ import annotations

from backend.judging import matches, normalise
from backend.types.identify import Question, Verdict

UNCERTAIN = (
    "don't know", "do not know", "cannot", "can't", "not provided", "no information", "not sure", "I'm sorry",
    "I am sorry", "as an AI", "unable to", "not able to", "not aware", "unclear", "not known", "unknown",
    "not specified", "not mentioned", "no record", "more context", "clarify", "I apologize",
)  # fmt: skip
_MARKS = tuple(f" {normalise(words)} " for words in UNCERTAIN)


def verdict(answer: str, question: Question) -> Verdict:
    """What the rules say of one answer. One without a word is uncertain: it says nothing."""
    held = f" {normalise(answer)} "
    if not held.strip() or any(mark in held for mark in _MARKS):
        return "uncertain"
    return "right" if matches(answer, question.answers) else "wrong"
