"""Ways of writing one name: "J. K. Rowling" and "JK Rowling", "Saint Petersburg" and "St. Petersburg".

Owns which spellings count as the same name in an answer, namely those that never mean two different names: initials
joined into one word; Saint, Mount and Fort shortened before a word; Roman and Arabic numerals behind a name (of single
letters only I and V: the X of "Malcolm X" is not ten and the C of "vitamin C" not a hundred); a day with or without
"rd" beside its month; "R&B" and "R & B"; parts joined by a hyphen or written as one word. Refuses other orders and
parts of names ("Obama, Barack", "Barack Hussein Obama") and numerals in words ("Elizabeth the Second"): users have to
type these as aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from backend.text.matching import Token, fold, read_tokens, with_two_letters, without_possessive

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
"""The most parts of a hyphenated word that may be written as one word."""
_CAPITALS = re.compile(r"[A-Z]{2,4}|[ap]m")


# Cached: each of a question's many answers asks for the same aliases.
@lru_cache(maxsize=1024)
def spellings_of(aliases: tuple[str, ...], small: frozenset[str]) -> dict[str, list[tuple[Token, ...]]]:
    """First word -> the spellings of the aliases that begin with it, without articles.

    Args:
        small: small words; a rewritten spelling that is one of these alone is dropped.
    """
    by_first_word: dict[str, list[tuple[Token, ...]]] = {}
    for alias in sorted(set(aliases)):
        tokens = read_tokens(alias)
        bare = tuple(
            token
            for place, token in enumerate(tokens)
            if token.key not in ARTICLES
            or _continues_initials(alias, tokens, place)
            or _continues_initials(alias, tokens, place + 1)
        )
        if bare and tokens[-1].key == "a" and bare[-1] is not tokens[-1]:
            bare = (*bare, tokens[-1])
        for spelling in _all_spellings(alias, bare) if bare else ():
            is_small = spelling is not bare and len(spelling) == 1 and spelling[0].key in small - {bare[0].key}
            # "US" is "U.S." too, and whether it is meant as a name is asked where it stands; "it" is no "I-t".
            if is_small and spelling[0].key != re.sub(r"[.\s]", "", alias).casefold():
                continue
            by_first_word.setdefault(spelling[0].key, []).append(spelling)
    return by_first_word


def _continues_initials(text: str, tokens: Sequence[Token], place: int) -> bool:
    """Whether the word at `place` and the one before it are initials of one name: "J. K. Rowling", "U.S."."""
    if not 0 < place < len(tokens):
        return False
    pair = tokens[place - 1 : place + 1]
    are_letters = all(len(token.key) == 1 and token.key.isalpha() and not token.is_character for token in pair)
    return are_letters and text[pair[0].stop : pair[1].start] in (".", ". ")


def _join_initials(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Joins initials in a row into one word: "J. K. Rowling" as "JK Rowling"."""
    joined: list[Token] = []
    for place, token in enumerate(tokens):
        if _continues_initials(text, tokens, place):
            joined[-1] = Token(joined[-1].start, token.stop, joined[-1].key + token.key)
        else:
            joined.append(token)
    return tuple(joined)


