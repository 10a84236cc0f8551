"""The phrase that answers: one rule for right and wrong answers, which reads only the question and the response.

A response is read sentence by sentence; the first sentence with a candidate holds the answer. In it,

1. Content words in a row are a phrase. Phrases are separated by function words, a form of "be" (`copulas`: in many
   languages), "call", "called" and similar words, a participle before a preposition ("located in"), brackets, commas
   and full stops. "Of", "the" and similar words join capitals ("University of Bologna"), and a full stop behind an
   initial or a title separates nothing ("John F. Kennedy").
2. A phrase is a candidate if it has a word that the question has not. Words of the question at its ends are cut off,
   except beside words of the same case ("New York City", "soil sampler", but "constellation | Andromeda"). A phrase
   directly behind "be" is a candidate too if the response says it for the second time ("hit is hit").
3. Skipped, if another candidate remains: what is denied and corrected (`denials`); a time, unless the question asks for
   one (`times`; a date is one phrase, its year included); "Answer" before a colon, a verb ("Hendrix *plays* the
   guitar"), a kind ("a *type* of sauce", "a *city* in Japan"). The number of a list item is never a candidate.
4. Of the rest only numbers, or only names, remain if the question asks for one. Of these the first that applies: a
   place or time put first ("In Japan, ..."), if it asks where or when; what is "called" so, or stands behind a colon or
   "="; a subject without a word of the question ("Zirconium is a chemical element"); a candidate behind a "be" that
   continues the sentence after two commas ("The stone, named after a saint, is talc"), unless it asks where or when;
   one behind any "be"; the first.

A verb at an end of the chosen phrase is cut off with what stands on its other side ("Tim Cook became", `verbs`).

Not recognised: a name between commas ("The capital, Paris, is large." gives "large"), and a German noun that begins the
response as a subject ("Der Autor ist Goethe.").

Owns these rules. Refuses to look at known answers: words found with their help would differ from other words for that
reason alone. The words of a language that is written without spaces are its characters.
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
"""Names where they are written with a capital inside a sentence."""
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
    """Words `start` to `stop` of the response. The other fields say where the phrase stands."""

    start: int
    stop: int
    sentence: int
    clause: int
    behind_be: bool
    echoed: bool
    """Words of the question stand before it in its sentence."""
    resumed: bool = False
    """A comma and a form of "be" stand before it: "The stone, named after a saint, is talc"."""


def phrase(response: str, question: str) -> Span | None:
    """The words that answer; None if the response has no words beyond those of the question."""
    words = read_words(response)
    asked = set(normalise(question).split())
    dated = times(words, response)
    candidates = _candidates(words, response, asked, dated)
    if not candidates:
        return None
    untrue = denied(words, response)
    candidates = [candidate for candidate in candidates if candidate.start not in untrue or candidate is candidates[-1]]
    best = _choose_candidate(candidates, words, response, question, asked, dated)
    start, stop = cut_at_verb(words, best.start, best.stop, question)
    return without_verb(response, Span(words[start].start, words[stop - 1].end))


def _candidates(words: Sequence[Word], response: str, asked: set[str], dated: Dated) -> list[_Phrase]:
    """The candidates of the first sentence that has any."""
    candidates: list[_Phrase] = []
    first_places = {piece: place for place in range(len(words) - 1, -1, -1) for piece in words[place].pieces}
    for untrimmed in _read_phrases(words, asked, dated):
        if candidates and untrimmed.sentence > candidates[0].sentence:
            break
        trimmed = _trim_to_new(untrimmed, words, asked)
        if trimmed is not None:
            candidates.append(trimmed)
        elif _is_repeated(untrimmed, words, response, first_places):
            candidates.append(untrimmed)
    return candidates


def _read_phrases(words: Sequence[Word], asked: set[str], dated: Dated) -> list[_Phrase]:
    """Content words in a row, in order; a date is one phrase with its comma."""
    phrases: list[_Phrase] = []
    joining = _joining_words(words)
    sentence = clause = first_clause = 0
    behind_be = echoed = is_open = has_verb = resumed = False
    for place, word in enumerate(words):
        # `is_parted` reads only the last words of a run.
        run = words[max(phrases[-1].start, place - 2) : place] if is_open else ()
        before = dated.get(place - 1)
        is_dated = before is not None and dated.get(place) == before
        if is_parted(words, place, run) and not is_dated:
            is_open = False
            clause += 1
            if _SENTENCE_END.search(word.gap) and "," not in word.gap:
                sentence += 1
                first_clause = clause
                behind_be = echoed = has_verb = resumed = False
        # "In 1928 Fleming discovered it": a name behind a time is not part of it.
        is_behind_time = before is not None and before.is_led and not is_dated and word.raw[0].isupper()
        is_open = is_open and not is_behind_time and not _QUOTE.search(word.gap)
        is_verb = word.raw in _VERBS or word.pieces == ("is",)
        # The verb of the subject, behind a part between two commas.
        goes_on = is_verb and not has_verb and clause > first_clause + 1 and word.gap.strip() == ","
        has_verb = has_verb or (is_verb and clause == first_clause)
        if _is_empty(words, place):
            behind_be = behind_be or bool(set(word.pieces) & BE)
            resumed = resumed or goes_on
            is_open = is_open and place in joining
            continue
        if is_open:
            phrases[-1] = replace(phrases[-1], stop=place + 1)
        else:
            phrases.append(_Phrase(place, place + 1, sentence, clause, behind_be, echoed, resumed))
        is_open = True
        echoed = echoed or bool(set(word.pieces) & asked)
    return phrases


def _is_empty(words: Sequence[Word], place: int) -> bool:
    """Whether the word is one that no answer is made of, or a participle before a preposition."""
    word = words[place]
    if word.is_quoted or (len(word.raw) > 1 and word.raw.isupper()):
        return False
    following = words[place + 1] if place + 1 < len(words) else None
    if word.raw.isdecimal() and _LINE.search(word.gap if place else "\n") and following is not None:
        # The number of a list item is no part of its text.
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


def _joining_words(words: Sequence[Word]) -> set[int]:
    """Places of the words that stand between two capitals and join them: "University of the Arts"."""
    joining: set[int] = set()
    joins = [place for place, word in enumerate(words) if set(word.pieces) <= _JOINS]
    # Each run is read once: it may be as long as the response.
    for _, group in groupby(enumerate(joins), lambda numbered: numbered[1] - numbered[0]):
        run = [place for _, place in group]
        neighbours = [words[neighbour] for neighbour in (run[0] - 1, run[-1] + 1) if 0 <= neighbour < len(words)]
        if len(neighbours) == 2 and all(map(_is_name, neighbours)):
            joining.update(place for place in run if words[place].raw.islower())
    return joining


def _is_name(word: Word) -> bool:
    return word.raw[0].isupper() or word.raw[0].isdigit()


def _trim_to_new(candidate: _Phrase, words: Sequence[Word], asked: set[str]) -> _Phrase | None:
    """The phrase without words of the question at its ends, except those of its own case; None if no word is new."""
    new = [place for place in range(candidate.start, candidate.stop) if _is_new(words[place], asked)]
    if not new:
        return None
    start, stop = new[0], new[-1] + 1
    # "Call the mineral talc": the thing stands before its name.
    is_object = candidate.start > 1 and words[candidate.start - 2].raw in ("call", "calls")
    while start > candidate.start and not is_object and _is_alike(words, start - 1, start):
        start -= 1
    while stop < candidate.stop and _is_alike(words, stop, stop - 1):
        stop += 1
    while set(words[start].pieces) <= _JOINS and start < new[0]:
        start += 1
    while set(words[stop - 1].pieces) <= _JOINS and stop - 1 > new[-1]:
        stop -= 1
    echoed = candidate.echoed or any(set(words[place].pieces) & asked for place in range(candidate.start, start))
    return replace(candidate, start=start, stop=stop, echoed=echoed)


def _is_alike(words: Sequence[Word], place: int, beside: int) -> bool:
    joins = set(words[place].pieces) <= _JOINS
    if not joins and _has_no_case(words[place]) and _has_no_case(words[beside]):
        return False
    return joins or _is_name(words[place]) == _is_name(words[beside]) or set(words[beside].pieces) <= _JOINS


def _has_no_case(word: Word) -> bool:
    """Whether the script has spaces between words but no capitals: Hangul, Arabic, Devanagari."""
    return word.raw[0].isalpha() and word.raw.lower() == word.raw.upper() and not _UNSPACED.match(word.raw)


def _is_new(word: Word, asked: set[str]) -> bool:
    if word.also & asked or not word.pieces:
        return False
    is_spelled = word.raw.isupper() or word.is_quoted
    return bool(set(word.pieces) - asked - (frozenset() if is_spelled else _EMPTY))


def _is_repeated(candidate: _Phrase, words: Sequence[Word], response: str, first_places: Mapping[str, int]) -> bool:
    """Whether the response says these words again, directly behind a form of "be" or "called"; `first_places`: piece
    of a word -> place of the first word that has it."""
    place = candidate.start - 1
    while place >= 0 and set(words[place].pieces) <= _ADVERBS | {"a", "an", "the", "also"}:
        place -= 1
    is_led = place >= 0 and bool(set(words[place].pieces) & BE)
    if not is_led and not _is_named(candidate, words, response):
        return False
    pieces = [piece for word in words[candidate.start : candidate.stop] for piece in word.pieces]
    return all(first_places[piece] < candidate.start for piece in pieces) and pieces[-1] not in _KINDS


def _choose_candidate(
    options: Sequence[_Phrase], words: Sequence[Word], response: str, question: str, asked: set[str], dated: Dated
) -> _Phrase:
    timed = [] if asks_time(question) else [option for option in options if is_time(option.start, option.stop, dated)]
    timeless = [option for option in options if not is_time(option.start, option.stop, dated)] if timed else options
    has_verb = bool(timeless) and len(options) > 1 and _is_verb(timeless[0], words, asked)
    # If only a time remains beside a verb, the time is the answer: "It opened in 1912."
    no_verb = (timeless[1:] if has_verb else timeless) or timed
    options = [option for option in no_verb if not _is_kind(option, words)] or no_verb
    if _FIGURE_ASKED.search(question):
        options = [option for option in options if _is_figure(option, words)] or options
    if _NAME_ASKED.search(question):
        options = [option for option in options if _is_name(words[option.start])] or options
    first = options[0]
    if (
        _PLACE_ASKED.search(question)
        and _FRONT.fullmatch(response[: words[first.start].start])
        and _is_name(words[first.start])
    ):
        return first
    named = [option for option in options if option.clause == first.clause and _is_named(option, words, response)]
    if named:
        return named[0]
    # A place or time often stands between the commas.
    resumed = None if _PLACE_ASKED.search(question) else next((option for option in options if option.resumed), None)
    if has_verb or _is_subject(first, words, asked, dated):
        return first
    return resumed or next((option for option in options if option.behind_be), first)


def _is_named(candidate: _Phrase, words: Sequence[Word], response: str) -> bool:
    """Whether "called" or a similar word, a colon or "=" stands directly before it."""
    start = words[candidate.start].start
    return bool(_NAMED.search(response[max(0, start - 80) : start]))


def _is_figure(candidate: _Phrase, words: Sequence[Word]) -> bool:
    return any(word.raw[0].isdigit() and not word.raw[-1].isalpha() for word in words[candidate.start : candidate.stop])


def _is_subject(candidate: _Phrase, words: Sequence[Word], asked: set[str], dated: Dated) -> bool:
    """Whether it begins the response, apart from times, has no word of the question, and "be" or "named" follows it."""
    if candidate.stop == len(words) or not _is_name(words[candidate.start]):
        return False
    if not set(words[candidate.stop].pieces) & BE and words[candidate.stop].raw not in _NAMING:
        return False
    if any(set(word.pieces) & asked - _EMPTY for word in words[candidate.start : candidate.stop]):
        return False
    return all(word.is_function or place in dated for place, word in enumerate(words[: candidate.start]))


def _is_verb(candidate: _Phrase, words: Sequence[Word], asked: set[str]) -> bool:
    """Whether no word has a capital, no "be" stands before and a function word behind, and a word of the question is in
    it or before it, or it is one word behind "it"."""
    inside = words[candidate.start : candidate.stop]
    following = words[candidate.stop] if candidate.stop < len(words) else None
    if candidate.behind_be or any(_is_name(word) for word in inside) or following is None or not following.is_function:
        return False
    is_behind_it = len(inside) == 1 and candidate.start > 0 and bool(set(words[candidate.start - 1].pieces) & _SUBJECTS)
    return is_behind_it or candidate.echoed or bool({piece for word in inside for piece in word.pieces} & asked)


def _is_kind(candidate: _Phrase, words: Sequence[Word]) -> bool:
    """Whether it is a noun that only says what kind of thing the answer is, or words without capitals before "of"."""
    last = words[candidate.stop - 1]
    following = words[candidate.stop] if candidate.stop < len(words) else None
    if last.raw in ("Answer", "Response") and following is not None and ":" in following.gap:
        return True
    if last.raw.islower() and last.pieces[-1:] and last.pieces[-1] in _KINDS:
        return True
    is_small = not any(_is_name(word) for word in words[candidate.start : candidate.stop])
    return is_small and following is not None and following.raw == "of" and following.gap == " "
