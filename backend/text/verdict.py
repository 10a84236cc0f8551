"""Whether an answer names what was asked for: right, wrong or uncertain, by one rule for every page and command.

The rule. Words are compared as `backend.text.matching` reads them: without case, accents and strokes, possessives and
particles set aside, numbers by value, scripts without spaces by their characters.

1. An answer is uncertain if it has no word, or says that it does not know (`backend.text.hedges`), whatever else it
   says: "I am not sure, it may be Cairo." A hedge inside a known answer's own name ("Tomb of the Unknown Soldier") or a
   title ("Unknown Pleasures") is none.
2. It is right if a known answer stands in it as whole words, articles passed over, and is not denied right there:
   "It is not Cairo" and "Giza rather than Cairo" do not name Cairo (`backend.text.denials`). It may be written in its
   usual ways, "St. Petersburg" or "World War 2" (`backend.text.spellings`), and a name that is a small word otherwise
   ("US", "He", "May") only counts as it is written.
3. Else it is wrong.

Owns matching, normalisation and this rule. Refuses to judge meaning: a denial further off ("Cairo? Certainly not.")
still matches, of hedges and denials in other languages only the most usual are known, names in another order ("Obama,
Barack") or with a middle name are others, and in scripts without spaces a name inside another one is found. So a person
can overrule each verdict.
Source: Gao et al. 2025's code for the order (uncertain first, then the known answer); the evaluation of SQuAD
(Rajpurkar et al. 2016) for normalisation, which removes punctuation without parting words and keeps accents; we part,
so that "Paris/France" holds two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.text.denials import is_denied
from backend.text.hedges import hedges
from backend.text.matching import Token, fold, owner
from backend.text.matching import read as read
from backend.text.spellings import ARTICLES, joined, spellings_of
from backend.types.identify import Verdict


def words(text: str) -> list[str]:
    """The words of `text`, articles too, as they are compared."""
    return [token.key for token in read(text)]


def normalise(text: str) -> str:
    """`words` without a/an/the, single spaces; a last "a" behind another word stays: a name ends so ("Vitamin A")."""
    every = words(text)
    bare = [word for word in every if word not in ARTICLES]
    return " ".join([*bare, "a"] if bare and every[-1] == "a" else bare)


def places(text: str, aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Characters of `text` where an alias stands, at each place the longest that begins there.

    Articles are passed over, save the one that ends an alias. An alias of which nothing is left ("the", "?") stands
    nowhere.
    """
    held = read(text)
    return ((held[start].start, held[stop - 1].stop) for start, stop in _found(text, held, aliases))


def matches(answer: str, aliases: Sequence[str]) -> bool:
    """Whether any of `aliases` stands in `answer` as whole words, denied or not."""
    return any(True for _ in places(answer, aliases))


def verdict(answer: str, aliases: Sequence[str]) -> Verdict:
    """What the rule says of an answer whose known spellings are `aliases`."""
    held = read(answer)
    if all(token.key in ARTICLES for token in held):
        return "uncertain"
    known = list(_found(answer, held, aliases))
    if any(not any(start <= first and last <= stop for start, stop in known) for first, last in hedges(answer, held)):
        return "uncertain"
    return "right" if any(not is_denied(answer, held, *place) for place in known) else "wrong"


def aliases(typed: str) -> tuple[str, ...]:
    """The known answer's spellings from what was typed: apart by "|", blank ones dropped, in order."""
    parts = (part.strip() for part in typed.split("|"))
    return tuple(dict.fromkeys(part for part in parts if normalise(part)))


SMALL = frozenset(
    [
        *("as", "at", "be", "am", "he", "in", "i", "it", "no", "so", "us", "or", "me", "who", "is", "was", "are", "of"),
        *("on", "to", "for", "by", "do", "does", "did", "has", "had", "will", "would", "may", "can", "could", "we"),
        *("you", "she", "they", "him", "her", "his", "its", "this", "that", "there", "which", "what", "also", "but"),
        *("if", "than", "then", "and", "not", "from", "with", "were", "la", "le", "el", "il", "al", "de", "da", "di"),
        *("du", "en", "es", "et", "un", "une", "des", "der", "die", "das", "oh", "hi", "ok"),
    ]
)
"""Words that are names only where they are written as such: US, WHO, IT, As, He, In, No, May, Will."""


