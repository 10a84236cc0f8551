"""Rules for the words that answer, compared with hand-marked words: `python -m benchmarks.words` writes docs/words.md.

Owns the rules that were tried, and how each is judged: by agreement with the marked words on right and on wrong
answers, and by how well the words' length and place, or the words alone, distinguish right from wrong. If they
distinguish well, a probe would learn the rule itself. The default is chosen elsewhere: `backend.types.plan.Plan.words`.

The marks (`marked_words.jsonl`) are of answers of the shipped run that its filter kept. 100 right and 100 wrong ones,
by the rules of judging at that time, were drawn by seed, one relation after the other, and put in random order
("tried"); then 100 more in the same way ("checked"). One person marked the shortest words that name what was asked for,
seeing only question and answer: no verdict, no known answer, no rule's output. An answer that names nothing has no
mark. The rule `phrase` was written while looking at its errors on the first 200. The other 100 were marked before any
rule was run on them, but the rule was changed after its errors on the 100 had been seen, for errors on the first 200
and for answers that lost their words: the 100 are nearly, not wholly, held out.
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

from backend.identify.answers.items import Answered, apply_filter
from backend.identify.answers.phrases import phrase
from backend.identify.answers.spans import new_word_runs, new_words, run_after_copula
from backend.identify.answers.wording import Span, Word, words_of
from backend.identify.evaluation.baselines import share_by_name
from backend.probes import library
from backend.runs.folder import RunFolder, packed_path
from backend.text.verdict import normalise, places
from backend.types.identify import CONSISTENCIES, Greedy, Question, Samples, Side
from cache import atomic
from cache.paths import models_dir

MARKED = Path(__file__).parent / "marked_words.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "words.md"
PROBE = "smollm2-135m-instruct"
DRAWS = 1000
PARTS = {"tried": 200, "checked": 100}
"""Number of marked answers of each part."""
DEFAULT = "the phrase that answers (`phrase`)"
"""The rule that is used, as the page names it."""

Rule = Callable[[str, Question], Span | None]


@dataclass(frozen=True)
class MarkedAnswer:
    """An answer whose words were marked by hand; `span` is None if it names nothing."""

    part: str
    question: Question
    response: str
    side: Side
    span: Span | None


def marks() -> list[MarkedAnswer]:
    """The marked answers."""
    marked = []
    for line in MARKED.read_text("utf-8").splitlines():
        row = json.loads(line)
        span = None if row["start"] is None else Span(row["start"], row["end"])
        question = Question(id=row["question"], text=row["text"], answers=("?",))
        marked.append(MarkedAnswer(row["part"], question, row["response"], row["side"], span))
    return marked


def agreement(mark: MarkedAnswer, chosen: Span | None) -> tuple[float, float]:
    """(whether exactly these words were chosen, F1 over words), ignoring articles."""
    if mark.span is None or chosen is None:
        same = float(mark.span is None and chosen is None)
        return same, same
    wanted, got = _content_words(mark.response, mark.span), _content_words(mark.response, chosen)
    both = len(wanted & got)
    return float(wanted == got), 1.0 if wanted == got else 2 * both / (len(wanted) + len(got))


def _content_words(response: str, span: Span) -> frozenset[int]:
    touched = [word for word in words_of(response) if word.start < span.end and word.end > span.start]
    return frozenset(word.start for word in touched if not set(word.pieces) <= {"a", "an", "the"})


def rules(greedy: Mapping[str, Greedy]) -> dict[str, Rule]:
    """Each rule that was tried, by a name for people."""
    tokenizer = Tokenizer.from_file(str(next(models_dir().glob("gguf-*/tokenizer.json"))))
    return {
        DEFAULT: lambda response, question: phrase(response, question.text),
        "the first new words (`blind`)": lambda response, question: new_words(response, question.text),
        "the last new words": lambda response, question: _chosen_run(response, question, lambda runs: runs[-1]),
        "the longest that looks like a name": lambda response, question: _chosen_run(response, question, _longest_name),
        "the last noun of the first new words": lambda response, question: _chosen_run(
            response, question, lambda runs: (run_after_copula(response, runs) or runs[0])[-1:]
        ),
        "the most surprising new word": lambda response, question: _most_surprising(
            response, question, greedy[question.id], tokenizer
        ),
    }


def _chosen_run(response: str, question: Question, choose: Callable[[list[list[Word]]], list[Word]]) -> Span | None:
    runs = new_word_runs(response, question.text)
    if not runs:
        return None
    chosen = choose(runs)
    return Span(chosen[0].start, chosen[-1].end)


def _longest_name(runs: list[list[Word]]) -> list[Word]:
    names = [run for run in runs if run[0].raw[0].isupper() or run[0].raw[0].isdigit()]
    return max(names or runs, key=lambda run: run[-1].end - run[0].start)


def _most_surprising(response: str, question: Question, greedy: Greedy, tokenizer: Tokenizer) -> Span | None:
    offsets = tokenizer.encode(response, add_special_tokens=False).offsets
    best: tuple[float, Word] | None = None
    for word in (word for run in new_word_runs(response, question.text) for word in run if not word.is_function):
        surprises = [
            -chance
            for (start, end), chance in zip(offsets, greedy.log_probs, strict=False)
            if start < word.end and end > word.start
        ]
        if surprises and (best is None or max(surprises) > best[0]):
            best = max(surprises), word
    return None if best is None else Span(best[1].start, best[1].end)


def agreements(rule: Rule, part: str) -> dict[Side, np.ndarray]:
    """For each side, (exact, F1) of every marked answer: [answer, 2]."""
    by_side: dict[Side, list[tuple[float, float]]] = {"right": [], "wrong": []}
    for mark in marks():
        if mark.part == part:
            by_side[mark.side].append(agreement(mark, rule(mark.response, mark.question)))
    return {side: np.array(rows) for side, rows in by_side.items()}


def agreement_cells(rule: Rule, part: str) -> tuple[str, ...]:
    """The agreement of a rule with the marks of a part, as cells: answers, exact and F1 for each side, gap."""
    by_side = agreements(rule, part)
    cells = [_mean_cell(by_side[side][:, column]) for side in ("right", "wrong") for column in (0, 1)]
    return f"{PARTS[part]}", *cells, _gap_cell(by_side["right"][:, 1], by_side["wrong"][:, 1])


def _mean_cell(values: np.ndarray) -> str:
    draws = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def _gap_cell(right: np.ndarray, wrong: np.ndarray) -> str:
    random = np.random.default_rng(0)
    gaps = [random.choice(right, len(right)).mean() - random.choice(wrong, len(wrong)).mean() for _ in range(DRAWS)]
    low, high = np.percentile(gaps, [2.5, 97.5])
    return f"{right.mean() - wrong.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def answers() -> tuple[dict[str, Greedy], list[tuple[Side, Question, str]]]:
    """The greedy answers by question, and the answers that the shipped run's filter keeps, with their side."""
    run = RunFolder(library.SHIPPED / PROBE)

    def lines(journal: Path) -> Iterator[str]:
        with gzip.open(packed_path(journal), "rt", encoding="utf-8") as file:
            yield from file

    questions = {question.id: question for question in map(Question.model_validate_json, lines(run.questions))}
    greedy = {row.question: row for row in map(Greedy.model_validate_json, lines(run.greedy))}
    samples = {row.question: row for row in map(Samples.model_validate_json, lines(run.samples))}
    answered = [Answered(question, greedy[id], samples.get(id)) for id, question in questions.items()]
    return greedy, apply_filter(answered, CONSISTENCIES["greedy and half"], {})[1]


