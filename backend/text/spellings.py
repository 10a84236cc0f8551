"""Ways of writing one name: "J. K. Rowling" and "JK Rowling", "Saint Petersburg" and "St. Petersburg".

Owns what may stand for a name in an answer. Two ways are one name where nobody means two: initials as one word, Saint,
Mount and Fort cut short before a word, Roman and Arabic numerals behind a name (of single letters I and V alone: the
X of "Malcolm X" is no ten and the C of "vitamin C" no hundred), a day with or without "rd" beside its month, "R&B" and
"R & B", parts joined by a hyphen or written as one word. Refuses other orders and parts of names ("Obama, Barack",
"Barack Hussein Obama") and numerals in words ("Elizabeth the Second"): these are aliases to be typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from backend.text.matching import Token, fold, owner, read, written_out

ARTICLES = frozenset({"a", "an", "the"})
_SHORT = {"saint": "st", "sainte": "ste", "mount": "mt", "fort": "ft"}
_SHORT |= {short: long for long, short in _SHORT.items()}
_MONTHS = frozenset(
    [
        *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
        *("december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
    ]
)
_ORDINAL = re.compile(r"([1-9]|[12]\d|3[01])(?:st|nd|rd|th)")
_DAY = re.compile(r"[1-9]|[12]\d|3[01]")
_ROMAN = re.compile(r"(?=[ivxl])(xl|l?x{0,3})(ix|iv|v?i{0,3})")
_HYPHENS = frozenset("-\u2010\u2011")
_MOST_JOINED = 4
"""Most parts of a word with hyphens that may be written as one."""
_CAPITALS = re.compile(r"[A-Z]{2,4}|[ap]m")


# The same question's aliases are asked for once for each of its answers.
@lru_cache(maxsize=1024)
def spellings_of(aliases: tuple[str, ...], small: frozenset[str]) -> dict[str, list[tuple[Token, ...]]]:
    """First word -> the ways of writing the aliases that begin with it, without articles, longest first.

    Args:
        small: words that no name is made of by joining its parts.
    """
    found: dict[str, list[tuple[Token, ...]]] = {}
    for alias in sorted(set(aliases)):
        every = read(alias)
        bare = tuple(
            token
            for place, token in enumerate(every)
            if token.key not in ARTICLES or _goes_on(alias, every, place) or _goes_on(alias, every, place + 1)
        )
        if bare and every[-1].key == "a" and bare[-1] is not every[-1]:
            bare = (*bare, every[-1])
        for spelling in _written(alias, bare) if bare else ():
            if spelling is not bare and len(spelling) == 1 and spelling[0].key in small - {bare[0].key}:
                continue
            found.setdefault(spelling[0].key, []).append(spelling)
    return {first: sorted(held, key=len, reverse=True) for first, held in found.items()}


def _goes_on(text: str, held: Sequence[Token], place: int) -> bool:
    """Whether this word and the one before it are initials of one name: "J. K. Rowling", "U.S."."""
    if not 0 < place < len(held):
        return False
    pair = held[place - 1 : place + 1]
    are_letters = all(len(token.key) == 1 and token.key.isalpha() and not token.is_character for token in pair)
    return are_letters and text[pair[0].stop : pair[1].start] in (".", ". ")


def _merged(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """Initials in a row as one word: "J. K. Rowling" as "JK Rowling"."""
    told: list[Token] = []
    for place, token in enumerate(held):
        if _goes_on(text, held, place):
            told[-1] = Token(told[-1].start, token.stop, told[-1].key + token.key)
        else:
            told.append(token)
    return tuple(told)


def _apart(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """Short words in capitals as their letters: "JK Rowling" as "J. K. Rowling"."""
    return tuple(
        one
        for token in held
        for one in (
            [Token(token.start, token.stop, letter) for letter in token.key]
            if _CAPITALS.fullmatch(text[token.start : token.stop])
            else [token]
        )
    )


def _unowned(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """Words on s without the 's behind them, in a name of several: "St James's Palace" as "St James' Palace"."""
    if len(held) == 1:
        return held
    raws = (owner(text[token.start : token.stop]) for token in held)
    return tuple(
        Token(token.start, token.stop, fold(raw)) if raw[-1] in "sS" and token.stop - token.start > len(raw) else token
        for token, raw in zip(held, raws, strict=True)
    )


