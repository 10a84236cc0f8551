"""Whether an answer names what was asked for, by the spelling of a known answer.

Owns normalisation and the rule of matching. Refuses to judge meaning: an answer that denies
the known answer ("it is not Cairo") still matches, which is why a person can overrule it.
Standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NOT_WORD = re.compile(r"[^\w]+|_")
_APOSTROPHE = re.compile(r"[\u0027\u2018\u2019\u02bc]")


def normalise(text: str) -> str:
    """The words of `text` alone: lower case, no accents, no punctuation, no a/an/the, single spaces.

    Apostrophes join ("O'Brien" is "obrien"); every other punctuation mark parts words.
    Source: the evaluation of SQuAD (Rajpurkar et al. 2016), which removes all punctuation without
    parting words and keeps accents; we part, so that "Paris/France" holds two words.
    """
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(character for character in folded if not unicodedata.combining(character))
    words = _NOT_WORD.sub(" ", _APOSTROPHE.sub("", bare))
    return " ".join(_ARTICLES.sub(" ", words).split())


def matches(answer: str, aliases: Sequence[str]) -> bool:
    """Whether any of `aliases` stands in `answer` as whole words, both normalised.

    An alias of which nothing is left ("the", "?") matches nothing.
    """
    held = f" {normalise(answer)} "
    return any(alias and f" {alias} " in held for alias in map(normalise, aliases))


def aliases(typed: str) -> tuple[str, ...]:
    """The known answer's spellings from what was typed: apart by "|", blank ones dropped, in order."""
    parts = (part.strip() for part in typed.split("|"))
    return tuple(dict.fromkeys(part for part in parts if normalise(part)))