def apart(rule: Rule, standing: Sequence[tuple[Side, Question, str]]) -> tuple[str, ...]:
    """What distinguishes the sides under a rule, as cells: items, left out, length and place, words, words shuffled."""
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
    keep = _balanced_items(labels, relations)
    labels, names, entities, relations, shapes = (
        column[keep] for column in (labels, names, entities, relations, shapes)
    )
    folds = list(GroupKFold(5).split(shapes, labels, entities))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    shape_scores = cross_val_predict(model, shapes, labels, cv=folds, method="decision_function")
    random = np.random.default_rng(0)
    shuffled = [_auroc_of_words(_shuffled(labels, relations, random), names, folds) for _ in range(20)]
    return (
        f"{len(labels):,}",
        f"{lost['right']}, {lost['wrong']}",
        f"{roc_auc_score(labels, shape_scores):.3f}",
        f"{_auroc_of_words(labels, names, folds):.3f}",
        f"{np.mean(shuffled):.3f} ({min(shuffled):.3f} to {max(shuffled):.3f})",
    )


def _balanced_items(labels: np.ndarray, relations: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(0)
    balanced: list[int] = []
    for relation in np.unique(relations):
        sides = [np.flatnonzero((relations == relation) & (labels == side)) for side in (0, 1)]
        for side in sides:
            balanced += random.choice(side, min(map(len, sides)), replace=False).tolist()
    return np.sort(np.array(balanced, dtype=np.int64))


def _auroc_of_words(labels: np.ndarray, names: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    scores = np.empty(len(labels))
    for train, test in folds:
        scores[test] = share_by_name(labels[train], names[train], names[test], pull=1.0)
    return float(roc_auc_score(labels, scores))


def _shuffled(labels: np.ndarray, relations: np.ndarray, random: np.random.Generator) -> np.ndarray:
    shuffled = labels.copy()
    for relation in np.unique(relations):
        members = np.flatnonzero(relations == relation)
        shuffled[members] = random.permutation(shuffled[members])
    return shuffled


def page() -> str:
    """The page: both tables and their text."""
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
