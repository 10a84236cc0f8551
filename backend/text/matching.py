"""A text as the words that are compared: how case, accents, scripts, apostrophes and numbers are read.

Owns tokens and their folded spellings. Refuses to compare (`backend.text.verdict`) and to translate: an inflected form
of a name ("в Москве"), a name in simplified instead of traditional characters, and a number in words are other words.

1. Words are letters, marks and digits in a row. Case, accents and strokes do not matter (Unicode's own decomposition
   and letter names: Ø is o, Ł is l, ı is i; æ is ae, ß is ss; ä may be ae as well, and å aa), nor do vowel marks of
   Arabic and Hebrew, nor the dots of ё. Marks of other scripts make another letter (が is not か, й is not и).
2. Scripts that are written without spaces (Han, Hiragana, Thai, Lao, Khmer, Burmese) are read character by character;
   Katakana in a row is one word, since it spells a foreign word (インド is not in インドネシア).
3. An apostrophe joins ("O'Brien" is "obrien"). A word also matches without its suffix or its elided article
   ("Cervantes's", "Ankara'da", "l'Italie"), an Arabic or Hebrew word also without its one-letter prefixes, and a Korean
   word also without its particles.
4. A number is one word, compared by value: 2,500 is 2500 is 2 500, 3.50 is 3.5, ٣ is 3, 3 million is 3,000,000 and
   3万 is 30,000. The full stop is the decimal mark, so 2.500 is 2.5, but 2.500.000 is 2,500,000; 12,34,567 is
   1,234,567 and 1/2 is 0.5. -7 is not 7, and 3.5, 3/4, 3:30 and 10^3 are not 3. A unit is a word of its own: "5km" is
   5 and km.

Library: `regex` for scripts and grapheme clusters, which the standard `re` does not know.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import regex

APOSTROPHES = "'`\u2018\u2019\u201b\ua78c\u00b4\u02bb\u02bc\u02bd\u02be\u02bf\u02b9\uff07\u05f3"
SIGNED = r"(?<![^\W_])[^\W\d_](?:\+\+|[#\u266f](?!\w))"
"""A single letter with a sign that makes it another name: C++, C#. Other signs are ignored (K+, Disney+)."""
UNSPACED = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Scripts that are written without spaces between words, as a character class."""

_JOINERS = "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\u0640\u05f4"
"""Format characters, marks of text direction, the Arabic tatweel and the Hebrew gershayim, as a character class: they
may stand inside a word and are ignored in its spelling."""
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALES |= {"\u5343": 3, "\u4e07": 4, "\u842c": 4, "\ub9cc": 4, "\u5104": 8, "\u4ebf": 8, "\uc5b5": 8, "\u5146": 12}
_MYRIADS = "".join(scale for scale in _SCALES if not scale.isascii())
_SPACED = rf"(?![{UNSPACED}\p{{Katakana}}\p{{Hangul}}])[\p{{L}}\p{{M}}\p{{N}}]"
"""A letter or digit that makes one word together with the digits beside it."""
_UNITS = "km|cm|mm|nm|kg|mg|lb|lbs|ft|mph|kmh|ml|hz|khz|mhz|ghz|kw|kwh|mw|gb|mb|kb|tb|am|pm"
_SPACE = " \u00a0\u2009\u202f"
_GROUP = rf"[,.{_SPACE}\u066c\uff0c'\u2019]"
_NUMBER = (
    rf"(?<!{_SPACED})(?P<number>"
    rf"(?P<sign>(?:(?<![\p{{N}}\)\]\u00b0%][{_SPACE}]?)(?<!\p{{L}})[-\u2212\u2013\u2010\u2011\uff0d]"
    rf"|(?:\bminus|\bnegative)[{_SPACE}])?)"
    rf"(?P<digits>\p{{Nd}}+(?:[{_SPACE},.'\u2019\u066b\u066c\uff0c\uff0e:]\p{{Nd}}+)*|(?<![\p{{Nd}}.])\.\p{{Nd}}+)"
    rf"(?P<vulgar>[\u00bc-\u00be\u2150-\u215e])?"
    rf"(?P<part>[/\u2044]\p{{Nd}}{{1,3}}(?![\p{{Nd}}/]))?"
    rf"(?P<power>\^[-\u2212]?\p{{Nd}}+|[\u207b]?[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+)?"
    rf")(?!(?<=\p{{Nd}}{{3}})(?<=0)[{APOSTROPHES}]s(?!{_SPACED}))(?=(?:{_UNITS})?(?!{_SPACED})|x10[\^\u2070-\u207b\u00b2\u00b3\u00b9])"
    rf"(?P<times>[{_SPACE}]?[x\u00d7*\u00b7][{_SPACE}]?10(?:\^(?P<ten>[-\u2212]?\p{{Nd}}+)|(?P<up>[\u207b]?[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+)))?"
    rf"(?P<scaled>(?:[{_SPACE}-](?P<scale>thousand|million|billion|trillion)s?(?!\p{{L}})|(?P<myriad>[{_MYRIADS}])))?"
)
_LETTER = rf"(?![\u00bc-\u00be\u2150-\u215e])[\p{{L}}\p{{M}}\p{{N}}{_JOINERS}\u30fc]"
_WORD = (
    rf"(?![{_JOINERS}])(?:(?![{UNSPACED}]){_LETTER})(?:(?![{UNSPACED}]){_LETTER}"
    rf"|[{APOSTROPHES}\"](?<=\p{{Hebrew}}.)(?=\p{{Hebrew}})|[{APOSTROPHES}]+(?=\p{{L}})|(?<=\p{{N}})\.(?=\p{{N}}))*"
)
_AM = "(?:(?<=[\u0e4d\u0ecd][\u0e48-\u0e4b\u0ec8-\u0ecb]?)[\u0e32\u0eb2])?"
"""The second half of the Thai and Lao vowel am, which Unicode decomposes into two characters."""
_TOKEN = regex.compile(
    rf"(?P<signed>{SIGNED})|{_NUMBER}|(?P<fraction>[\u00bc-\u00be\u2150-\u215e])|(?P<character>(?=[{UNSPACED}])(?=[\p{{L}}\p{{M}}\p{{N}}])\X{_AM})|(?P<word>{_WORD})|(?P<and>(?<=\s)&(?=\s))",
    regex.IGNORECASE,
)
_CUT = regex.compile(rf"[{_JOINERS}{APOSTROPHES}\"]")
_ENCLOSED = regex.compile("[\u3200-\u33ff]")
"""East Asian numbers in circles and brackets, and other signs of that kind."""
_POSSESSIVE = regex.compile(rf"[{APOSTROPHES}][sS]\Z")
_ANY_LETTER = regex.compile(r"\p{L}")
_SUFFIXED = regex.compile(rf"(\p{{Lu}}[\p{{L}}\p{{M}}]{{2,}})[{APOSTROPHES}]\p{{Ll}}{{1,6}}")
"""A name with a Turkish suffix."""
_ELIDED = regex.compile(rf"(?:[ldcjmnstLDCJMNST]|[qQ]u|(?:[dD]e|[nN]e|[sS]u)?ll|[uU]n)[{APOSTROPHES}](\p{{L}}.+)")
_AND, _TO = "[\u0648\u0641]", "[\u0628\u0643\u0644]"
_PREFIXED = (
    *(regex.compile(f"{before}(\\p{{Arabic}}{{3,}})") for before in (_AND, f"{_AND}?{_TO}")),
    regex.compile(f"{_AND}?(?:[\u0628\u0643]?\u0627\u0644|\u0644\u0644)(\\p{{Arabic}}{{3,}})"),
    regex.compile(f"{_AND}?[\u0628\u0643](\u0627\u0644\\p{{Arabic}}{{3,}})"),
    regex.compile("[\u05d5\u05e9\u05db\u05dc\u05d1\u05de\u05d4]{1,2}(\\p{Hebrew}{3,})"),
)
"""Prefixes: Arabic and, so, in, as, to, also with the article; Hebrew and, that, as, to, in, from, the."""
_TO_THE = regex.compile(f"{_AND}?\u0644\u0644(\\p{{Arabic}}{{3,}})")
"""Arabic "to the", which drops the article's first letter."""
_HANGUL = regex.compile(r"\p{Hangul}+")
_PARTICLES = (
    *("은", "는", "이", "가", "을", "를", "의", "에", "도", "와", "과", "로", "으로", "에서", "에게", "부터", "까지"),
    *("만", "이나", "이며", "이고", "이라고", "라고", "입니다", "이다", "이에요", "예요", "였다", "이었다", "였습니다"),
    *("인", "이었습니다", "이란", "란", "께서", "한테", "처럼", "보다", "이라", "이라는", "라는", "이야", "이죠"),
    "이지만",
)
_PLAIN = {"æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i", "ŋ": "n", "ĸ": "k", "\u0259": "e"}
_TWO_LETTERS = {"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00e5": "aa", "\u00f8": "oe"}
_ARABIC = {
    "\u0671": "\u0627",
    "\u0649": "\u064a",
    "\u06cc": "\u064a",
    "\u06a9": "\u0643",
    "\u0629": "\u0647",
    "\u06c0": "\u0647",
    "\u06c1": "\u0647",
    "\u06be": "\u0647",
}
_STROKED = regex.compile(r"LATIN SMALL LETTER ([A-Z]) WITH .+")
_SUPERSCRIPT = str.maketrans("\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u2212", "-0123456789-")
_ACCENTS = {"\u0300", "\u0301"}


