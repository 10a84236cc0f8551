"""Whether an answer names what was asked for, by the spelling of a known answer.

Owns normalisation and the rule of matching. Refuses to judge meaning: an answer that denies
the known answer ("it is not Cairo") still matches, which is why a person can overrule it.
Standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

ARTICLES = frozenset({"a", "an", "the"})
SIGNED = r"(?<![^\W_])[^\W\d_](?:\+\+|[#\u266f](?!\w))"
"""A single letter with its sign, which makes another name of it: C++, C#. Other signs say less (K+, Disney+)."""
_WORD = re.compile(rf"{SIGNED}|[^\W_]+")
_APOSTROPHE = re.compile(r"[\u0027\u2018\u2019\u02bc]")


def words(text: str) -> list[str]:
    """The words of `text`, articles too: lower case, no accents, no punctuation.

    Apostrophes join ("O'Brien" is "obrien"); every other punctuation mark parts words.
    Source: the evaluation of SQuAD (Rajpurkar et al. 2016), which removes all punctuation without
    parting words and keeps accents; we part, so that "Paris/France" holds two words.
    """
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(character for character in folded if not unicodedata.combining(character))
    return [word.replace("\u266f", "#") for word in _WORD.findall(_APOSTROPHE.sub("", bare))]


def normalise(text: str) -> str:
    """`words` without a/an/the, single spaces; a last "a" behind another word stays: a name ends so ("Vitamin A")."""
    every = words(text)
    bare = [word for word in every if word not in ARTICLES]
    return " ".join([*bare, "a"] if bare and every[-1] == "a" else bare)


def places(held: Sequence[str], aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From where to where in `held`, which are `words`, an alias stands, at each place the longest that begins there.

    Articles are passed over, save the one that ends an alias. An alias of which nothing is left ("the", "?") stands
    nowhere.
    """
    spellings = _spellings(tuple(aliases))
    for start, word in enumerate(held):
        for spelling in spellings.get(word, ()):
            stop = _end(held, start, spelling)
            if stop is not None:
                yield start, stop
                break


def matches(answer: str, aliases: Sequence[str]) -> bool:
    """Whether any of `aliases` stands in `answer` as whole words."""
    return any(True for _ in places(words(answer), aliases))


def aliases(typed: str) -> tuple[str, ...]:
    """The known answer's spellings from what was typed: apart by "|", blank ones dropped, in order."""
    parts = (part.strip() for part in typed.split("|"))
    return tuple(dict.fromkeys(part for part in parts if normalise(part)))


# The same question's aliases are asked for once for each of its answers.
@lru_cache(maxsize=1024)
def _spellings(aliases: tuple[str, ...]) -> dict[str, list[list[str]]]:
    """First word -> the normalised aliases that begin with it, longest first."""
    found: dict[str, list[list[str]]] = {}
    for spelling in sorted({normalise(alias) for alias in aliases} - {""}):
        pieces = spelling.split()
        found.setdefault(pieces[0], []).append(pieces)
    return {first: sorted(held, key=len, reverse=True) for first, held in found.items()}


def _end(held: Sequence[str], start: int, spelling: Sequence[str]) -> int | None:
    """Behind the last word of `spelling` where it stands in `held` from `start`; None where it does not."""
    place = start
    for word in spelling:
        while place < len(held) and held[place] != word and held[place] in ARTICLES:
            place += 1
        if place == len(held) or held[place] != word:
            return None
        place += 1
    return place
