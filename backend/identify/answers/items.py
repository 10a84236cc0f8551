"""From answers to items: the responses that represent right and wrong, balanced within each relation and split.

Owns which response represents a question, the balance and the split. Uses verdicts, filter and spans of other modules.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from backend.errors import BadInput
from backend.identify.answers.consistency import balanced, fate
from backend.identify.answers.judge import rule_verdict
from backend.identify.answers.spans import Span, span_by_rule
from backend.text.verdict import normalise
from backend.types.identify import Consistency, Fate, Funnel, Greedy, Item, Question, Samples, Side, Verdict, WordRule
from backend.types.plan import Screening, Training

Overrules = Mapping[tuple[str, str], Verdict]
"""(question, response) -> a verdict that replaces the rules'."""
Marked = Mapping[tuple[str, str], tuple[int, int]]
"""(question, response) -> start and end of the characters that answer, which replace those that the rules find."""
MIN_SIDE = 10
"""Fewest items of each side: by default a third of them is held out, and the others are split into folds."""


@dataclass(frozen=True)
class Answered:
    """A question with its answers; `samples` is None where only the greedy answer was computed."""

    question: Question
    greedy: Greedy
    samples: Samples | None

    def verdicts(self, overrules: Overrules) -> tuple[Verdict, list[Verdict]]:
        """(on the greedy answer, on each sample)."""
        all_verdicts = [
            overrules.get((self.question.id, text)) or rule_verdict(text, self.question) for text in self.texts
        ]
        return all_verdicts[0], all_verdicts[1:]

    @property
    def texts(self) -> list[str]:
        """The greedy answer, then the samples."""
        return [self.greedy.answer.text, *(sample.text for sample in (self.samples.answers if self.samples else ()))]


def choose_items(
    answered: Sequence[Answered],
    filter: Consistency,
    seed: int,
    overrules: Overrules | None = None,
    marked: Marked | None = None,
    words: WordRule = "phrase",
) -> tuple[list[Item], Funnel]:
    """The items, equally many right and wrong ones of each relation, drawn by `seed`, and the counts of each step.

    Within a relation, as far as there are any, wrong answers to questions of a form are drawn for right ones to
    questions of the same form: who is asked for a full sentence is right more often than who is asked for one word.
    """
    fates, representatives = apply_filter(answered, filter, overrules or {})
    items_with_span: list[Item] = []
    missing: Counter[str] = Counter()
    for side, question, response in representatives:
        span = span_of(side, response, question, marked or {}, words)
        if span is None:
            missing[side] += 1
        else:
            items_with_span.append(
                Item(question=question.id, side=side, response=response, start=span.start, end=span.end)
            )
    relations = {answers.question.id: answers.question.relation for answers in answered}
    sides: dict[str, Fate] = {item.question: item.side for item in items_with_span}
    room = balanced(sides, relations)
    forms = {answers.question.id: _form(answers.question) for answers in answered}
    items = _draw_balanced(items_with_span, relations, forms, room, seed)
    count = Counter(fates.values())
    spanned = Counter((relations[item.question], item.side) for item in items_with_span)
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


def apply_filter(
    answered: Sequence[Answered], filter: Consistency, overrules: Overrules
) -> tuple[dict[str, Fate], list[tuple[Side, Question, str]]]:
    """The outcome of each question that has samples; and of those that the filter keeps the side, the question and the
    response that represents it."""
    fates: dict[str, Fate] = {}
    representatives: list[tuple[Side, Question, str]] = []
    for answers in answered:
        if answers.samples is None:
            continue
        greedy, samples = answers.verdicts(overrules)
        outcome = fates[answers.question.id] = fate(filter, greedy, samples)
        if outcome == "right" or outcome == "wrong":
            representatives.append(
                (outcome, answers.question, _representative(outcome, answers, [greedy, *samples], filter))
            )
    return fates, representatives


def _representative(side: Verdict, answers: Answered, verdicts: Sequence[Verdict], filter: Consistency) -> str:
    """The greedy answer where the filter requires that it agrees, else the most frequent sample of that side."""
    if filter.greedy:
        return answers.texts[0]
    texts = [text for text, text_verdict in zip(answers.texts[1:], verdicts[1:], strict=True) if text_verdict == side]
    counts = Counter(map(normalise, texts))
    return max(texts, key=lambda text: (counts[normalise(text)], -texts.index(text)))


def span_of(side: Verdict, response: str, question: Question, marked: Marked, words: WordRule) -> Span | None:
    """The words of a response that answer: as marked, or else by the rule."""
    mark = marked.get((question.id, response))
    if mark is not None:
        return Span(*mark)
    return span_by_rule(response, question, side, words)


