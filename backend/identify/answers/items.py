"""From answers to items: the responses that stand for right and wrong, balanced within each relation and split.

Owns which response stands for a question, the balance and the split. Refuses verdicts, filter and spans, which it
only asks for.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from backend.errors import BadInput
from backend.identify.answers.consistency import balanced, fate
from backend.identify.answers.judge import verdict
from backend.identify.answers.spans import Span, answering
from backend.text.verdict import normalise
from backend.types.identify import Consistency, Fate, Funnel, Greedy, Item, Question, Samples, Side, Verdict, WordRule
from backend.types.plan import Screening, Training

Overrules = Mapping[tuple[str, str], Verdict]
"""(question, response) -> a verdict that stands above the rules."""
Marked = Mapping[tuple[str, str], tuple[int, int]]
"""(question, response) -> the characters that answer, where they are not found by the rules."""
MIN_SIDE = 10
"""Fewest items of each side: a third of them is held out, and the rest is split again."""


@dataclass(frozen=True)
class Answered:
    """A question with its answers. Without `samples` only the greedy answer is known."""

    question: Question
    greedy: Greedy
    samples: Samples | None

    def verdicts(self, overrules: Overrules) -> tuple[Verdict, list[Verdict]]:
        """(on the greedy answer, on each sample)."""
        told = [overrules.get((self.question.id, text)) or verdict(text, self.question) for text in self.texts]
        return told[0], told[1:]

    @property
    def texts(self) -> list[str]:
        """The greedy answer, then the samples."""
        return [self.greedy.answer.text, *(one.text for one in (self.samples.answers if self.samples else ()))]


def choose(
    answered: Sequence[Answered],
    filter: Consistency,
    seed: int,
    overrules: Overrules | None = None,
    marked: Marked | None = None,
    words: WordRule = "phrase",
) -> tuple[list[Item], Funnel]:
    """The items, equally many right and wrong ones of each relation, drawn by `seed`, and what was left on the way."""
    fates, standing = kept(answered, filter, overrules or {})
    found: list[Item] = []
    missing: Counter[str] = Counter()
    for side, question, response in standing:
        span = span_of(side, response, question, marked or {}, words)
        if span is None:
            missing[side] += 1
        else:
            found.append(Item(question=question.id, side=side, response=response, start=span.start, end=span.end))
    relations = {one.question.id: one.question.relation for one in answered}
    sides: dict[str, Fate] = {item.question: item.side for item in found}
    room = balanced(sides, relations)
    items = _drawn(found, relations, room, seed)
    count = Counter(fates.values())
    spanned = Counter((relations[item.question], item.side) for item in found)
    return items, Funnel(
        asked=len(answered),
        sampled=len(fates),
        uncertain=count["uncertain"],
        mixed=count["mixed"],
        right=count["right"],
        wrong=count["wrong"],
        right_without_span=missing["right"],
        wrong_without_span=missing["wrong"],
        balanced=sum(room.values()),
        relations={name: (spanned[name, "right"], spanned[name, "wrong"], room[name]) for name in sorted(room)},
    )


def kept(
    answered: Sequence[Answered], filter: Consistency, overrules: Overrules
) -> tuple[dict[str, Fate], list[tuple[Side, Question, str]]]:
    """What became of each drawn question, and of those kept the side and the response that stands for it."""
    fates: dict[str, Fate] = {}
    standing: list[tuple[Side, Question, str]] = []
    for one in answered:
        if one.samples is None:
            continue
        greedy, samples = one.verdicts(overrules)
        told = fates[one.question.id] = fate(filter, greedy, samples)
        if told == "right" or told == "wrong":
            standing.append((told, one.question, _standing_for(told, one, [greedy, *samples], filter)))
    return fates, standing


def _standing_for(side: Verdict, one: Answered, verdicts: Sequence[Verdict], filter: Consistency) -> str:
    """The greedy answer where the filter asks it to agree, else the most frequent sample of that side."""
    if filter.greedy:
        return one.texts[0]
    texts = [text for text, told in zip(one.texts[1:], verdicts[1:], strict=True) if told == side]
    counts = Counter(map(normalise, texts))
    return max(texts, key=lambda text: (counts[normalise(text)], -texts.index(text)))


def span_of(side: Verdict, response: str, question: Question, marked: Marked, words: WordRule) -> Span | None:
    """The words of a response that answer: as marked, else by the rule."""
    held = marked.get((question.id, response))
    if held is not None:
        return Span(*held)
    return answering(response, question, side, words)


def _drawn(found: Sequence[Item], relations: Mapping[str, str], room: Mapping[str, int], seed: int) -> list[Item]:
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in found:
        groups[relations[item.question], item.side].append(item)
    draw = np.random.default_rng(seed)
    kept = {
        group[place].question
        for (relation, _), group in sorted(groups.items())
        for place in draw.choice(len(group), room[relation], replace=False)
    }
    return [item for item in found if item.question in kept]


def labels(items: Sequence[Item]) -> np.ndarray:
    """1 for a wrong (hallucinated) answer, 0 for a right one: [item]."""
    return np.array([item.side == "wrong" for item in items], dtype=np.int64)


def groups(items: Sequence[Item], questions: Mapping[str, Question]) -> np.ndarray:
    """A number for each item's entity: items of one entity never stand on both sides of a split. [item]"""
    names = [_entity(questions[item.question]) for item in items]
    return np.unique(names, return_inverse=True)[1]