@dataclass(frozen=True)
class Token:
    """Characters `start` to `stop` of a text: `key` is how the word is compared, `also` further keys it matches."""

    start: int
    stop: int
    key: str
    also: tuple[str, ...] = ()
    is_character: bool = False
    """Whether the word is one character of a script without spaces."""


def iterate_tokens(text: str) -> Iterator[Token]:
    """The words of `text` in order, articles included."""
    for match in _TOKEN.finditer(text):
        start, stop = match.span()
        raw = match.group()
        if match["number"]:
            yield from _number_tokens(match)
        elif match["character"]:
            if key := fold(raw):
                yield Token(start, stop, key, is_character=True)
        elif match["and"]:
            yield Token(start, stop, "and")
        elif match["fraction"]:
            yield Token(start, stop, _decimal_key(Decimal(str(unicodedata.numeric(raw)))), (_fraction_as_numbers(raw),))
        elif match["signed"]:
            yield Token(start, stop, fold(raw).replace("\u266f", "#"))
        else:
            key = fold(_CUT.sub("", raw))
            if _ENCLOSED.search(raw) and key != raw:
                # "0\u3280" folds to a character of a script without spaces: the folded text is split once more.
                yield from (replace(part, start=start, stop=stop) for part in iterate_tokens(key))
            elif key:
                yield Token(start, stop, key, _other_keys(raw, key))


