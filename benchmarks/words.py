"""Rules for the words that answer, held to words marked by hand: `python -m benchmarks.words` writes docs/words.md.

Owns the rules that were tried, and what each is judged by: agreement with the marked words on right and on wrong
answers, and how well the words' length and place, or the words alone, tell the two apart. A rule under which they do
makes a probe that reads the rule. Refuses to choose: the default is `backend.types.plan.Plan.words`.

The marks (`marked_words.jsonl`): of the shipped run's answers that its filter kept, 100 right and 100 wrong by the
rules of judging of that day, drawn by seed, one relation after the other, in random order ("tried"), and 100 more in
the same way ("checked"). One person marked the shortest words that name what was asked for, with nothing but question
and answer before them: no verdict, no known answer, no rule's output; an answer that names nothing has no mark. The
rule `phrase` was written while looking at its faults on the first 200; the other 100 were marked before any rule was
run on them, but it was changed since, for faults on the first 200 and for answers that lost their words, when its
errors on the 100 had been seen: they are nearly, not wholly, held out.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer

from backend.identify.answers.items import Answered, kept
from backend.identify.answers.phrases import phrase
from backend.identify.answers.spans import led, new_words, runs_of
from backend.identify.answers.wording import Span, Word, words_of
from backend.identify.evaluation.baselines import prior
from backend.probes import library
from backend.runs.folder import RunFolder, packed
from backend.text.verdict import normalise, places
from backend.types.identify import CONSISTENCIES, Greedy, Question, Samples, Side
from cache import atomic
from cache.paths import models_dir

MARKED = Path(__file__).parent / "marked_words.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "words.md"
PROBE = "smollm2-135m-instruct"
DRAWS = 1000
PARTS = {"tried": 200, "checked": 100}
"""Marked answers of each part."""
DEFAULT = "the phrase that answers (`phrase`)"
"""The rule that is used, as the page names it."""

Rule = Callable[[str, Question], Span | None]


@dataclass(frozen=True)
class Mark:
    """An answer whose words were marked by hand; `span` is None where it names nothing."""

    part: str
    question: Question
    response: str
    side: Side
    span: Span | None


def marks() -> list[Mark]:
    """The marked answers."""
    told = []
    for line in MARKED.read_text("utf-8").splitlines():
        one = json.loads(line)
        span = None if one["start"] is None else Span(one["start"], one["end"])
        question = Question(id=one["question"], text=one["text"], answers=("?",))
        told.append(Mark(one["part"], question, one["response"], one["side"], span))
    return told


def agreement(mark: Mark, found: Span | None) -> tuple[float, float]:
    """(whether the very words were found, F1 over words), articles aside."""
    if mark.span is None or found is None:
        same = float(mark.span is None and found is None)
        return same, same
    wanted, got = _held(mark.response, mark.span), _held(mark.response, found)
    both = len(wanted & got)
    return float(wanted == got), 1.0 if wanted == got else 2 * both / (len(wanted) + len(got))


def _held(response: str, span: Span) -> frozenset[int]:
    touched = [one for one in words_of(response) if one.start < span.end and one.end > span.start]
    return frozenset(one.start for one in touched if not set(one.pieces) <= {"a", "an", "the"})


def rules(greedy: Mapping[str, Greedy]) -> dict[str, Rule]:
    """Each rule that was tried, by a name for people."""
    tokenizer = Tokenizer.from_file(str(next(models_dir().glob("gguf-*/tokenizer.json"))))
    return {
        DEFAULT: lambda response, question: phrase(response, question.text),
        "the first new words (`blind`)": lambda response, question: new_words(response, question.text),
        "the last new words": lambda response, question: _run(response, question, lambda runs: runs[-1]),
        "the longest that looks like a name": lambda response, question: _run(response, question, _longest_name),
        "the last noun of the first new words": lambda response, question: _run(
            response, question, lambda runs: (led(response, runs) or runs[0])[-1:]
        ),
        "the most surprising new word": lambda response, question: _surprising(
            response, question, greedy[question.id], tokenizer
        ),
    }


def _run(response: str, question: Question, choose: Callable[[list[list[Word]]], list[Word]]) -> Span | None:
    runs = runs_of(response, question.text)
    if not runs:
        return None
    chosen = choose(runs)
    return Span(chosen[0].start, chosen[-1].end)


def _longest_name(runs: list[list[Word]]) -> list[Word]:
    names = [one for one in runs if one[0].raw[0].isupper() or one[0].raw[0].isdigit()]
    return max(names or runs, key=lambda one: one[-1].end - one[0].start)


def _surprising(response: str, question: Question, greedy: Greedy, tokenizer: Tokenizer) -> Span | None:
    offsets = tokenizer.encode(response, add_special_tokens=False).offsets
    best: tuple[float, Word] | None = None
    for word in (word for run in runs_of(response, question.text) for word in run if not word.is_function):
        told = [
            -chance
            for (start, end), chance in zip(offsets, greedy.log_probs, strict=False)
            if start < word.end and end > word.start
        ]
        if told and (best is None or max(told) > best[0]):
            best = max(told), word
    return None if best is None else Span(best[1].start, best[1].end)


def agreements(rule: Rule, part: str) -> dict[Side, np.ndarray]:
    """Of each side, (exact, F1) of every marked answer: [answer, 2]."""
    found: dict[Side, list[tuple[float, float]]] = {"right": [], "wrong": []}
    for mark in marks():
        if mark.part == part:
            found[mark.side].append(agreement(mark, rule(mark.response, mark.question)))
    return {side: np.array(told) for side, told in found.items()}


def agreement_cells(rule: Rule, part: str) -> tuple[str, ...]:
    """How a rule agrees with the marks of a part, as cells: answers, exact and F1 on either side, gap."""
    found = agreements(rule, part)
    cells = [_interval(found[side][:, column]) for side in ("right", "wrong") for column in (0, 1)]
    return f"{PARTS[part]}", *cells, _gap(found["right"][:, 1], found["wrong"][:, 1])


def _interval(values: np.ndarray) -> str:
    draws = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def _gap(right: np.ndarray, wrong: np.ndarray) -> str:
    draw = np.random.default_rng(0)
    told = [draw.choice(right, len(right)).mean() - draw.choice(wrong, len(wrong)).mean() for _ in range(DRAWS)]
    low, high = np.percentile(told, [2.5, 97.5])
    return f"{right.mean() - wrong.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def answers() -> tuple[dict[str, Greedy], list[tuple[Side, Question, str]]]:
    """The greedy answers by question, and the answers that the shipped run's filter keeps with their side."""
    run = RunFolder(library.SHIPPED / PROBE)

    def lines(journal: Path) -> Iterator[str]:
        with gzip.open(packed(journal), "rt", encoding="utf-8") as file:
            yield from file

    questions = {one.id: one for one in map(Question.model_validate_json, lines(run.questions))}
    greedy = {one.question: one for one in map(Greedy.model_validate_json, lines(run.greedy))}
    samples = {one.question: one for one in map(Samples.model_validate_json, lines(run.samples))}
    answered = [Answered(question, greedy[id], samples.get(id)) for id, question in questions.items()]
    return greedy, kept(answered, CONSISTENCIES["greedy and half"], {})[1]


