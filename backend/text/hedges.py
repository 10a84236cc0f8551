"""Hedges: where an answer says that it does not know.

A phrase is a hedge if the speaker, who gives the answer, says it of themselves ("I am not sure"), says it without a
subject ("Not sure."), or says it of the answer ("The author is unknown.", "It cannot be determined."). It is no hedge
if somebody else does not know ("He was unsure, but chose Rome"), or if it describes a thing ("an unknown painting by
Dali", "Radium was unknown to the ancients"). Which of these it is depends on the subject, the word before the verb, and
on what follows: "not certain to win", "not known in Europe", "an information desk".

Owns this rule; the phrases (`backend.text.hedge_phrases`) match words joined by spaces, with "," and "." for the marks
between them. Refuses to read further, and so errs where one wording has two meanings: a thing that is not clear or
mentioned ("The water was not clear.") counts as the answer, and "you" as the speaker. "There is no record of Mozart in
Rome" and "Radium is unknown to the layman" count as hedges; so does "Van Gogh was an unknown painter.", because "It was
an unknown painter." does. Words in quotes count as the speaker's own.
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
from backend.text.matching import Token, iterate_tokens

_ENDS = re.compile(r"[.;:!?\n\u3002\uff1b\uff01\uff1f\u0964]")
_PARTS = re.compile(r"[,()\u3001\uff0c\u2013\u2014]|\s-+\s")
_NO_INFORMATION = r"no (?:reliable |specific |available )?(?:information|data|details)"
"""A hedge unless the name of a thing continues behind it, as in "no information desk"."""
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
"""Words that follow "no information is" in a hedge."""
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
"""Verb forms that have a subject, even if it is not beside them: somebody else, because the speaker says "am"."""
_BETWEEN = frozenset(
    [
        *("still", "also", "really", "very", "quite", "so", "just", "now", "often", "always", "even", "probably"),
        *("yet", "currently", "simply", "sometimes", "himself", "herself", "themselves", "itself", "initially", "at"),
        *("first", "therefore", "however", "otherwise", "absolutely", "totally", "completely", "would", "may"),
        *("might", "to", "honestly", "frankly", "truly", "genuinely", "personally", "definitely", "largely"),
        *("partly", "mostly", "sadly", "unfortunately"),
    ]
)
"""Words that may stand between a subject and its verb, or between the verb and the hedge."""
_PASSED = _VERBS | _BETWEEN
_NEAR = 30
"""How far before the hedge its subject may stand, in words."""
_OF_FAME = frozenset({"previously", "hitherto", "formerly", "once", "relatively", "comparatively", "virtually", "then"})
"""Words before "unknown" that say how famous a thing is or was: "a relatively unknown painter"."""
_SPEAKERS = frozenset({"i", "am", "we", "you"})
_KNOWING = frozenset(
    [
        *("historians", "scholars", "scientists", "experts", "researchers", "linguists", "archaeologists", "people"),
        *("science", "history", "anyone", "anybody", "everyone", "one"),
    ]
)
"""People whose not knowing means that nobody knows: "Historians are not sure"."""
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
"""Words before "unknown" after which it describes the next noun: "an unknown painting by Dali"."""
_BEFORE_ONLY_NOUN = frozenset({"a", "an", "the", "some", "by", "of", "from", "in", "at"})
"""Those of `_BEFORE_NOUNS` that may stand before a noun that is the whole answer: "by an unknown author."."""
_BEHIND_ONLY_NOUN = frozenset({"it", "so", "as", "because", "since"})
"""Words that behind a comma add nothing about that noun: "an unknown author, as it was found in a cave"."""
_BEGINS_PEOPLE = frozenset({"the", "any", "other", "others", "most", "many", "modern"})
"""First words of a group of people to whom a thing is not known: "is unknown to most people"."""
_ASKED = frozenset({"what", "which", "whom", "who", "whether", "how", "where", "when"})
"""Words behind "to" that name nobody: "unclear to what extent"."""


_NO_PLACE = re.compile("(?:what|which|whose|whom|how|full|detail|any detail|advance|history|the history)(?= |$)")
"""Words behind "not known in" that name no place, people or time: "not known in detail"."""


def hedges(answer: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """(start, stop) in `tokens`, the answer's words, of each hedge; titles ("Unknown Pleasures") are skipped."""
    units, places = _units_with_marks(answer, tokens)
    joined = " ".join(units)
    begins = [0, *accumulate(len(unit) + 1 for unit in units)]
    has_titles = any(answer[token.start].islower() for token in tokens)
    whys = _whys_before_but(units) if "why" in units else ()
    for pattern, is_hedge in zip(
        _hedge_patterns(),
        (_is_of_speaker, _is_of_answer, _lacks_all_information, _is_not_third_person, None),
        strict=True,
    ):
        for match in pattern.finditer(joined):
            start, stop = bisect_left(begins, match.start()), bisect_left(begins, match.end())
            first, last = places[start], places[stop - 1] + 1
            if has_titles and last < len(tokens) and _is_title(answer, tokens[first : last + 1]):
                continue
            if stop in whys:
                continue
            if is_hedge is None or is_hedge(units, start, stop):
                yield first, last


