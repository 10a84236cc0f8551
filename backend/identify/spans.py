"""Stage 5, answer spans: which words of a response are the answer.

Owns the rules. The words are found by what the response says that the question did not, without a look at whether it
is right: words that are found by one rule on right answers and by another on wrong ones can be told apart by the rules
alone. On the shipped questions the known spelling of a right answer had 1.3 tokens and the new words of a wrong one
3.9, and a probe over them told these two apart (`WordRule`).

1. Words are compared without case, accents and punctuation. A word is *new* if the question has no such word and
   it is no function word.
2. New words in a row, function words between them allowed ("University *of* Madrid"), are a run; a run ends at
   the end of a sentence, at a bracket, at a line, and at a form of "be".
3. The first run behind a form of "be", a colon or "=" is the answer; without one, the first run.

Where nothing is new there is no span, and none where a right answer's new words hold nothing of a known spelling:
such a response is counted and left out. Refuses tokens: spans are characters, and `backend.identify.regions` finds the
tokens that touch them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.judging import normalise
from backend.types.identify import Question, Verdict, WordRule

_WORD = re.compile(r"[^\W_]+(?:['\u2019\u02bc\u2018.&-][^\W_]+)*")
_BREAK = re.compile(r"[.!?;,()\[\]\n:=\u2014\u2013]")
_QUOTES = " \"'\u201c\u201d\u2018\u2019*_`("
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
    """`text` is normalised, empty for an article; `parted` says that a run ends before this word."""

    start: int
    end: int
    text: str
    parted: bool


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
    words = [word for word in _words(response) if word.text]
    flat = [(piece, word) for word in words for piece in word.text.split()]
    spellings = sorted({tuple(normalise(answer).split()) for answer in answers} - {()}, key=len, reverse=True)
    for place in range(len(flat)):
        for spelling in spellings:
            pieces = flat[place : place + len(spelling)]
            if tuple(piece for piece, _ in pieces) == spelling:
                return Span(pieces[0][1].start, pieces[-1][1].end)
    return None


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
    for word in words:
        pieces = set(word.text.split())
        new = bool(pieces - known - _FUNCTION)
        if word.parted or pieces & _BE or (pieces & (known - _FUNCTION) and not new):
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
        gap = response[end : match.start()]
        found.append(_Word(match.start(), match.end(), normalise(match.group()), bool(_BREAK.search(gap))))
        end = match.end()
    return found
