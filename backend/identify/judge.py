"""Stage 3, judge: whether an answer is right, wrong or uncertain, by rules that anyone can read.

Owns the words that mark an answer as uncertain. The matching is `backend.judging`'s. Refuses meaning: an answer
that denies the known one still matches, which is why each verdict can be overruled.
Source: the authors' code for the order (uncertain first, then the known answer); our words are more, both are
matched as whole words where the code takes any piece of a word, and a mark that is part of a known answer's name
("Tomb of the Unknown Soldier") marks nothing.
"""

from __future__ import annotations

from backend.judging import normalise, places, words
from backend.types.identify import Question, Verdict

UNCERTAIN = (
    "don't know", "do not know", "cannot", "can't", "not provided", "no information", "not sure", "I'm sorry",
    "I am sorry", "as an AI", "unable to", "not able to", "not aware", "unclear", "not known", "unknown",
    "not specified", "not mentioned", "no record", "more context", "clarify", "I apologize",
)  # fmt: skip


def verdict(answer: str, question: Question) -> Verdict:
    """What the rules say of one answer. One without a word is uncertain: it says nothing."""
    held = words(answer)
    known = list(places(held, question.answers))
    marks = [mark for mark in places(held, UNCERTAIN) if not any(_holds(place, mark) for place in known)]
    if marks or not normalise(answer):
        return "uncertain"
    return "right" if known else "wrong"


def _holds(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]
