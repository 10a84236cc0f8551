"""Stage 5, answer spans: which words of a response are the answer.

Owns the rules. The words are found by what the response says that the question did not, by one rule for right and
wrong answers: words that are found by one rule on right answers and by another on wrong ones can be told apart by the
rules alone. On the shipped questions the known spelling of a right answer had 1.3 tokens and the new words of a wrong
one 3.9, and a probe over them told these two apart (`WordRule`). A right answer whose words hold nothing of a known
spelling is left out and counted.

1. Words are compared without case, accents and punctuation. A word is *new* if the question has no such word and
   it is no function word.
2. New words in a row, function words between them allowed ("University *of* Madrid"), are a run; a run ends at
   the end of a sentence or of its part, at a bracket, at a line, and at a form of "be". A full stop behind a title
   ("St. Louis") or an initial is no end where a name goes on: the initial begins the run or stands behind a capital,
   and a capital follows that begins no sentence ("John F. Kennedy", but "vitamin C. It"). Figures are one word.
3. The first run behind a form of "be", a colon or "=" is the answer; without one, the first run.

Where nothing is new there is no span: such a response is left out and counted too. Refuses tokens: spans are
characters, and `backend.identify.regions` finds the tokens that touch them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.judging import SIGNED, normalise, places
from backend.judging import words as pieces_of
from backend.types.identify import Question, Verdict, WordRule

_PIECE = rf"(?:{SIGNED}|[^\W_]+)"
_WORD = re.compile(rf"{_PIECE}(?:(?:['\u2019\u02bc\u2018]+|[.&-]|(?<=\d)[,:\u2013](?=\d)){_PIECE})*")
_BREAK = re.compile(r"[.!?;,()\[\]\n:=\u2014\u2013]")
_STOP = re.compile(r"\.[ \t\u00a0]+")
_QUOTES = " \"'\u201c\u201d\u2018\u2019*_`("
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_TITLES = frozenset(
    [
        *("St", "Ste", "Mr", "Mrs", "Ms", "Dr", "Mt", "Ft", "Prof", "Gen", "Col", "Capt", "Lt", "Sgt", "Maj", "Adm"),
        *("Rev", "Fr", "Hon", "Gov", "Sen", "Rep", "Pres"),
    ]
)
_JUNIOR = frozenset({"Jr", "Sr"})
_BE = frozenset({"is", "was", "are", "were", "be", "its", "hes", "shes", "thats", "called", "named"})
_FUNCTION = frozenset(
    [
        *("a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "and", "or", "as", "not", "no"),
        *("is", "was", "are", "were", "be", "been", "being", "has", "have", "had", "does", "do", "did", "can", "could"),
        *("will", "would", "may", "i", "you", "we", "he", "she", "it", "they", "me", "him", "us", "them", "my", "your"),
        *("our", "his", "her", "its", "their", "this", "that", "these", "those", "there", "who", "which", "what", "s"),
        *("also", "so", "but", "if", "than", "then", "very", "located", "situated", "known"),
    ]
)


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a response."""

    start: int
    end: int


@dataclass(frozen=True)
class _Word:
    """`raw` as written, `pieces` as they are compared; `gap` is what stands before it, behind the last word."""

    start: int
    end: int
    raw: str
    pieces: tuple[str, ...]
    gap: str

    @property
    def is_function(self) -> bool:
        return set(self.pieces) <= _FUNCTION


def answering(response: str, question: Question, side: Verdict, rule: WordRule) -> Span | None:
    """The words of a response that answer; None where the rule finds none."""
    new = new_words(response, question.text)
    if side != "right":
        return new
    known = known_words(response, question.answers)
    if rule == "known" or known is None or new is None:
        return known if rule == "known" else None
    return new if max(new.start, known.start) < min(new.end, known.end) else None