@lru_cache(maxsize=1)
def _hedge_patterns() -> tuple[re.Pattern[str], ...]:
    """One pattern for each kind of hedge, in the order of the checks in `hedges`."""
    fixed = (re.escape(" ".join(token.key for token in iterate_tokens(phrase))) for phrase in OTHER_HEDGES)
    other_languages = "|".join((*OTHER_PATTERNS, *fixed))
    alternatives = (
        "|".join(SPEAKERS_OWN),
        "|".join(ANSWERS_OWN),
        _NO_INFORMATION,
        other_languages,
        "|".join(WHOEVER_IS_SUBJECT),
    )
    return tuple(re.compile(rf"(?<!\S)(?:{phrases})(?!\S)") for phrases in alternatives)


def _units_with_marks(answer: str, tokens: Sequence[Token]) -> tuple[list[str], list[int]]:
    """(the words with "." or "," for the marks between them and "." at both ends, the place of each in `tokens`)."""
    units, places = ["."], [0]
    for place, token in enumerate(tokens):
        gap = answer[tokens[place - 1].stop : token.start] if place else ""
        mark = "." if _ENDS.search(gap) else "," if _PARTS.search(gap) else ""
        if mark:
            units.append(mark)
            places.append(place)
        for word in long_form(token):
            units.append(word)
            places.append(place)
    return [*units, "."], [*places, len(tokens)]


def _whys_before_but(units: Sequence[str]) -> set[int]:
    """Places of "why" with "but" behind it in the same sentence. A phrase directly before such a "why" is no hedge:
    only the reason is not known, and the answer follows: "It is unclear why, but it is Cairo."."""
    whys: set[int] = set()
    is_turned = False
    # One pass from the end serves all hedges: a sentence may be as long as the answer.
    for place in range(len(units) - 1, -1, -1):
        if units[place] == "why" and is_turned:
            whys.add(place)
        is_turned = units[place] != "." and (is_turned or units[place] == "but")
    return whys


def _is_title(answer: str, tokens: Sequence[Token]) -> bool:
    """Whether these words, of which the last is the one behind the hedge, are part of a title: each begins with a
    capital, and only a space and quotes stand before the last.

    Called only for answers in which some word begins with a small letter.
    """
    gap = answer[tokens[-2].stop : tokens[-1].start]
    return gap.strip("\"'\u201c\u201d*_") == " " and all(answer[token.start].isupper() for token in tokens)