def _entity(question: Question) -> str:
    """What the question is about; one that does not say so is about something of its own."""
    return normalise(question.entity) or question.id


def needed(training: Training) -> int:
    """Fewest items of each side that the plan can split: each part that is held out has one, and so has each fold."""
    count = max(MIN_SIDE, training.held_out)
    while count - math.ceil(count / training.held_out) < training.folds:
        count += 1
    return count


def refuse_few(questions: Iterable[Question], training: Training, screening: Screening | None = None) -> None:
    """Raises BadInput where the questions, those that answers are drawn for, or the entities that they are about are
    too few, however they will be answered."""
    questions, each = tuple(questions), needed(training)
    most = len(questions)
    if screening is not None and screening.at_most is not None:
        most = min(most, screening.at_most)
    if most < 2 * each:
        raise BadInput(
            f"{most} question{' is' if most == 1 else 's are'} too few",
            f"each gives one answer at most, and a probe needs {each} right and {each} wrong ones",
            "ask more questions: several times as many, since the model is seldom right on just half of them",
        )
    count = len({_entity(question) for question in questions})
    if count < max(training.held_out, training.folds + 1):
        raise BadInput(
            f"Questions about {_entities(count)} are too few",
            f"one part of {training.held_out} is held out and the rest makes {training.folds} folds, whole entities "
            "together",
            "ask about more entities, or for fewer folds",
        )


def _entities(count: int) -> str:
    return f"{count:,} {'entity' if count == 1 else 'entities'}"


def folds(items: Sequence[Item], questions: Mapping[str, Question], count: int, seed: int) -> np.ndarray:
    """The fold 0..count-1 of each item, stratified by relation and side, whole entities together: [item].

    Raises BadInput where there are too few items, or entities.
    """
    y = labels(items)
    if len(items) < 2 * count or min(y.sum(), len(y) - y.sum()) < count:
        raise BadInput(
            f"{len(items)} items are too few",
            f"{count} folds need {count} right and {count} wrong ones at least",
            "ask more questions, or soften the filter",
        )
    entities = groups(items, questions)
    if len(np.unique(entities)) < count:
        raise BadInput(
            f"Items about {_entities(len(np.unique(entities)))} are too few",
            f"whole entities together make no {count} folds",
            "ask about more entities, or for fewer folds",
        )
    strata = np.array([f"{questions[item.question].relation}\0{item.side}" for item in items])
    if max(Counter(strata.tolist()).values()) < count:
        # Not one relation has an item for each fold: only the sides can be spread evenly.
        strata = y.astype(str)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    found = np.empty(len(items), dtype=np.int64)
    for number, (_, test) in enumerate(_split(splitter, strata, entities)):
        found[test] = number
    return found


def _split(splitter: StratifiedGroupKFold, strata: np.ndarray, entities: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    # Relations with fewer items than folds only cannot be spread evenly: no reason to warn a person.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(strata, np.unique(strata, return_inverse=True)[1], entities))