def _form(question: Question) -> str:
    """What is asked, without the entity that it is asked of."""
    if not question.entity:
        return question.text
    # As whole words: the element W is no part of "Which".
    return re.sub(rf"(?<!\w){re.escape(question.entity)}(?!\w)", "\0", question.text)


def _draw_balanced(
    candidates: Sequence[Item],
    relations: Mapping[str, str],
    forms: Mapping[str, str],
    room: Mapping[str, int],
    seed: int,
) -> list[Item]:
    by_relation_and_side: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in candidates:
        by_relation_and_side[relations[item.question], item.side].append(item)
    draw = np.random.default_rng(seed)
    chosen_questions: set[str] = set()
    for (relation, side), same_side in sorted(by_relation_and_side.items()):
        other_side = by_relation_and_side.get((relation, "right" if side == "wrong" else "wrong"), [])
        asked = [forms[item.question] for item in same_side]
        places = _draw_alike(asked, [forms[item.question] for item in other_side], room[relation], draw)
        chosen_questions |= {same_side[place].question for place in places}
    return [item for item in candidates if item.question in chosen_questions]


def _draw_alike(forms: Sequence[str], other_forms: Sequence[str], room: int, draw: np.random.Generator) -> list[int]:
    """`room` places of `forms`: first as many of each form as the other side has, then any."""
    of_form: dict[str, list[int]] = defaultdict(list)
    for place, form in enumerate(forms):
        of_form[form].append(place)
    wanted = Counter(other_forms)
    chosen: list[int] = []
    for form, places in sorted(of_form.items()):
        count = min(len(places), wanted[form])
        if count:
            chosen += [places[at] for at in draw.choice(len(places), count, replace=False)]
    left = sorted({*range(len(forms))} - {*chosen})
    if room > len(chosen):
        chosen += [left[at] for at in draw.choice(len(left), room - len(chosen), replace=False)]
    return chosen


def labels(items: Sequence[Item]) -> np.ndarray:
    """1 for a wrong (hallucinated) answer, 0 for a right one: [item]."""
    return np.array([item.side == "wrong" for item in items], dtype=np.int64)


def entity_numbers(items: Sequence[Item], questions: Mapping[str, Question]) -> np.ndarray:
    """A number for each item's entity, [item]: items of one entity are never on both sides of a split."""
    names = [_entity(questions[item.question]) for item in items]
    return np.unique(names, return_inverse=True)[1]


def _entity(question: Question) -> str:
    """The question's entity; a question that names none is an entity of its own."""
    return normalise(question.entity) or question.id


def items_needed(training: Training) -> int:
    """Fewest items of each side that the plan can split: every part of the split has one, and so has every fold."""
    count = max(MIN_SIDE, training.held_out)
    while count - math.ceil(count / training.held_out) < training.folds:
        count += 1
    return count


def refuse_few(questions: Iterable[Question], training: Training, screening: Screening | None = None) -> None:
    """Raises BadInput where the questions, the limit of screening, or the entities are too few, whatever the answers
    will be."""
    questions, each = tuple(questions), items_needed(training)
    most = len(questions)
    if screening is not None and screening.at_most is not None:
        most = min(most, screening.at_most)
    if most < 2 * each:
        raise BadInput(
            f"{most} question{' is' if most == 1 else 's are'} too few",
            f"each gives at most one answer, and a probe needs {each} right and {each} wrong ones",
            "ask more questions: several times as many, since the model is seldom right on just half of them",
        )
    count = len({_entity(question) for question in questions})
    if count < max(training.held_out, training.folds + 1):
        raise BadInput(
            f"Questions about {_entities(count)} are too few",
            f"one of {training.held_out} parts is held out and the others make {training.folds} folds, with all items "
            "of an entity together",
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
            f"{count} folds need at least {count} right and {count} wrong ones",
            "ask more questions, or soften the filter",
        )
    entities = entity_numbers(items, questions)
    if len(np.unique(entities)) < count:
        raise BadInput(
            f"Items about {_entities(len(np.unique(entities)))} are too few",
            f"all items of an entity stay together, so {count} folds need at least {count} entities",
            "ask about more entities, or for fewer folds",
        )
    strata = np.array([f"{questions[item.question].relation}\0{item.side}" for item in items])
    if max(Counter(strata.tolist()).values()) < count:
        # No relation has an item for each fold: only the sides can be spread evenly.
        strata = y.astype(str)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    fold_of_item = np.empty(len(items), dtype=np.int64)
    for number, (_, test) in enumerate(_split(splitter, strata, entities)):
        fold_of_item[test] = number
    return fold_of_item


def _split(splitter: StratifiedGroupKFold, strata: np.ndarray, entities: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    # scikit-learn warns that relations with fewer items than folds cannot be spread evenly, which is expected.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(strata, np.unique(strata, return_inverse=True)[1], entities))
