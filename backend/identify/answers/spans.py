"""Stage 5, answer spans: which words of a response are the answer.

Owns which rule is used (`WordRule`), the known spelling, and the rule `blind`. The answer is found as what the response
says and the question does not, by one rule for right and wrong answers: with one rule for right answers and another for
wrong ones a probe could tell them apart by the rules alone. On the shipped questions the known spelling of a right
answer had 1.3 tokens and the new words of a wrong one 3.9, and a probe over them learned this difference. A right
answer whose words have no overlap with a known spelling is left out and counted.

The rule `phrase`, the default, is in `backend.identify.answers.phrases`; docs/words.md compares it with others.
The rule `blind`, which earlier runs used:

1. Words are compared without case, accents and punctuation. A word is *new* if the question has no such word and
   it is no function word.
2. New words in a row, function words between them allowed ("University *of* Madrid"), are a run; a run ends at
   the end of a sentence or of its part (`backend.identify.answers.wording`), and at a form of "be".
3. The first run after a form of "be", a colon or "=" is the answer; if there is none, the first run.

Where nothing is new there is no span: such a response is left out and counted too. Spans are characters;
`backend.identify.features.regions` finds the tokens that touch them.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.identify.answers.phrases import phrase
from backend.identify.answers.wording import BE, BREAK, FUNCTION, QUOTES, WORD, Word, is_letter, is_parted, words_of
from backend.identify.answers.wording import Span as Span
from backend.text.verdict import normalise, places
from backend.types.identify import Question, Verdict, WordRule


def span_by_rule(response: str, question: Question, side: Verdict, rule: WordRule) -> Span | None:
    """The words of a response that answer; None where the rule finds none."""
    if side == "right" and rule == "known":
        return known_words(response, question.answers)
    new = new_words(response, question.text) if rule != "phrase" else phrase(response, question.text)
    if side != "right" or new is None:
        return new
    known = places(response, question.answers)
    return new if any(max(new.start, start) < min(new.end, stop) for start, stop in known) else None


def known_words(response: str, answers: Sequence[str]) -> Span | None:
    """The place of the first known spelling, the longest of those that begin there; None if the response has none."""
    first = next(places(response, answers), None)
    return None if first is None else Span(*first)


def new_words(response: str, question: str) -> Span | None:
    """The words that are not in the question, by the rules above; None where nothing in the response is new."""
    runs = new_word_runs(response, question)
    if not runs:
        return None
    chosen = run_after_copula(response, runs) or runs[0]
    return Span(chosen[0].start, chosen[-1].end)


def new_word_runs(response: str, question: str) -> list[list[Word]]:
    """Runs of consecutive words that are not in the question, in order."""
    return _new_word_runs(words_of(response), set(normalise(question).split()))


def run_after_copula(response: str, runs: Sequence[list[Word]]) -> list[Word] | None:
    """The first run directly after a form of "be", a colon or "="."""
    return next((run for run in runs if _is_after_copula(response[: run[0].start])), None)


def _new_word_runs(words: Sequence[Word], known: set[str]) -> list[list[Word]]:
    """Runs of new words, each from its first new word to its last."""
    runs: list[list[Word]] = []
    pending: list[Word] = []
    """Function words after the last new word: a part of the run only if another new word follows."""
    is_open = False
    for place, word in enumerate(words):
        run = runs[-1] if is_open and not pending else []
        parted = is_parted(words, place, run)
        pieces = set(word.pieces)
        new = bool(pieces - known - FUNCTION) or (not pieces & known and is_letter(words, place, parted))
        if parted or pieces & BE or (pieces & (known - FUNCTION) and not new):
            is_open = False
        if new and is_open:
            runs[-1] += [*pending, word]
        elif new:
            runs.append([word])
        else:
            pending.append(word)
            continue
        pending, is_open = [], True
    return runs


def _is_after_copula(before: str) -> bool:
    """Whether `before` ends with a form of "be", a colon or "=", apart from articles and quotes."""
    bare = before.rstrip(QUOTES)
    words = [match for match in WORD.finditer(bare[-40:]) if normalise(match.group())]
    behind = bare[-40:][words[-1].end() :] if words else bare
    if behind.strip(QUOTES).endswith((":", "=")):
        return True
    return bool(words) and normalise(words[-1].group()).split()[-1] in BE and not BREAK.search(behind)