# Cached: the verdict, the search for the answering phrase and the counts all read the same answer.
@lru_cache(maxsize=4096)
def read_tokens(text: str) -> tuple[Token, ...]:
    """The words of `text` with their places, as `iterate_tokens` gives them."""
    return tuple(iterate_tokens(text))


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """One word without case, accents and strokes, by the rules at the top of this module."""
    folded: list[str] = []
    base = ""
    for character in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold()):
        kind = unicodedata.category(character)[0]
        if kind != "M":
            base = character
            # Compatibility forms add punctuation: a letter in brackets counts as that letter.
            folded.append(_plain_letter(character) if kind in "LNC" or character in "+#\u266f" else "")
        elif not _is_accent(character, base):
            folded.append(character)
    return unicodedata.normalize("NFC", "".join(folded))


def _plain_letter(character: str) -> str:
    """The character without stroke or special shape: "o" for "ø", "ae" for "æ", "3" for an Arabic 3."""
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    letter = _PLAIN.get(character) or _ARABIC.get(character)
    if letter:
        return letter
    stroked = _STROKED.fullmatch(unicodedata.name(character, ""))
    return stroked[1].lower() if stroked else character


def _is_accent(mark: str, base: str) -> bool:
    """Whether a mark on this letter is ignored: any on Latin, Greek, Arabic, Hebrew; on Cyrillic ё and stress marks."""
    script = unicodedata.name(base, "").partition(" ")[0] if base else ""
    if script == "CYRILLIC":
        return mark in _ACCENTS or (mark == "\u0308" and base == "\u0435")
    return script in ("LATIN", "GREEK", "ARABIC", "HEBREW", "DIGIT", "") and unicodedata.combining(mark) > 0


