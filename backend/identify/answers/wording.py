"""The words of a response and the characters between them, as the rules for answers read them.

Owns what a word is, which words carry no meaning of their own, and where a sentence or its part ends. A full stop after
a title ("St. Louis") or an initial does not end a sentence where a name continues: the initial begins a run of words or
follows a capitalised word, and a capitalised word follows that does not begin a sentence ("John F. Kennedy", but
"vitamin C. It"). A number is one word, and so is each character of a script without spaces. Does not choose an answer
(`spans` and `phrases` do).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from backend.text.matching import SIGNED, UNSPACED
from backend.text.verdict import read_tokens

_PIECE = rf"(?:{SIGNED}|(?![{UNSPACED}])[\p{{L}}\p{{N}}](?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}\u30fc])*)"
WORD = regex.compile(
    rf"(?:(?=[{UNSPACED}])\p{{L}}\p{{M}}*"
    rf"|{_PIECE}(?:(?:['\u2019\u02bc\u2018]+|[.&-]|(?<=\d)[,:\u2013](?=\d)){_PIECE})*)"
)
BREAK = re.compile(r"[.!?;,()\[\]\n:=\u2014\u2013\u3001\u3002\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]")
_STOP = re.compile(r"\.[ \t\u00a0]+")
QUOTES = " \"'\u201c\u201d\u2018\u2019*_`("
_OPENING = "\"\u201c\u201e\u00ab\u2018'"
_CLOSING = "\"\u201d\u201c\u00bb\u2019'"
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_TITLES = frozenset(
    [
        *("St", "Ste", "Mr", "Mrs", "Ms", "Dr", "Mt", "Ft", "Prof", "Gen", "Col", "Capt", "Lt", "Sgt", "Maj", "Adm"),
        *("Rev", "Fr", "Hon", "Gov", "Sen", "Rep", "Pres"),
    ]
)
_JUNIOR = frozenset({"Jr", "Sr"})
BE = frozenset(
    {"is", "was", "are", "were", "be", "its", "hes", "shes", "thats", "called", "named", "是", "为", "為", "は"}
)
FUNCTION = frozenset(
    [
        *("a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "and", "or", "as", "not", "no"),
        *("is", "was", "are", "were", "be", "been", "being", "has", "have", "had", "does", "do", "did", "can", "could"),
        *("will", "would", "may", "i", "you", "we", "he", "she", "it", "they", "me", "him", "us", "them", "my", "your"),
        *("our", "his", "her", "its", "their", "this", "that", "these", "those", "there", "who", "which", "what", "s"),
        *("also", "so", "but", "if", "than", "then", "very", "located", "situated", "known", "是", "为", "為", "は"),
    ]
)


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a response."""

    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """`raw` is the word as written, `pieces` its forms for comparison, `gap` the characters since the previous word."""

    start: int
    end: int
    raw: str
    pieces: tuple[str, ...]
    gap: str
    also: frozenset[str] = frozenset()
    """Other forms of the pieces, as without a suffix."""

    is_quoted: bool = False
    """Whether this word alone is in quotes."""

    @property
    def is_function(self) -> bool:
        return set(self.pieces) <= FUNCTION


def is_parted(words: Sequence[Word], place: int, run: Sequence[Word]) -> bool:
    """Whether a run of words ends before this word. `run`: the words so far of the run with the previous word."""
    word = words[place]
    if place == 0 or not BREAK.search(word.gap) or (word.gap.strip() == "," and word.raw in _JUNIOR):
        return False
    before = words[place - 1]
    if not _STOP.fullmatch(word.gap):
        return True
    if before.raw == "vs" or (before.raw == "No" and word.raw[0].isdigit()):
        return False
    if not word.raw[0].isupper():
        return True
    if before.raw in _TITLES:
        return False
    if word.is_function and not _is_initial(words, place):
        # "John F. Kennedy", but "vitamin C. It": a function word after the full stop begins a sentence.
        return True
    is_name = bool(run) and (len(run) == 1 or run[-2].raw[0].isupper())
    return not (before.raw in _JUNIOR or (is_name and _is_initial(words, place - 1)))


def _is_initial(words: Sequence[Word], place: int) -> bool:
    """Whether this is a capital letter, or several with full stops between them, followed by a full stop."""
    raw = words[place].raw
    is_stopped = place + 1 < len(words) and _STOP.fullmatch(words[place + 1].gap)
    return bool(is_stopped and _INITIALS.fullmatch(raw) and raw.isupper())


def is_letter(words: Sequence[Word], place: int, parted: bool) -> bool:
    """Whether this A, I or S is a letter and not a word: an initial ("A. A. Milne"), or after a word that is not a
    function word.

    An I only after a capitalised word ("Elizabeth I"): elsewhere it is the pronoun.
    """
    word = words[place]
    if word.raw not in ("A", "I", "S"):
        return False
    before = words[place - 1] if place and not parted and not word.gap.strip(QUOTES) else None
    behind = before is not None and not before.is_function and (word.raw != "I" or before.raw[0].isupper())
    return behind or (_is_initial(words, place) and words[place + 1].raw[0].isupper())


def words_of(response: str) -> list[Word]:
    """The words of a response, in order."""
    result: list[Word] = []
    end = 0
    for match in WORD.finditer(response):
        start, stop = match.span()
        tokens = read_tokens(match.group())
        pieces = tuple(token.key for token in tokens)
        also = frozenset(form for token in tokens for form in token.also)
        result.append(
            Word(start, stop, match.group(), pieces, response[end:start], also, _is_quoted(response, start, stop))
        )
        end = stop
    return result


def _is_quoted(response: str, start: int, stop: int) -> bool:
    behind = response[stop : stop + 2].lstrip(".,!?")
    return start > 0 and response[start - 1] in _OPENING and behind[:1] in _CLOSING and bool(behind)