def _found(text: str, held: Sequence[Token], aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From which of the words to which an alias stands, at each place the longest that begins there."""
    spellings = spellings_of(tuple(aliases), SMALL)
    for start, token in enumerate(held):
        begun = [
            one for word in (token.key, *token.also, *joined(text, held, start)) for one in spellings.get(word, ())
        ]
        for spelling in sorted(begun, key=len, reverse=True):
            stop = _end(text, held, start, spelling)
            if stop is not None and (stop - start > 1 or _is_meant(text, held, start, aliases)):
                yield start, stop
                break


def _is_meant(text: str, held: Sequence[Token], place: int, aliases: Sequence[str]) -> bool:
    """Whether a small word is meant as a name: "US", not "us"; "He" in "The symbol is He.", not in "He is a man"."""
    token = held[place]
    raw = owner(text[token.start : token.stop])
    if fold(raw) not in SMALL or len(held) == 1:
        return True
    spelled = {_bare(alias) for alias in aliases if _bare(alias).casefold() == fold(raw)}
    if not spelled or any(alias.islower() for alias in spelled):
        return True
    if raw not in spelled:
        return False
    before, behind = text[max(0, token.start - 4) : token.start].rstrip()[-1:], text[token.stop : token.stop + 2]
    is_begun = before in ("", ".", "!", "?", ":") or raw == "I"
    return (len(raw) > 1 and raw.isupper()) or not is_begun or not re.match(r"\s\w", behind)


def _bare(alias: str) -> str:
    """A name as it is written, without article and full stops: "Who" of "The Who", "US" of "U.S."."""
    return re.sub(r"^(?:a|an|the)\s+|[.\s]", "", alias.strip(), flags=re.IGNORECASE)


def _end(text: str, held: Sequence[Token], start: int, spelling: Sequence[Token]) -> int | None:
    """Behind the last word of `spelling` where it stands in `held` from `start`; None where it does not."""
    place = start
    for word in spelling:
        while place < len(held) and not (count := _taken(text, held, place, word.key)) and held[place].key in ARTICLES:
            place += 1
        if place == len(held) or not count:
            return None
        place += count
    if len(spelling) == len(spelling[0].key) == 1 and spelling[0].is_character and not _stands_alone(held, start):
        return None
    is_within = spelling[-1].key in _KINDS and _touches(held, start - 1) and held[start - 1].key not in _KANA
    return None if is_within else place


def _taken(text: str, held: Sequence[Token], place: int, word: str) -> int:
    """How many words make this one from `place`: several where hyphens join them; 0 where they do not."""
    if word in (held[place].key, *held[place].also):
        return 1
    return joined(text, held, place).get(word, 0)


_KINDS = frozenset("都府県县市州省国國道区區")
"""Characters that end a place's name and begin no other: 京都 is not in 東京都."""
_KANA = frozenset(map(chr, range(0x3041, 0x3097)))
_FRAMES = frozenset("だ是为為的在叫和与與或即了也就不很名称稱用于於には和がのですをでと中")


def _stands_alone(held: Sequence[Token], place: int) -> bool:
    """Whether a name of one character is one, or part of a longer word, as 金 is of 旧金山."""
    return not _touches(held, place - 1) and not _touches(held, place)


def _touches(held: Sequence[Token], place: int) -> bool:
    """Whether this character and the next stand together, and neither is one of a sentence's frame, as 是."""
    if not 0 <= place < len(held) - 1:
        return False
    pair = held[place : place + 2]
    together = pair[0].stop == pair[1].start and all(token.is_character for token in pair)
    return together and not any(token.key in _FRAMES for token in pair)
