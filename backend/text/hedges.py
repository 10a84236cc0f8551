"""Hedges: where an answer says that it does not know.

A hedge is the word of whoever answers: in the first person ("I am not sure"), with nobody named ("Not sure."), or of
the answer itself ("The author is unknown.", "It cannot be determined."). What somebody else does not know ("He was
unsure, but chose Rome") and what a thing is otherwise ("an unknown painting by Dali", "Radium was unknown to the
ancients") is none. Whose it is, is read off the subject, the word before the verb, and off what follows: "not certain
to win", "not known in Europe", "an information desk".

Owns this rule; the phrases (`backend.text.hedge_phrases`) are over words in a row, with "," and "." for the marks
between them. Refuses to read further, and so errs where one spelling has two honest readings: a thing that is not
clear or mentioned ("The water was not clear.") is taken for the answer, "you" for whoever answers; "There is no record
of Mozart in Rome" and "Radium is unknown to the layman" count as hedges, and so does "Van Gogh was an unknown
painter.", as "It was an unknown painter." does; words in quotes are read as the answer's own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from backend.text.contractions import long_form
from backend.text.hedge_phrases import (
    ANSWERS_OWN,
    OF_A_TEXT,
    OTHER_HEDGES,
    OTHER_PATTERNS,
    SPEAKERS_OWN,
    WHOEVER_IS_SUBJECT,
)
from backend.text.matching import Token, tokens

_ENDS = re.compile(r"[.;:!?\n\u3002\uff1b\uff01\uff1f\u0964]")
_PARTS = re.compile(r"[,()\u3001\uff0c\u2013\u2014]|\s-+\s")
_NO_INFORMATION = r"no (?:reliable |specific |available )?(?:information|data|details)"
"""A hedge where no name of a thing goes on behind it, as in "no information desk"."""
_BEHIND_INFORMATION = frozenset(
    [
        *(".", ",", "about", "on", "of", "regarding", "concerning", "available", "provided", "given", "in", "exist"),
        *("exists", "that", "to", "as", "for", "at", "here", "there", "or", "and", "but", "which", "from", "i"),
        *("can", "could", "has", "have", "so", "yet", "with", "currently", "publicly", "online", "whatsoever", "we"),
        *("because", "if", "who", "what", "when", "where", "how", "related", "specified", "mentioned"),
    ]
)
_THERE = frozenset(
    {"available", "given", "provided", "known", "found", "recorded", "mentioned", "specified", "there", "on"}
)
"""What follows "no information is"."""
_VERBS = frozenset(
    [
        *("is", "was", "are", "were", "be", "been", "being", "seem", "seems", "seemed", "remain", "remains"),
        *("remained", "feel", "feels", "felt", "became", "become", "becomes", "has", "had", "have", "having", "does"),
        *("did",),
    ]
)
_FINITE = frozenset(
    [
        *("is", "was", "has", "had", "does", "did", "seems", "seemed", "remains"),
        *("remained", "feels", "felt", "became", "becomes"),
    ]
)
"""Forms whose subject stands somewhere, if not beside them: somebody else, as whoever answers says "am"."""
_BETWEEN = frozenset(
    [
        *("still", "also", "really", "very", "quite", "so", "just", "now", "often", "always", "even", "probably"),
        *("yet", "currently", "simply", "sometimes", "himself", "herself", "themselves", "itself", "initially", "at"),
        *("first", "therefore", "however", "otherwise", "absolutely", "totally", "completely", "would", "may"),
        *("might", "to", "honestly", "frankly", "truly", "genuinely", "personally", "definitely", "largely"),
        *("partly", "mostly", "sadly", "unfortunately"),
    ]
)
"""What may stand between a subject and its verb, or between the verb and the hedge."""
_PASSED = _VERBS | _BETWEEN
_NEAR = 30
"""How far a subject may be away, in words."""
_OF_FAME = frozenset({"previously", "hitherto", "formerly", "once", "relatively", "comparatively", "virtually", "then"})
"""What before "unknown" tells how famous a thing is or was: "a relatively unknown painter"."""
_SPEAKERS = frozenset({"i", "am", "we", "you"})
_KNOWING = frozenset(
    [
        *("historians", "scholars", "scientists", "experts", "researchers", "linguists", "archaeologists", "people"),
        *("science", "history", "anyone", "anybody", "everyone", "one"),
    ]
)
"""Who knows all that is known."""
_MACHINES = frozenset({"ai", "model", "assistant", "chatbot", "bot"})
_PAST = frozenset({"was", "were", "remained", "became", "seemed"})
_JOINING = frozenset(
    [
        *(",", "and", "but", "or", "so", "because", "though", "although", "while", "if", "as", "since", "thus"),
        *("yet",),
    ]
)
_IMPERSONAL = frozenset({"it", "this", "that", "there"})
_PERSONS = frozenset({"he", "she", "who"})
_PERSONS_ELSEWHERE = frozenset(
    [
        *("er", "sie", "il", "elle", "ils", "elles", "lui", "lei", "egli", "ella", "ele", "ela", "hij", "zij", "ona"),
        *("han", "hon", "hun", "он", "она", "они", "他", "她"),
    ]
)
_BEFORE_NOUNS = frozenset(
    [
        *("a", "an", "the", "his", "her", "their", "its", "this", "these", "those", "some", "any", "one", "two"),
        *("three", "several", "many", "another", "each", "every", "other", "by", "of", "from", "for", "in", "at"),
        *("with", "most"),
    ]
)
"""What before "unknown" says that a noun follows which it belongs to: "an unknown painting by Dali"."""
_BEFORE_ONLY_NOUN = frozenset({"a", "an", "the", "some", "by", "of", "from", "in", "at"})
"""Of `_BEFORE_NOUNS`, what stands before a noun that is all of the answer: "by an unknown author."."""
_BEHIND_ONLY_NOUN = frozenset({"it", "so", "as", "because", "since"})
"""What, behind a comma, says no more of that noun: "an unknown author, as it was found in a cave"."""
_BEGINS_PEOPLE = frozenset({"the", "any", "other", "others", "most", "many", "modern"})
"""What people begin with to whom a thing is not known: "is unknown to most people"."""
_ASKED = frozenset({"what", "which", "whom", "who", "whether", "how", "where", "when"})
"""What stands behind "to" where nobody is named: "unclear to what extent"."""


_NO_PLACE = re.compile("(?:what|which|whose|whom|how|full|detail|any detail|advance|history|the history)(?= |$)")
"""What stands behind "not known in" where no place, people or time is named that does not know the thing."""


def hedges(answer: str, held: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """From which of the words `held` of an answer to which it says that it does not know, titles ("Unknown Pleasures")
    passed over."""
    units, places = _marked(answer, held)
    joined = " ".join(units)
    begins = [0, *accumulate(len(unit) + 1 for unit in units)]
    has_titles = any(answer[token.start].islower() for token in held)
    reasons = _reasons(units) if "why" in units else ()
    for pattern, is_meant in zip(_patterns(), (_is_speakers, _is_answers, _is_open, _is_told_here, None), strict=True):
        for match in pattern.finditer(joined):
            start, stop = bisect_left(begins, match.start()), bisect_left(begins, match.end())
            first, last = places[start], places[stop - 1] + 1
            if has_titles and last < len(held) and _is_title(answer, held[first : last + 1]):
                continue
            if stop in reasons:
                continue
            if is_meant is None or is_meant(units, start, stop):
                yield first, last


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Patterns of hedges, in the order of what is asked of a match."""
    fixed = (re.escape(" ".join(token.key for token in tokens(phrase))) for phrase in OTHER_HEDGES)
    other = "|".join((*OTHER_PATTERNS, *fixed))
    kinds = ("|".join(SPEAKERS_OWN), "|".join(ANSWERS_OWN), _NO_INFORMATION, other, "|".join(WHOEVER_IS_SUBJECT))
    return tuple(re.compile(rf"(?<!\S)(?:{phrases})(?!\S)") for phrases in kinds)