def apart(rule: Rule, standing: Sequence[tuple[Side, Question, str]]) -> tuple[str, ...]:
    """What tells the sides apart under a rule, as cells: items, left out, length and place, words, words shuffled."""
    lost: Counter[str] = Counter()
    rows: list[tuple[int, str, str, str, list[float]]] = []
    for side, question, response in standing:
        span = rule(response, question)
        if span is None or (
            side == "right"
            and not any(max(span.start, at) < min(span.end, to) for at, to in places(response, question.answers))
        ):
            lost[side] += 1
            continue
        text = response[span.start : span.end]
        shape = [len(text), len(text.split()), span.start, span.start / len(response), span.end / len(response)]
        rows.append((side == "wrong", normalise(text), question.entity, question.relation, [float(x) for x in shape]))
    labels, names, entities, relations = (np.array(column) for column in list(zip(*rows, strict=True))[:4])
    shapes = np.array([row[4] for row in rows])
    keep = _balanced(labels, relations)
    labels, names, entities, relations, shapes = (one[keep] for one in (labels, names, entities, relations, shapes))
    folds = list(GroupKFold(5).split(shapes, labels, entities))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    shape_scores = cross_val_predict(model, shapes, labels, cv=folds, method="decision_function")
    draw = np.random.default_rng(0)
    shuffled = [_by_words(_shuffled(labels, relations, draw), names, folds) for _ in range(20)]
    return (
        f"{len(labels):,}",
        f"{lost['right']}, {lost['wrong']}",
        f"{roc_auc_score(labels, shape_scores):.3f}",
        f"{_by_words(labels, names, folds):.3f}",
        f"{np.mean(shuffled):.3f} ({min(shuffled):.3f} to {max(shuffled):.3f})",
    )