def without_possessive(raw: str) -> str:
    """A word without its 's: "O'Neill" for "O'Neill's", "X" for "X's". Any other word, as "1960's", is unchanged."""
    # Only the end is searched: one word may be a hundred thousand characters long.
    before = raw[:-2]
    return before if _POSSESSIVE.match(raw, len(before)) and _ANY_LETTER.search(before) else raw


def with_two_letters(raw: str) -> str:
    """A word in lower case, each German or Nordic letter as two: "muenchen" for "München", "aarhus" for "Århus"."""
    return "".join(_TWO_LETTERS.get(character, character) for character in unicodedata.normalize("NFC", raw).lower())


def _other_keys(raw: str, key: str) -> tuple[str, ...]:
    """Keys of a word without suffix, elided article, prefix or particle, also with `with_two_letters`."""
    if raw.isascii() and raw.isalnum():
        # Most words end here: all that is removed below has an apostrophe or letters of another script.
        return ()
    wholes = dict.fromkeys((raw, without_possessive(raw)))
    stems = [match[1] for whole in wholes for pattern in (_SUFFIXED, _ELIDED) if (match := pattern.fullmatch(whole))]
    forms = [*wholes, *stems]
    keys = [fold(_CUT.sub("", form)) for form in forms[1:]]
    if not raw.isascii():
        keys += [fold(_CUT.sub("", with_two_letters(form))) for form in forms]
    keys += [match[1] for pattern in _PREFIXED if (match := pattern.fullmatch(key))]
    keys += [f"\u0627\u0644{match[1]}" for match in [_TO_THE.fullmatch(key)] if match]
    keys += _without_particles(key)
    return tuple(dict.fromkeys(other_key for other_key in keys if other_key and other_key != key))


def _without_particles(key: str) -> list[str]:
    """A Korean word without its last particle, and without its last two: "도쿄에" and "도쿄" for "도쿄에는"."""
    if not _HANGUL.fullmatch(key):
        return []
    stems = [key.removesuffix(particle) for particle in _PARTICLES if key.endswith(particle)]
    shorter = [stem.removesuffix(particle) for stem in stems for particle in _PARTICLES if stem.endswith(particle)]
    return [*stems, *(stem for stem in shorter if len(stem) > 1)]


def _number_tokens(match: regex.Match[str]) -> Iterator[Token]:
    """A number as one token, by its value; digits that are no number ("3.5.1", "10:30", "007") keep their spelling."""
    start, stop = match.span()
    digits = "".join(_plain_letter(character) for character in match["digits"])
    parts = _separate_numbers(digits)
    if len(parts) > 1:
        place = start + len(match["sign"] or "")
        for number, part in enumerate(parts):
            end = place + len(part)
            is_first, is_last = number == 0, number == len(parts) - 1
            yield Token(
                start if is_first else place,
                stop if is_last else end,
                _number_key(match, part, is_first=is_first, is_last=is_last),
            )
            place = end + 1
        return
    key = _number_key(match, digits, is_first=True, is_last=True)
    yield Token(start, stop, key, _fraction_as_decimal(key))