def _marked(answer: str, held: Sequence[Token]) -> tuple[list[str], list[int]]:
    """(the words with "." and "," for the marks between them and "." at both ends, of each its place in `held`)."""
    units, places = ["."], [0]
    for place, token in enumerate(held):
        gap = answer[held[place - 1].stop : token.start] if place else ""
        mark = "." if _ENDS.search(gap) else "," if _PARTS.search(gap) else ""
        if mark:
            units.append(mark)
            places.append(place)
        for word in long_form(token):
            units.append(word)
            places.append(place)
    return [*units, "."], [*places, len(held)]


def _reasons(units: Sequence[str]) -> set[int]:
    """Where "why" stands with "but" behind it in its sentence. What is not known right before is only the reason, and
    the answer follows: "It is unclear why, but it is Cairo."."""
    found: set[int] = set()
    is_turned = False
    # Once from the end, for all hedges: a sentence may be as long as the answer.
    for place in range(len(units) - 1, -1, -1):
        if units[place] == "why" and is_turned:
            found.add(place)
        is_turned = units[place] != "." and (is_turned or units[place] == "but")
    return found


def _is_title(answer: str, held: Sequence[Token]) -> bool:
    """Whether words and the one behind them are part of a title: each begins with a capital, nothing else between.

    Asked only of answers where not every word begins so.
    """
    gap = answer[held[-2].stop : held[-1].start]
    return gap.strip("\"'\u201c\u201d*_") == " " and all(answer[token.start].isupper() for token in held)