def _split_initials(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Splits a short word in capitals into its letters: "JK Rowling" as "J. K. Rowling"."""
    return tuple(
        part
        for token in tokens
        for part in (
            [Token(token.start, token.stop, letter) for letter in token.key]
            if _CAPITALS.fullmatch(text[token.start : token.stop])
            else [token]
        )
    )


def _drop_possessives(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Drops the 's of words that end in s, in a name of several words: "St James's Palace" as "St James' Palace"."""
    if len(tokens) == 1:
        return tokens
    raws = (without_possessive(text[token.start : token.stop]) for token in tokens)
    return tuple(
        Token(token.start, token.stop, fold(raw)) if raw[-1] in "sS" and token.stop - token.start > len(raw) else token
        for token, raw in zip(tokens, raws, strict=True)
    )


def _write_two_letters(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Writes German and Nordic letters with two: "München" as "Muenchen"."""
    return tuple(
        token if (raw := text[token.start : token.stop]).isascii() or token.is_character
        else Token(token.start, token.stop, fold(with_two_letters(raw)) if token.key == fold(raw) else token.key)
        for token in tokens
    )  # fmt: skip


def _swap_short_words(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Shortens "Saint" to "St", writes "St" as "Saint", and so on, before another word."""
    return (*(_with_key(token, _SHORT.get(token.key, token.key)) for token in tokens[:-1]), *tokens[-1:])


def _swap_numerals(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Writes a Roman numeral behind a name as an Arabic one, and an Arabic one as a Roman one."""
    return tuple(
        _with_key(token, _swap_numeral(text, tokens, place)) if place and tokens[place - 1].key.isalpha() else token
        for place, token in enumerate(tokens)
    )


def _swap_numeral(text: str, tokens: Sequence[Token], place: int) -> str:
    """The key of the word at `place` in the other kind of numeral; its own key if it is no numeral."""
    token = tokens[place]
    raw = without_possessive(text[token.start : token.stop])
    if raw.isupper() and raw.lower() == token.key and _ROMAN.fullmatch(token.key) and raw not in ("X", "L"):
        return str(_from_roman(token.key))
    # "Type 1" is not "the type I like": the numeral I needs at least two words before it.
    if (
        token.key.isascii()
        and token.key.isdecimal()
        and len(token.key) <= 2
        and text[tokens[place - 1].start].isupper()
    ):
        roman = _to_roman(int(token.key))
        return roman if len(roman) > 1 or roman == "v" or (roman == "i" and place > 1) else token.key
    return token.key


def _to_roman(value: int) -> str:
    """A number from 1 to 89 as a Roman numeral in small letters; "" for any other number."""
    if not 0 < value < 90:
        return ""
    tens = ("", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx")
    ones = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
    return tens[value // 10] + ones[value % 10]


def _from_roman(roman: str) -> int:
    return next(value for value in range(1, 90) if _to_roman(value) == roman)


def _swap_days(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Drops or adds the ending of a day beside its month: "April 3rd" as "April 3", "April 3" as "April 3rd"."""
    swapped: list[Token] = []
    for place, token in enumerate(tokens):
        nearby_keys = {nearby.key for nearby in tokens[max(0, place - 1) : place + 3]}
        ordinal = _ORDINAL.fullmatch(token.key) if nearby_keys & _MONTHS else None
        is_day = bool(nearby_keys & _MONTHS) and _DAY.fullmatch(token.key)
        swapped.append(_with_key(token, ordinal[1] if ordinal else _to_ordinal(token.key) if is_day else token.key))
    return tuple(swapped)


def _to_ordinal(day: str) -> str:
    endings = {"1": "st", "2": "nd", "3": "rd"}
    return day + ("th" if day in ("11", "12", "13") else endings.get(day[-1], "th"))


def _swap_ampersands(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Writes "R&B" as "R & B", where the sign is a word of its own, and "R & B" as "R&B"."""
    swapped: list[Token] = []
    for place, token in enumerate(tokens):
        gap = text[tokens[place - 1].stop : token.start] if place else ""
        if gap == "&":
            swapped.append(Token(token.start - 1, token.start, "and"))
        sides = [tokens[place - 1], tokens[place + 1]] if token.key == "and" and 0 < place < len(tokens) - 1 else []
        # Only between initials: "Johnson, Johnson" is not "Johnson and Johnson".
        if not sides or any(len(side.key) > 2 or not text[side.start : side.stop].isupper() for side in sides):
            swapped.append(token)
    return tuple(swapped)


def _close_hyphens(text: str, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Joins the parts of a hyphenated word: "Spider-Man" as "Spiderman"."""
    closed: list[Token] = []
    place = 0
    while place < len(tokens):
        joins = hyphen_joins(text, tokens, place)
        count, key = max(((count, key) for key, count in joins.items()), default=(1, tokens[place].key))
        closed.append(Token(tokens[place].start, tokens[place + count - 1].stop, key) if joins else tokens[place])
        place += count
    return tuple(closed)


def hyphen_joins(text: str, tokens: Sequence[Token], place: int) -> Mapping[str, int]:
    """Each word that the parts of a hyphenated word from `place` on make without hyphens -> how many parts it joins.

    Empty if the first part does not begin with a letter: "7-7" is not 77.
    """
    first = tokens[place]
    if first.is_character or not first.key[0].isalpha() or text[first.stop : first.stop + 1] not in _HYPHENS:
        return {}
    joins: dict[str, int] = {}
    key = first.key
    for count, token in enumerate(tokens[place + 1 : place + _MOST_JOINED], start=2):
        gap = text[tokens[place + count - 2].stop : token.start]
        if gap not in _HYPHENS or token.is_character:
            break
        joins |= dict.fromkeys((key + last_key for last_key in (*token.also, token.key)), count)
        key += token.key
    return joins


def _with_key(token: Token, key: str) -> Token:
    return token if key == token.key else Token(token.start, token.stop, key)


_REWRITES = (_join_initials, _split_initials, _drop_possessives, _write_two_letters)
"""Each gives one other spelling of an alias."""
_FURTHER_REWRITES = (_swap_ampersands, _swap_short_words, _swap_numerals, _swap_days, _close_hyphens)
"""Each is applied to every spelling found so far, not only to the alias."""


def _all_spellings(alias: str, bare: tuple[Token, ...]) -> Iterable[tuple[Token, ...]]:
    """Every spelling of an alias; `bare` are its words without articles, the first spelling."""
    spellings = dict.fromkeys((bare, *(rewrite(alias, bare) for rewrite in _REWRITES)))
    for rewrite in _FURTHER_REWRITES:
        spellings |= dict.fromkeys(rewrite(alias, spelling) for spelling in list(spellings))
    return spellings
