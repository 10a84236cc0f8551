"""The items of a run with their features, split into a training and a held-out part.

Owns the split and how an item's rows are picked. The held-out part is used once, for the report card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.identify.answers.items import folds, groups, labels
from backend.identify.evaluation.baselines import simple
from backend.identify.features.extract import Features
from backend.identify.fit.choice import Items
from backend.text.verdict import normalise
from backend.types.identify import Item, Question
from backend.types.plan import Plan


@dataclass(frozen=True)
class Part:
    """The training or the held-out items: what fits see of them, and what else is known."""

    items: tuple[Item, ...]
    seen: Items
    simple: Float[np.ndarray, "item 4"]
    relations: np.ndarray
    """Names, [item]."""
    lengths: Int[np.ndarray, " item"]
    words: np.ndarray
    """The words that answer, normalised, [item]."""
    subjects: np.ndarray
    """What each is asked about, normalised, [item]."""

    @property
    def strata(self) -> Int[np.ndarray, " item"]:
        """A number for each item's relation."""
        return np.unique(self.relations, return_inverse=True)[1]


@dataclass(frozen=True)
class Study:
    """Both parts, and the entities of the held-out one."""

    train: Part
    test: Part


def split(
    items: Sequence[Item], questions: Mapping[str, Question], plan: Plan
) -> tuple[frozenset[str], frozenset[str]]:
    """Questions of the training and of the held-out part, whole entities together. Raises BadInput for too few."""
    held = folds(items, questions, plan.training.held_out, plan.seed) == 0
    test = frozenset(item.question for item, out in zip(items, held, strict=True) if out)
    return frozenset(item.question for item in items) - test, test


def refuse_unsplit(
    items: Sequence[Item], questions: Mapping[str, Question], test: frozenset[str], plan: Plan
) -> np.ndarray:
    """The folds of the training part: [item]. Known before a feature is read.

    Raises BadInput where the held-out part has one side alone, or the training part makes no folds.
    """
    train = [item for item in items if item.question not in test]
    sides = {item.side for item in items if item.question in test}
    if len(sides) < 2:
        count = len(items) - len(train)
        raise BadInput("The held-out items are all of one side", f"there are {count}", "ask more questions")
    return folds(train, questions, plan.training.folds, plan.seed)


def study(
    items: Sequence[Item],
    rows: Sequence[int],
    features: Features,
    questions: Mapping[str, Question],
    test: frozenset[str],
    plan: Plan,
) -> Study:
    """Both parts of `items`, whose features stand in `rows`. Raises BadInput where a part is too small."""
    held = np.array([item.question in test for item in items])
    inner = refuse_unsplit(items, questions, test, plan)
    train, out = (_part(items, rows, features, questions, np.flatnonzero(held == side), plan) for side in (0, 1))
    return Study(replace(train, seen=replace(train.seen, folds=inner)), out)


def _part(
    items: Sequence[Item],
    rows: Sequence[int],
    features: Features,
    questions: Mapping[str, Question],
    places: np.ndarray,
    plan: Plan,
) -> Part:
    chosen = [items[place] for place in places]
    lines = np.array([rows[place] for place in places], dtype=np.int64)
    confidences = [features.confidences[line] for line in lines]
    other = np.asarray(features.other[lines]) if plan.training.labels == "3-vs-1" else None
    return Part(
        items=tuple(chosen),
        seen=Items(
            np.asarray(features.answer[lines]),
            other,
            labels(chosen),
            groups(chosen, questions),
            np.zeros(len(chosen), dtype=np.int64),
        ),
        simple=simple(confidences),
        relations=np.array([questions[item.question].relation for item in chosen], dtype=object).astype(str),
        lengths=np.array([one.tokens for one in confidences], dtype=np.int64),
        words=_names(item.response[item.start : item.end] for item in chosen),
        subjects=_names(questions[item.question].entity for item in chosen),
    )


def _names(texts: Iterable[str]) -> np.ndarray:
    return np.array([normalise(one) for one in texts], dtype=object).astype(str)