def _subject(units: Sequence[str], start: int) -> tuple[int, bool]:
    """(where the last word of the subject stands, a mark or what joins clauses where none does; whether a finite verb
    stands between or begins the hedge)."""
    is_finite = units[start] in _FINITE
    place = start - 1
    while units[place] in _PASSED and place > start - _NEAR:
        is_finite = is_finite or units[place] in _FINITE
        place -= 1
    return place, is_finite


def _is_speakers(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether whoever answers is the subject, is left out, or is spoken for by those who know what is known."""
    if units[start] in _SPEAKERS:
        return True
    place, is_finite = _subject(units, start)
    subject = units[place]
    if subject in _JOINING and is_finite:
        # "He chose Rome but was not sure": the subject stands before.
        told = units[_begun(units, place) : place]
        return not told or any(word in _SPEAKERS for word in told)
    if subject in _IMPERSONAL:
        return "sure" in units[start:stop]
    if subject in _KNOWING:
        return units[place - 1] != "the"
    if subject in _JOINING | {"."}:
        return not _is_of_next(units, place, stop)
    return subject in _SPEAKERS | _MACHINES


def _is_of_next(units: Sequence[str], place: int, stop: int) -> bool:
    """Whether a part without a subject ("Unsure of himself, he went", "Being unsure, Hamlet", "The king, unsure of it,
    fled") is of the next one's, or of the one before."""
    following = units[stop : stop + _NEAR]
    following = following[: following.index(".")] if "." in following else following
    if "," not in following[:-1] or _SPEAKERS & set(following):
        return False
    told = units[_begun(units, place) : place]
    if following[0] in ("of", "about"):
        is_between = units[place] == "," and len(told) > 1 and not _SPEAKERS & set(told)
        return is_between or following[following.index(",") + 1] in ("he", "she", "they")
    return units[place + 1] in ("being", "having")


def _begun(units: Sequence[str], place: int) -> int:
    """Where the sentence of this word begins."""
    first = max(1, place - _NEAR)
    while place > first and units[place - 1] != ".":
        place -= 1
    return place


def _is_answers(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether a thing is not known, clear or mentioned that the question may have asked for: no quality of what a noun
    behind it names ("an unknown painting by Dali"), unless nothing else is said, no fame of a person or among some."""
    place, _ = _subject(units, start)
    before, following = units[start - 1], units[stop]
    if before in _OF_FAME or units[place] in _PERSONS:
        return False
    if units[start].startswith("un"):
        if before in _BEFORE_NOUNS:
            behind = units[stop + 1 : stop + 3]
            is_last = behind[:1] == ["."] or (behind[:1] == [","] and behind[1] in _BEHIND_ONLY_NOUN)
            return following in ("is", "are", "was", ".") or (is_last and before in _BEFORE_ONLY_NOUN)
        if before in ("not", "never"):
            return False
    # "A city unknown to the Romans" is like "was unknown to the Romans".
    is_verb = place < start - 1
    is_behind_noun = not is_verb and units[place] not in _JOINING | {"."}
    is_past = is_behind_noun or bool(_PAST & set(units[place + 1 : stop]))
    if following == "in" and units[stop - 1] in ("known", "unknown"):
        where = " ".join(units[stop + 1 : stop + 5])
        return bool(OF_A_TEXT.match(where) or _NO_PLACE.match(where))
    if following == "to":
        to_whom = units[stop + 1]
        return to_whom in _ASKED | {"me", "us"} or (not is_past and to_whom in _KNOWING | _BEGINS_PEOPLE)
    return following not in ("of", "about") or _is_speakers(units, start, stop)


def _is_open(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether there is no information at all, and not none that somebody had or no thing named so."""
    place, _ = _subject(units, start)
    is_anothers = place < start - 1 and units[place] not in _IMPERSONAL | _SPEAKERS | _JOINING | {"."}
    if units[stop] in ("is", "are", "was", "were"):
        return not is_anothers and units[stop + 1] in _THERE
    return units[stop] in _BEHIND_INFORMATION and not is_anothers


def _is_told_here(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether nobody else is the subject, in languages that say who; Chinese may have a plural between."""
    return not set(units[max(0, start - 2) : start]) & _PERSONS_ELSEWHERE