def _written_out(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """German and Nordic letters as two: "München" as "Muenchen"."""
    return tuple(
        token if (raw := text[token.start : token.stop]).isascii() or token.is_character
        else Token(token.start, token.stop, fold(written_out(raw)) if token.key == fold(raw) else token.key)
        for token in held
    )  # fmt: skip


def _cut_short(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """Saint as "St" and "St" as Saint, and so on, before another word."""
    return (*(_as(token, _SHORT.get(token.key, token.key)) for token in held[:-1]), *held[-1:])


def _numeral(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """A Roman numeral behind a name as an Arabic one, and an Arabic one as a Roman one."""
    return tuple(
        _as(token, _other_numeral(text, held, place)) if place and held[place - 1].key.isalpha() else token
        for place, token in enumerate(held)
    )


def _other_numeral(text: str, held: Sequence[Token], place: int) -> str:
    token = held[place]
    raw = owner(text[token.start : token.stop])
    if raw.isupper() and raw.lower() == token.key and _ROMAN.fullmatch(token.key) and raw not in ("X", "L"):
        return str(_value(token.key))
    # "Type 1" is not "the type I like": one word before is too little for an I.
    if token.key.isascii() and token.key.isdecimal() and len(token.key) <= 2 and text[held[place - 1].start].isupper():
        told = _roman(int(token.key))
        return told if len(told) > 1 or told == "v" or (told == "i" and place > 1) else token.key
    return token.key


def _roman(value: int) -> str:
    """A number below 90 as a Roman numeral; "" for others and none."""
    if not 0 < value < 90:
        return ""
    tens = ("", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx")
    ones = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
    return tens[value // 10] + ones[value % 10]


def _value(roman: str) -> int:
    return next(value for value in range(1, 90) if _roman(value) == roman)


def _day(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """A day beside its month with or without its ending: "April 3rd" as "April 3"."""
    told: list[Token] = []
    for place, token in enumerate(held):
        near = {one.key for one in held[max(0, place - 1) : place + 3]}
        ordinal = _ORDINAL.fullmatch(token.key) if near & _MONTHS else None
        is_day = bool(near & _MONTHS) and _DAY.fullmatch(token.key)
        told.append(_as(token, ordinal[1] if ordinal else _ordinal(token.key) if is_day else token.key))
    return tuple(told)


def _ordinal(day: str) -> str:
    endings = {"1": "st", "2": "nd", "3": "rd"}
    return day + ("th" if day in ("11", "12", "13") else endings.get(day[-1], "th"))


def _and(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """ "R&B" as "R & B", whose sign is a word, and "R & B" as "R&B"."""
    told: list[Token] = []
    for place, token in enumerate(held):
        before = text[held[place - 1].stop : token.start] if place else ""
        if before == "&":
            told.append(Token(token.start - 1, token.start, "and"))
        sides = [held[place - 1], held[place + 1]] if token.key == "and" and 0 < place < len(held) - 1 else []
        # Of initials alone: "Johnson, Johnson" are two names.
        if not sides or any(len(one.key) > 2 or not text[one.start : one.stop].isupper() for one in sides):
            told.append(token)
    return tuple(told)


def _in_one(text: str, held: tuple[Token, ...]) -> tuple[Token, ...]:
    """Parts with hyphens between as one word: "Spider-Man" as "Spiderman"."""
    told: list[Token] = []
    place = 0
    while place < len(held):
        ends = joined(text, held, place)
        count, key = max(((count, key) for key, count in ends.items()), default=(1, held[place].key))
        told.append(Token(held[place].start, held[place + count - 1].stop, key) if ends else held[place])
        place += count
    return tuple(told)


def joined(text: str, held: Sequence[Token], place: int) -> Mapping[str, int]:
    """Words that the one at `place` and those behind it make without their hyphens -> how many they are.

    The first of them begins with a letter: "7-7" is no 77.
    """
    first = held[place]
    if first.is_character or not first.key[0].isalpha() or text[first.stop : first.stop + 1] not in _HYPHENS:
        return {}
    found: dict[str, int] = {}
    key = first.key
    for count, token in enumerate(held[place + 1 : place + _MOST_JOINED], start=2):
        gap = text[held[place + count - 2].stop : token.start]
        if gap not in _HYPHENS or token.is_character:
            break
        found |= dict.fromkeys((key + last for last in (*token.also, token.key)), count)
        key += token.key
    return found


def _as(token: Token, key: str) -> Token:
    return token if key == token.key else Token(token.start, token.stop, key)


_FORMS = (_merged, _apart, _unowned, _written_out)
"""Other ways in which an alias may stand in an answer."""
_FURTHER = (_and, _cut_short, _numeral, _day, _in_one)
"""Further ones, of each of these too."""


def _written(alias: str, bare: tuple[Token, ...]) -> Iterable[tuple[Token, ...]]:
    """Every way of writing an alias."""
    told = dict.fromkeys((bare, *(form(alias, bare) for form in _FORMS)))
    for form in _FURTHER:
        told |= dict.fromkeys(form(alias, one) for one in list(told))
    return told