def _fraction_as_numbers(vulgar: str) -> str:
    """A fraction in one character as its two numbers: "2/3" for "⅔"."""
    return unicodedata.normalize("NFKD", vulgar).replace("\u2044", "/")


def _fraction_as_decimal(key: str) -> tuple[str, ...]:
    """The decimal key of a fraction below one: 0.5 for 1/2. Nothing for other keys: 7/4 may be a date."""
    numerator, _, denominator = key.partition("/")
    # Lengths are compared first: Python refuses to convert a number of thousands of digits.
    if not (
        numerator.isdecimal()
        and denominator.isdecimal()
        and len(numerator) <= len(denominator)
        and int(numerator) < int(denominator)
    ):
        return ()
    return (_decimal_key(Decimal(str(int(numerator) / int(denominator)))),)


def _separate_numbers(digits: str) -> list[str]:
    """The numbers in a run of digits. A space or comma that does not group by three separates two numbers: "7 1984" is
    two, "12 345" is one."""
    spaced = regex.split(rf"[{_SPACE}]", digits)
    if len(spaced) == 1 or (
        len(spaced[0]) <= 3
        and spaced[0][0] != "0"
        and all(
            regex.fullmatch(r"\d{3}(?:[.,]\d+)?", group) and (place == len(spaced) - 2 or group.isdigit())
            for place, group in enumerate(spaced[1:])
        )
    ):
        spaced = [digits]
    return [
        number
        for part in spaced
        for number in ([part] if part.count(",") < 2 or _parse_decimal(part) is not None else part.split(","))
    ]


def _number_key(match: regex.Match[str], digits: str, *, is_first: bool, is_last: bool) -> str:
    """The key of one number of a match: the first takes the sign, the last the fraction, scale and power."""
    value = _parse_decimal(digits)
    sign = "-" if is_first and match["sign"] else ""
    if value is None:
        return sign + fold(digits)
    if not is_last:
        return _decimal_key(-value if sign else value)
    if match["vulgar"]:
        value += Decimal(str(unicodedata.numeric(match["vulgar"])))
    exponent = match["ten"] or match["up"]
    shift = int(exponent.translate(_SUPERSCRIPT)) if exponent and len(exponent) < 1000 else 0
    scale = match["scale"] or match["myriad"]
    shift += _SCALES[scale.lower()] if scale else 0
    if abs(shift) < 100:
        value = value.scaleb(shift)
    fraction = "/" + fold(match["part"][1:]) if match["part"] else ""
    power = (match["power"] or "").lstrip("^").translate(_SUPERSCRIPT)
    return _decimal_key(-value if sign else value) + fraction + (f"^{power}" if power else "")


def _parse_decimal(digits: str) -> Decimal | None:
    """The value of the digits; None if they are no number.

    Commas, spaces and apostrophes group by three, commas also as in India. The full stop is the decimal mark, and so is
    a last comma that does not group.
    """
    if regex.fullmatch(rf"[1-9]\d{{0,2}}(?:[{_SPACE}'\u2019\u066c]\d{{3}})+,\d+", digits):
        digits = digits.replace(",", ".")
    plain = (
        regex.sub(rf"[{_SPACE}'\u2019\u066c]", ",", digits)
        .replace("\uff0c", ",")
        .replace("\uff0e", ".")
        .replace("\u066b", ".")
    )
    if regex.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?", plain):
        plain = plain.replace(",", "")
    elif regex.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d+)?|[1-9]\d{0,2}(?:\.\d{3})+,\d+", plain):
        plain = plain.replace(".", "").replace(",", ".")
    elif regex.fullmatch(r"\d+,\d+", plain):
        plain = plain.replace(",", ".")
    if not regex.fullmatch(r"(?:0|[1-9]\d*)?(?:\.\d+)?|0\.\d+", plain):
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def _decimal_key(value: Decimal) -> str:
    """The one spelling under which a value is compared: no exponent, no trailing zeros, no sign on zero."""
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits in ("-0", "") else digits