def _balanced(labels: np.ndarray, relations: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(0)
    told: list[int] = []
    for relation in np.unique(relations):
        sides = [np.flatnonzero((relations == relation) & (labels == side)) for side in (0, 1)]
        for side in sides:
            told += draw.choice(side, min(map(len, sides)), replace=False).tolist()
    return np.sort(np.array(told, dtype=np.int64))


def _by_words(labels: np.ndarray, names: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    scores = np.empty(len(labels))
    for train, test in folds:
        scores[test] = prior(labels[train], names[train], names[test], pull=1.0)
    return float(roc_auc_score(labels, scores))


def _shuffled(labels: np.ndarray, relations: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    told = labels.copy()
    for relation in np.unique(relations):
        held = np.flatnonzero(relations == relation)
        told[held] = draw.permutation(told[held])
    return told


def page() -> str:
    """The page: both tables, and what they say."""
    greedy, standing = answers()
    tried = rules(greedy)
    agree, tell = [], []
    for name, rule in tried.items():
        agree += [[name, *agreement_cells(rule, part)] for part in PARTS]
        tell.append([name, *apart(rule, standing)])
    return _TEXT.format(
        agree="\n".join(f"| {' | '.join(row)} |" for row in agree),
        tell="\n".join(f"| {' | '.join(row)} |" for row in tell),
    )


_TEXT = """# Which words answer

Features are read over the tokens of the words that answer, so those have to be found, in right and in wrong answers by
one rule: two rules can be told apart by the rules alone. Written by `python -m benchmarks.words` from
`benchmarks/marked_words.jsonl` and the answers of the probe that ships.

## Agreement with words marked by hand

100 right and 100 wrong answers over all relations, drawn by seed, on which `phrase` was written, and 50 of each more
that were marked before any rule was run on them. `phrase` was changed after its errors on these had been seen, for
faults on the first 200 and for answers that lost their words: the 100 are nearly, not wholly, held out. One person
marked all of them with nothing but question and answer before them. Exact: the very words, articles aside; F1 over
words; intervals of 95 % over answers drawn again. Gap: F1 on right minus on wrong answers.

| rule | answers | right, exact | right, F1 | wrong, exact | wrong, F1 | gap |
| --- | --- | --- | --- | --- | --- | --- |
{agree}

## What tells right from wrong without looking at a neuron

Of the answers that the probe's filter keeps, balanced within each relation, AUROC in five folds that keep entities
together. *Left out*: right answers whose words hold nothing of a known spelling or that have none, wrong ones that have
none. *Length and place*: a logistic regression on how long the words are and where they stand. *Words*: how often the
same words were wrong elsewhere. *Shuffled*: the same with labels shuffled within each relation, 20 times, smallest and
largest; it must be 0.5, and is below it where a name seen on one side leaves fewer of that side.

| rule | items | left out: right, wrong | length and place | words | words, shuffled |
| --- | --- | --- | --- | --- | --- |
{tell}

Wrong answers are longer under every rule, also as marked by hand, because they are: right answers are often a name,
wrong ones a description. `phrase` is the default: it agrees best on both sides and leaves out fewest answers, and its
words' length and place tell the sides apart no better than those of the others, within what such figures vary.
"""


if __name__ == "__main__":
    atomic.export(PAGE, page().encode())
    sys.stdout.write(f"{PAGE}\n")