def known_words(response: str, answers: Sequence[str]) -> Span | None:
    """Where the first known spelling stands, the longest of those that begin there; None where none does."""
    flat = [(piece, word) for word in _words(response) for piece in word.pieces]
    first = next(places([piece for piece, _ in flat], answers), None)
    return None if first is None else Span(flat[first[0]][1].start, flat[first[1] - 1][1].end)


def new_words(response: str, question: str) -> Span | None:
    """The words that the question has not, by the rules above; None where nothing in the response is new."""
    runs = _runs(_words(response), set(normalise(question).split()))
    if not runs:
        return None
    led = next((run for run in runs if _is_led(response[: run[0].start])), None)
    chosen = led or runs[0]
    return Span(chosen[0].start, chosen[-1].end)


def _runs(words: Sequence[_Word], known: set[str]) -> list[list[_Word]]:
    """New words in a row, each run from its first new word to its last."""
    runs: list[list[_Word]] = []
    held: list[_Word] = []
    """Function words behind the last new word: part of the run only if another new word follows."""
    is_open = False
    for place, word in enumerate(words):
        run = runs[-1] if is_open and not held else []
        parted = _is_parted(words, place, run)
        pieces = set(word.pieces)
        new = bool(pieces - known - _FUNCTION) or (not pieces & known and _is_letter(words, place, parted))
        if parted or pieces & _BE or (pieces & (known - _FUNCTION) and not new):
            is_open = False
        if new and is_open:
            runs[-1] += [*held, word]
        elif new:
            runs.append([word])
        else:
            held.append(word)
            continue
        held, is_open = [], True
    return runs


def _is_parted(words: Sequence[_Word], place: int, run: Sequence[_Word]) -> bool:
    """Whether a run ends before this word. `run`: the run that the word before it belongs to, up to there."""
    word = words[place]
    if place == 0 or not _BREAK.search(word.gap) or (word.gap.strip() == "," and word.raw in _JUNIOR):
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
        # "John F. Kennedy", but "vitamin C. It": what begins like this is a sentence.
        return True
    is_name = bool(run) and (len(run) == 1 or run[-2].raw[0].isupper())
    return not (before.raw in _JUNIOR or (is_name and _is_initial(words, place - 1)))


def _is_initial(words: Sequence[_Word], place: int) -> bool:
    """Whether this is a capital, or capitals with full stops between, and a full stop behind."""
    raw = words[place].raw
    is_stopped = place + 1 < len(words) and _STOP.fullmatch(words[place + 1].gap)
    return bool(is_stopped and _INITIALS.fullmatch(raw) and raw.isupper())


def _is_letter(words: Sequence[_Word], place: int, parted: bool) -> bool:
    """Whether this A, I or S is a letter: an initial ("A. A. Milne"), or behind a word that says something.

    An I only behind a capital ("Elizabeth I"): anywhere else it is who speaks.
    """
    word = words[place]
    if word.raw not in ("A", "I", "S"):
        return False
    before = words[place - 1] if place and not parted and not word.gap.strip(_QUOTES) else None
    behind = before is not None and not before.is_function and (word.raw != "I" or before.raw[0].isupper())
    return behind or (_is_initial(words, place) and words[place + 1].raw[0].isupper())


def _is_led(before: str) -> bool:
    """Whether a form of "be", a colon or "=" stands right at the end, articles and quotes aside."""
    bare = before.rstrip(_QUOTES)
    words = [match for match in _WORD.finditer(bare[-40:]) if normalise(match.group())]
    behind = bare[-40:][words[-1].end() :] if words else bare
    if behind.strip(_QUOTES).endswith((":", "=")):
        return True
    return bool(words) and normalise(words[-1].group()).split()[-1] in _BE and not _BREAK.search(behind)


def _words(response: str) -> list[_Word]:
    found: list[_Word] = []
    end = 0
    for match in _WORD.finditer(response):
        pieces = tuple(pieces_of(match.group()))
        found.append(_Word(match.start(), match.end(), match.group(), pieces, response[end : match.start()]))
        end = match.end()
    return found