def _subject(units: Sequence[str], start: int) -> tuple[int, bool]:
    """(the place of the subject's last word, or of the mark or joining word found instead; whether a finite verb stands
    between it and the hedge, or begins the hedge)."""
    is_finite = units[start] in _FINITE
    place = start - 1
    while units[place] in _PASSED and place > start - _NEAR:
        is_finite = is_finite or units[place] in _FINITE
        place -= 1
    return place, is_finite


def _is_of_speaker(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether the speaker is the subject, the subject is left out, or it is one of `_KNOWING`."""
    if units[start] in _SPEAKERS:
        return True
    place, is_finite = _subject(units, start)
    subject = units[place]
    if subject in _JOINING and is_finite:
        # "He chose Rome but was not sure": the subject stands earlier in the sentence.
        earlier = units[_sentence_start(units, place) : place]
        return not earlier or any(word in _SPEAKERS for word in earlier)
    if subject in _IMPERSONAL:
        return "sure" in units[start:stop]
    if subject in _KNOWING:
        return units[place - 1] != "the"
    if subject in _JOINING | {"."}:
        return not _belongs_to_neighbour(units, place, stop)
    return subject in _SPEAKERS | _MACHINES


def _belongs_to_neighbour(units: Sequence[str], place: int, stop: int) -> bool:
    """Whether a clause without a subject shares that of the next clause, or of the one before, and so is not the
    speaker's: "Unsure of himself, he went", "Being unsure, Hamlet", "The king, unsure of it, fled"."""
    following = units[stop : stop + _NEAR]
    following = following[: following.index(".")] if "." in following else following
    if "," not in following[:-1] or _SPEAKERS & set(following):
        return False
    earlier = units[_sentence_start(units, place) : place]
    if following[0] in ("of", "about"):
        is_between = units[place] == "," and len(earlier) > 1 and not _SPEAKERS & set(earlier)
        return is_between or following[following.index(",") + 1] in ("he", "she", "they")
    return units[place + 1] in ("being", "having")


def _sentence_start(units: Sequence[str], place: int) -> int:
    """Where the sentence of this word begins, at most `_NEAR` words before it."""
    first = max(1, place - _NEAR)
    while place > first and units[place - 1] != ".":
        place -= 1
    return place


def _is_of_answer(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether the answer itself is said not to be known, clear or mentioned.

    That is not so if the phrase describes the noun behind it ("an unknown painting by Dali"), unless the answer says
    nothing else, nor if it says how famous a person is, or that some people do not know a thing.
    """
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
    # "A city unknown to the Romans" is read like "was unknown to the Romans".
    is_verb = place < start - 1
    is_behind_noun = not is_verb and units[place] not in _JOINING | {"."}
    is_past = is_behind_noun or bool(_PAST & set(units[place + 1 : stop]))
    if following == "in" and units[stop - 1] in ("known", "unknown"):
        where = " ".join(units[stop + 1 : stop + 5])
        return bool(OF_A_TEXT.match(where) or _NO_PLACE.match(where))
    if following == "to":
        to_whom = units[stop + 1]
        return to_whom in _ASKED | {"me", "us"} or (not is_past and to_whom in _KNOWING | _BEGINS_PEOPLE)
    return following not in ("of", "about") or _is_of_speaker(units, start, stop)


def _lacks_all_information(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether there is no information at all: not only none that somebody else had, nor a thing named "information"."""
    place, _ = _subject(units, start)
    is_of_another = place < start - 1 and units[place] not in _IMPERSONAL | _SPEAKERS | _JOINING | {"."}
    if units[stop] in ("is", "are", "was", "were"):
        return not is_of_another and units[stop + 1] in _THERE
    return units[stop] in _BEHIND_INFORMATION and not is_of_another


def _is_not_third_person(units: Sequence[str], start: int, stop: int) -> bool:
    """Whether no third person is the subject, in other languages. A Chinese plural sign may follow the pronoun."""
    return not set(units[max(0, start - 2) : start]) & _PERSONS_ELSEWHERE
