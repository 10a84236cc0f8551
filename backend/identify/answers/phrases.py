"""The phrase that answers: one rule for right and wrong answers, which looks at the question and the response alone.

A response is read sentence by sentence; the first sentence with a candidate holds the answer. In it,

1. content words in a row are a phrase. Function words, a form of "be" (`copulas`: in many languages), "call", "called"
   and their like, a participle before a preposition ("located in"), brackets, commas and full stops part phrases; "of",
   "the" and their like join capitals ("University of Bologna"), and a full stop behind an initial or a title parts
   nothing ("John F. Kennedy").
2. A phrase is a candidate if it has a word that the question has not. Words of the question at its ends are cut
   off, save beside words of their own case ("New York City", "soil sampler", but "constellation | Andromeda"). A phrase
   right behind "be" is a candidate too if the response says it for the second time ("hit is hit").
3. Passed over, where another candidate is left: what is denied and put right (`denials`); a time, unless the question
   asks for one (`times`; a date is one phrase, its year included); "Answer" before a colon, a verb ("Hendrix *plays*
   the guitar"), a kind ("a *type* of sauce", "a *city* in Japan"). The number of a point in a list is no candidate.
4. Of the rest: a figure where the question asks for one; a place or time put first ("In Japan, ...") where it asks
   where or when; what is "called" so, or stands behind a colon or "="; a subject that has no word of the
   question ("Zirconium is a chemical element"); the first candidate behind a "be" with which the sentence goes on after
   two commas ("The stone, named after a saint, is talc"), unless it asks where or when; behind any "be"; the first.

Of the phrase chosen, a verb and what is on its other side are cut off ("Tim Cook became", `verbs`).

Not told apart: a name between commas ("The capital, Paris, is large." gives "large"), and a German noun that begins the
response as a subject ("Der Autor ist Goethe.").

Owns these rules. Refuses to look at known answers: words found with their help can be told apart from others by that
alone. The words of a language that is written without spaces are its characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import regex

from backend.identify.answers.copulas import read_words, without_verb
from backend.identify.answers.denials import denied
from backend.identify.answers.times import Dated, asks_time, is_time, times
from backend.identify.answers.verbs import cut_at_verb
from backend.identify.answers.wording import BE, FUNCTION, Span, Word, is_letter, is_parted
from backend.text.matching import UNSPACED
from backend.text.verdict import normalise

_NAMING = frozenset({"called", "named", "titled", "termed", "nicknamed", "dubbed", "entitled"})
_NAMED = re.compile(
    r"(?:\b(?:calls?|called|named|titled|termed|nicknamed|dubbed|entitled|known as|referred to as)|[:=]"
    r"|\b(?:call|name|title|term|nickname|dub)(?:s|d|ed|bed)? "
    r"(?:it|him|her|them|(?:the|this|that|its)(?: (?!of )\w+){1,2})"
    r"|\b(?:know|refer to) (?:it|him|her|them|this) as)\W*"
    r"(?:(?:a|an|the)\b\W*)?$",
    re.IGNORECASE,
)
_KINDS = frozenset(
    [
        *("type", "kind", "form", "sort", "part", "member", "example", "one", "piece", "variety", "version", "word"),
        *("country", "city", "town", "state", "nation", "place", "region", "village", "island", "area", "province"),
        *("district", "capital", "continent", "language", "name", "term", "person", "man", "woman", "group", "answer"),
    ]
)
_JOINS = frozenset(
    [
        *("of", "the", "and", "de", "la", "le", "du", "des", "von", "van", "der", "den", "del", "da", "di", "dos"),
        *("el", "al", "ibn", "bin", "y", "for"),
    ]
)
_VERBS = frozenset({"is", "was", "are", "were"})
_UNSPACED = regex.compile(f"[{UNSPACED}]")
_PLACING = frozenset({"in", "from", "of", "by", "at", "on", "to", "with", "for", "as", "between", "near", "within"})
_ADVERBS = frozenset(
    [
        *("actually", "often", "usually", "commonly", "generally", "typically", "officially", "currently", "simply"),
        *("specifically", "originally", "probably", "likely", "indeed", "just", "only", "now", "widely", "primarily"),
        *("mainly", "mostly", "sometimes", "formerly", "most", "more", "used", "considered", "said", "referred"),
        *("himself", "herself", "itself", "themselves", "whom", "whose", "where", "when", "while", "because"),
        *("between", "into", "about", "over", "under", "through", "during", "after", "before", "near", "within"),
        *("both", "such", "like"),
    ]
)
_EMPTY = FUNCTION | _NAMING | _ADVERBS
_FIGURE_ASKED = re.compile(r"\b(?:year|number|many|much|when|age|old|date|percentage)\b", re.IGNORECASE)
_PLACE_ASKED = re.compile(r"\b(?:where|when|(?:in|on|at|from|to) (?:which|what))\b", re.IGNORECASE)
_NAME_ASKED = re.compile(
    r"\b(?:who|whom|whose|where|(?:which|what) (?:\w+ )?(?:country|countries|city|cities|town|state|continent|"
    r"sea|ocean|river|lake|mountain|island|planet|constellation|language|company|band|team|club|university|school|museum|king|queen|"
    r"president|author|artist|actor|actress|director|composer|book|film|movie|song|album))\b",
    re.IGNORECASE,
)
_FRONT = re.compile(r"(?:in|on|at|from|during)\W+(?:the\W+)?", re.IGNORECASE)
_WRITTEN = frozenset({"May", "Will"})
"""Names, written so within a sentence."""
_LINE = re.compile(r"\n[^\w\n]*\Z")
_POINT = re.compile(r"[.)]\W*\s")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]|\n")
_QUOTE = re.compile(r"[\"\u201c\u201d\u201e\u00ab\u00bb\u300c-\u300f\u3008-\u300b]")
_MADE = re.compile(
    r"[b-df-hj-np-tv-xz]*[aeiouy][a-z]*(?:ed|ing)|made|born|found|known|built|written|held|spoken|grown|drawn|set|seen|worn|sung"
)
_SUBJECTS = frozenset({"this", "it", "he", "she", "they", "that", "i", "we", "you"})


@dataclass(frozen=True)
class _Phrase:
    """Words `start` to `stop` of the response. The flags say where it stands, and are told apart in `_candidates`."""

    start: int
    stop: int
    sentence: int
    clause: int
    behind_be: bool
    echoed: bool
    """Words of the question stand before it in its clause."""
    resumed: bool = False
    """A comma and a form of "be" stand before it: "The stone, named after a saint, is talc"."""


def phrase(response: str, question: str) -> Span | None:
    """The words that answer; None where the response says nothing but the question."""
    words = read_words(response)
    asked = set(normalise(question).split())
    dated = times(words, response)
    found = _candidates(words, response, asked, dated)
    if not found:
        return None
    untrue = denied(words, response)
    found = [one for one in found if one.start not in untrue or one is found[-1]]
    best = _best(found, words, response, question, asked, dated)
    start, stop = cut_at_verb(words, best.start, best.stop, question)
    return without_verb(response, Span(words[start].start, words[stop - 1].end))


def _candidates(words: Sequence[Word], response: str, asked: set[str], dated: Dated) -> list[_Phrase]:
    """Those of the first sentence that has any: a long response is not read to its end for each."""
    told: list[_Phrase] = []
    first = {piece: place for place in range(len(words) - 1, -1, -1) for piece in words[place].pieces}
    for one in _phrases(words, asked, dated):
        if told and one.sentence > told[0].sentence:
            break
        cut = _cut(one, words, asked)
        if cut is not None:
            told.append(cut)
        elif _is_again(one, words, response, first):
            told.append(one)
    return told


def _phrases(words: Sequence[Word], asked: set[str], dated: Dated) -> list[_Phrase]:
    """Content words in a row, in order; a date is one phrase with its comma."""
    told: list[_Phrase] = []
    joining = _joining(words)
    sentence = clause = begun = 0
    behind_be = echoed = is_open = is_said = resumed = False
    for place, word in enumerate(words):
        # The end of the run says all that is asked of it.
        run = words[max(told[-1].start, place - 2) : place] if is_open else ()
        before = dated.get(place - 1)
        is_dated = before is not None and dated.get(place) == before
        if is_parted(words, place, run) and not is_dated:
            is_open = False
            clause += 1
            if _SENTENCE_END.search(word.gap) and "," not in word.gap:
                sentence += 1
                begun = clause
                behind_be = echoed = is_said = resumed = False
        # "In 1928 Fleming discovered it": who follows a time is no part of it.
        is_behind_time = before is not None and before.is_led and not is_dated and word.raw[0].isupper()
        is_open = is_open and not is_behind_time and not _QUOTE.search(word.gap)
        is_verb = word.raw in _VERBS or word.pieces == ("is",)
        # The verb of the subject, behind what stood between two commas.
        goes_on = is_verb and not is_said and clause > begun + 1 and word.gap.strip() == ","
        is_said = is_said or (is_verb and clause == begun)
        if _is_empty(words, place):
            behind_be = behind_be or bool(set(word.pieces) & BE)
            resumed = resumed or goes_on
            is_open = is_open and place in joining
            continue
        if is_open:
            told[-1] = replace(told[-1], stop=place + 1)
        else:
            told.append(_Phrase(place, place + 1, sentence, clause, behind_be, echoed, resumed))
        is_open = True
        echoed = echoed or bool(set(word.pieces) & asked)
    return told


def _is_empty(words: Sequence[Word], place: int) -> bool:
    """A word that no answer is made of, or a participle before a preposition."""
    word = words[place]
    if word.is_quoted or (len(word.raw) > 1 and word.raw.isupper()):
        return False
    following = words[place + 1] if place + 1 < len(words) else None
    if word.raw.isdecimal() and _LINE.search(word.gap if place else "\n") and following is not None:
        # The number of a point in a list says nothing of it.
        return bool(_POINT.match(following.gap))
    if word.raw in _WRITTEN and place and not is_parted(words, place, ()):
        return False
    if set(word.pieces) <= _EMPTY:
        return not _is_letter(words, place)
    return following is not None and bool(_MADE.fullmatch(word.raw)) and bool(set(following.pieces) & _PLACING)


def _is_letter(words: Sequence[Word], place: int) -> bool:
    """Whether this A, I or S is a letter, as `wording.is_letter` says; a capital S always."""
    raw = words[place].raw
    return raw == "S" or (len(raw) == 1 and is_letter(words, place, is_parted(words, place, ())))


def _joining(words: Sequence[Word]) -> set[int]:
    """Which words stand between two capitals and join them: "University of the Arts"."""
    found: set[int] = set()
    joins = [place for place, word in enumerate(words) if set(word.pieces) <= _JOINS]
    # Run by run: one of them may be as long as the response.
    for _, row in groupby(enumerate(joins), lambda one: one[1] - one[0]):
        run = [place for _, place in row]
        beside = [words[at] for at in (run[0] - 1, run[-1] + 1) if 0 <= at < len(words)]
        if len(beside) == 2 and all(map(_is_name, beside)):
            found.update(place for place in run if words[place].raw.islower())
    return found


def _is_name(word: Word) -> bool:
    return word.raw[0].isupper() or word.raw[0].isdigit()


def _cut(one: _Phrase, words: Sequence[Word], asked: set[str]) -> _Phrase | None:
    """The phrase without words of the question at its ends, those of its own case kept; None where nothing is new."""
    new = [place for place in range(one.start, one.stop) if _is_new(words[place], asked)]
    if not new:
        return None
    start, stop = new[0], new[-1] + 1
    # "Call the mineral talc": what is called so is named first.
    is_object = one.start > 1 and words[one.start - 2].raw in ("call", "calls")
    while start > one.start and not is_object and _is_alike(words, start - 1, start):
        start -= 1
    while stop < one.stop and _is_alike(words, stop, stop - 1):
        stop += 1
    while set(words[start].pieces) <= _JOINS and start < new[0]:
        start += 1
    while set(words[stop - 1].pieces) <= _JOINS and stop - 1 > new[-1]:
        stop -= 1
    echoed = one.echoed or any(set(words[place].pieces) & asked for place in range(one.start, start))
    return replace(one, start=start, stop=stop, echoed=echoed)


def _is_alike(words: Sequence[Word], place: int, beside: int) -> bool:
    joins = set(words[place].pieces) <= _JOINS
    if not joins and _has_no_case(words[place]) and _has_no_case(words[beside]):
        return False
    return joins or _is_name(words[place]) == _is_name(words[beside]) or set(words[beside].pieces) <= _JOINS


def _has_no_case(word: Word) -> bool:
    """Whether words of this script are apart, and no case tells a name from others: Hangul, Arabic, Devanagari."""
    return word.raw[0].isalpha() and word.raw.lower() == word.raw.upper() and not _UNSPACED.match(word.raw)


def _is_new(word: Word, asked: set[str]) -> bool:
    if word.also & asked or not word.pieces:
        return False
    is_spelled = word.raw.isupper() or word.is_quoted
    return bool(set(word.pieces) - asked - (frozenset() if is_spelled else _EMPTY))


def _is_again(one: _Phrase, words: Sequence[Word], response: str, first: Mapping[str, int]) -> bool:
    """Whether the response has said these words, and now says them right behind a form of "be" or "called".

    first: of each piece of a word, the place where the response says it first.
    """
    place = one.start - 1
    while place >= 0 and set(words[place].pieces) <= _ADVERBS | {"a", "an", "the", "also"}:
        place -= 1
    is_led = place >= 0 and bool(set(words[place].pieces) & BE)
    if not is_led and not _is_named(one, words, response):
        return False
    held = [piece for word in words[one.start : one.stop] for piece in word.pieces]
    return all(first[piece] < one.start for piece in held) and held[-1] not in _KINDS


def _best(
    found: Sequence[_Phrase], words: Sequence[Word], response: str, question: str, asked: set[str], dated: Dated
) -> _Phrase:
    timed = [] if asks_time(question) else [one for one in found if is_time(one.start, one.stop, dated)]
    timeless = [one for one in found if not is_time(one.start, one.stop, dated)] if timed else found
    has_verb = bool(timeless) and len(found) > 1 and _is_verb(timeless[0], words, asked)
    # A verb is no answer where only a time is left beside it: "It opened in 1912."
    without_verb = (timeless[1:] if has_verb else timeless) or timed
    found = [one for one in without_verb if not _is_kind(one, words)] or without_verb
    if _FIGURE_ASKED.search(question):
        found = [one for one in found if _is_figure(one, words)] or found
    if _NAME_ASKED.search(question):
        found = [one for one in found if _is_name(words[one.start])] or found
    first = found[0]
    if (
        _PLACE_ASKED.search(question)
        and _FRONT.fullmatch(response[: words[first.start].start])
        and _is_name(words[first.start])
    ):
        return first
    named = [one for one in found if one.clause == first.clause and _is_named(one, words, response)]
    if named:
        return named[0]
    # Where something lies is often told between the commas.
    resumed = None if _PLACE_ASKED.search(question) else next((one for one in found if one.resumed), None)
    if has_verb or _is_subject(first, words, asked, dated):
        return first
    return resumed or next((one for one in found if one.behind_be), first)


def _is_named(one: _Phrase, words: Sequence[Word], response: str) -> bool:
    """Whether "called" or its like, a colon or "=" stands right before it."""
    start = words[one.start].start
    return bool(_NAMED.search(response[max(0, start - 80) : start]))


def _is_figure(one: _Phrase, words: Sequence[Word]) -> bool:
    return any(word.raw[0].isdigit() and not word.raw[-1].isalpha() for word in words[one.start : one.stop])


def _is_subject(one: _Phrase, words: Sequence[Word], asked: set[str], dated: Dated) -> bool:
    """Whether it begins the response, times aside, has no word of the question, and "be" or "named" is behind it."""
    if one.stop == len(words) or not _is_name(words[one.start]):
        return False
    if not set(words[one.stop].pieces) & BE and words[one.stop].raw not in _NAMING:
        return False
    if any(set(word.pieces) & asked - _EMPTY for word in words[one.start : one.stop]):
        return False
    return all(word.is_function or place in dated for place, word in enumerate(words[: one.start]))


def _is_verb(one: _Phrase, words: Sequence[Word], asked: set[str]) -> bool:
    """Small words behind words of the question, or one behind "it", before any form of "be"; a function word behind."""
    held = words[one.start : one.stop]
    following = words[one.stop] if one.stop < len(words) else None
    if one.behind_be or any(_is_name(word) for word in held) or following is None or not following.is_function:
        return False
    is_behind_it = len(held) == 1 and one.start > 0 and bool(set(words[one.start - 1].pieces) & _SUBJECTS)
    return is_behind_it or one.echoed or bool({piece for word in held for piece in word.pieces} & asked)


def _is_kind(one: _Phrase, words: Sequence[Word]) -> bool:
    """A noun that only says of which kind the answer is, or small words before "of"."""
    last = words[one.stop - 1]
    following = words[one.stop] if one.stop < len(words) else None
    if last.raw in ("Answer", "Response") and following is not None and ":" in following.gap:
        return True
    if last.raw.islower() and last.pieces[-1:] and last.pieces[-1] in _KINDS:
        return True
    is_small = not any(_is_name(word) for word in words[one.start : one.stop])
    return is_small and following is not None and following.raw == "of" and following.gap == " "
