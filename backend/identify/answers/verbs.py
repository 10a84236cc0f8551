"""A verb at the end of a phrase or between two names in it: "Tim Cook became | CEO", "Brazilians speak Portuguese".

Owns which verbs are known, and what is cut. Does not choose among phrases (`phrases`), so that the choice never depends
on a cut. Leaves out verbs that are as often nouns ("lead", "star").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.identify.answers.wording import Word

_VERB = re.compile(
    r"became|becomes?|won|wins|wrote|writes?|led|leads|sang|sings|speaks?|spoke|plays|makes|found|built|drew|taught"
    r"|(?:discover|invent|develop|creat|found|attend|paint|compos|record|direct|play|serv|design|propos|introduc|publish"
    r"|defeat|succeed|rul|adopt|produc|manufactur)ed"
)
_OBJECT_ASKED = re.compile(r"\b(?:does|do|did|is|are|was|were)\b", re.IGNORECASE)
_WHO_ASKED = re.compile(r"\bwho(?:m|se)?\b", re.IGNORECASE)
_SUBJECTS = frozenset({"he", "she", "it", "they"})


def cut_at_verb(words: Sequence[Word], start: int, stop: int, question: str) -> tuple[int, int]:
    """Words `start` to `stop` without a verb that follows a name or "he", and without the words on one side of it.

    Where the question asks for the verb's object ("What does he play?"), the words after the verb are kept, otherwise
    those before it ("Who wrote it?").
    """
    place = next((at for at in range(max(start, 1), stop) if _is_verb(words, at)), None)
    if place is None:
        return start, stop
    is_object = bool(_OBJECT_ASKED.search(question)) and not _WHO_ASKED.search(question)
    if place == start or (is_object and place + 1 < stop):
        return (place + 1, stop) if place + 1 < stop else (start, stop)
    return start, place


def _is_verb(words: Sequence[Word], place: int) -> bool:
    """Whether this is a known verb after a name or "he" that another word of the same clause follows."""
    before, word = words[place - 1], words[place]
    is_behind = before.raw[0].isupper() or set(before.pieces) <= _SUBJECTS
    goes_on = place + 1 < len(words) and words[place + 1].gap == " "
    return is_behind and word.gap == " " and goes_on and bool(_VERB.fullmatch(word.raw))
