"""Times in a response, and whether a question asks for one: "In 1928, Alexander Fleming discovered it".

A time is a date ("April 15, 1912", one phrase with or without its comma), a decade, a century, a year of an era, and
a year, a month or a day of the week behind a word that says when ("in 1928"): a bare number is none, it may be the
answer ("1984", "1200 employees").

The year of a date is not cut out: "April 15, 1912" answers "What year?" just like "15 April 1912", so a date is read
over the same words however it is written.

Owns what a time is. Does not choose among phrases (`phrases`), and does not recognise times of the clock. In a response
to a question of an unknown language times are skipped unless the question has a word for "when" or "year".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.identify.answers.wording import Word

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"
    r"|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember"
    r"|janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
    r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
    r"|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro)(?!\w)"
)
_DAY = r"(?<![\d.,])\d{1,2}(?:st|nd|rd|th|\.)?(?![\d%])"
_ERA = r"(?:BCE?|CE|AD|B\.C\.|A\.D\.)(?!\w)"
_YEAR = rf"(?:(?:AD )?\d{{1,4}} ?{_ERA}|AD \d{{1,4}}(?!\w)|\d{{3,4}}(?![\w%]|[.,]\d))"
_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day(?!\w)"
_DATE = (
    rf"(?:(?:the )?{_DAY}(?: of| de)? {_MONTH}(?:(?:,| of| de)? {_YEAR})?"
    rf"|{_MONTH} (?:the )?{_DAY}(?:,? {_YEAR})?|{_MONTH}(?:,| of| de)? {_YEAR})"
)
_LONG = (
    r"(?:(?:the )?(?:(?:early|late|mid)[ -])?"
    r"(?:\d{3}0s|(?:\d{1,2}(?:st|nd|rd|th)|(?:twenty-)?[a-z]*(?:th|first|second|third)) (?:century|centuries)))(?!\w)"
)
_LEAD = (
    r"(?:(?:in|since|until|till|during|before|after|en|im|em|nel|seit|depuis|desde|dal|wurde|wurden)"
    r"(?: (?:the year|the early|the late|early|late|Jahre?|año|anno|ano))?)"
)
_TIME = re.compile(
    rf"\b(?P<led>(?:{_LEAD}|on|by) )(?:{_WEEKDAY}, )?(?:{_DATE}|{_LONG})"
    rf"|\b(?P<year>{_LEAD} (?:{_YEAR}|{_MONTH}))|\b(?P<day>on {_WEEKDAY})"
    rf"|\b(?:{_DATE}|{_LONG}|\d{{1,4}} ?{_ERA})",
)
_BEGUN = re.compile(r"\b(?:In|On|By|Since|Until|Till|During|Before|After|En|Im|Em|Nel|Seit|Depuis|Desde|Dal)\b")
_ASKING = re.compile(r"\b(?:when|who|whom|whose|where|why|which|what|how)\b", re.IGNORECASE)
_AND_WHEN = re.compile(r"\b(?:and|or) when\b", re.IGNORECASE)
_ASKED = re.compile(
    r"\b(?:when|years?|dates?|days?|months?|weeks?|weekday|century|centuries|decades?|era|period|time|season|birthday"
    r"|anniversary|old|long|age|wann|jahr(?:hundert|zehnt|e|en)?|datum|monat|tag|alt|quand|année|siècle|mois|jour"
    r"|cuándo|año|fecha|siglo|mes|día|quando|anno|data|secolo|mese|giorno|ano|século|mês|dia|wanneer|jaar|eeuw"
    r"|när|år|kiedy|roku?|kapan|tahun|когда|год[ау]?|веке?|πότε|έτος|χρονιά|متى|عام|سنة|מתי|שנה|कब|वर्ष|साल)\b"
    r"|เมื่อไร|เมื่อใด|เมื่อไหร่|ปี|什么时候|什麼時候|何时|何時|年|月|世纪|世紀|いつ|언제|년|연도",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Time:
    """Words `start` to `stop` of the response."""

    start: int
    stop: int
    is_led: bool
    """A word that says when is before it: a capitalised word after it is not a part of the time."""


Dated = Mapping[int, Time]
"""Place of a word -> the time that it belongs to."""


def asks_time(question: str) -> bool:
    """Whether a time is the answer, by the first question word: "Who was king when it burnt?" asks for a person."""
    asking = _ASKING.search(question)
    word = asking.group().lower() if asking else ""
    if word in ("who", "whom", "whose", "where", "why"):
        return bool(_AND_WHEN.search(question))
    return bool(_ASKED.search(question))


def times(words: Sequence[Word], response: str) -> dict[int, Time]:
    """Place of a word -> the time that it belongs to, for each word that belongs to one."""
    begins = [word.start for word in words]
    time_of_word: dict[int, Time] = {}
    # "In 1928": also at the beginning of a sentence, with a capital.
    lowered = _BEGUN.sub(lambda match: match.group().lower(), response)
    for match in _TIME.finditer(lowered):
        start, stop = bisect_left(begins, match.start()), bisect_left(begins, match.end())
        is_led = any(match.group(name) for name in ("led", "year", "day"))
        time_of_word.update(dict.fromkeys(range(start, stop), Time(start, stop, is_led)))
    return time_of_word


def is_time(start: int, stop: int, dated: Dated) -> bool:
    """Whether words `start` to `stop` consist of times only; `dated` is the result of `times`."""
    return all(place in dated for place in range(start, stop))
