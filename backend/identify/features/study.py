"""The items of a run with their features, split into a training and a held-out part.

Owns the split and the selection of each part's rows. The held-out part is used only once, for the report card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.identify.answers.items import entity_numbers, folds, labels
from backend.identify.evaluation.baselines import FIRST_PROBABILITY, simple_scores
from backend.identify.features.extract import Features
from backend.identify.fit.choice import Items
from backend.identify.fit.selection import About
from backend.text.verdict import normalise
from backend.types.identify import Item, Question
from backend.types.plan import Plan


@dataclass(frozen=True)
class Part:
    """The training or the held-out items: the data of fits, and what else is known of the items."""

    items: tuple[Item, ...]
    seen: Items
    simple: Float[np.ndarray, "item 4"]
    relations: np.ndarray
    """Names, [item]."""
    lengths: Int[np.ndarray, " item"]
    words: np.ndarray
    """The words that answer, normalised, [item]."""
    subjects: np.ndarray
    """The entity of each question, normalised, [item]."""

    @property
    def strata(self) -> Int[np.ndarray, " item"]:
        """A number for each item's relation."""
        return np.unique(self.relations, return_inverse=True)[1]


@dataclass(frozen=True)
class Study:
    """The training and the held-out part, whose entities are numbered together."""

    train: Part
    test: Part


def split(
    items: Sequence[Item], questions: Mapping[str, Question], plan: Plan
) -> tuple[frozenset[str], frozenset[str]]:
    """Questions of the training and of the held-out part, whole entities together. Raises BadInput for too few."""
    is_held_out = folds(items, questions, plan.training.held_out, plan.seed) == 0
    test = frozenset(item.question for item, is_out in zip(items, is_held_out, strict=True) if is_out)
    return frozenset(item.question for item in items) - test, test


def refuse_unsplit(
    items: Sequence[Item], questions: Mapping[str, Question], test: frozenset[str], plan: Plan
) -> np.ndarray:
    """The folds of the training part, [item]; needs no features.

    Raises BadInput where the held-out part has only one side, or the training part is too small for its folds.
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
    """Both parts of `items`, whose features are in `rows`. Raises BadInput where a part is too small."""
    is_held_out = np.array([item.question in test for item in items])
    folds_of_train = refuse_unsplit(items, questions, test, plan)
    entities = entity_numbers(items, questions)
    train, held_out_part = (
        _part(items, rows, features, questions, entities, np.flatnonzero(is_held_out == side), plan) for side in (0, 1)
    )
    return Study(replace(train, seen=replace(train.seen, folds=folds_of_train)), held_out_part)


def _part(
    items: Sequence[Item],
    rows: Sequence[int],
    features: Features,
    questions: Mapping[str, Question],
    entities: Int[np.ndarray, " item"],
    places: np.ndarray,
    plan: Plan,
) -> Part:
    chosen = [items[place] for place in places]
    array_rows = np.array([rows[place] for place in places], dtype=np.int64)
    confidences = [features.confidences[array_row] for array_row in array_rows]
    other = np.asarray(features.other[array_rows]) if plan.training.labels == "3-vs-1" else None
    simple = simple_scores(confidences)
    relations = np.array([questions[item.question].relation for item in chosen], dtype=object).astype(str)
    lengths = np.array([confidence.tokens for confidence in confidences], dtype=np.int64)
    return Part(
        items=tuple(chosen),
        seen=Items(
            np.asarray(features.answer[array_rows]),
            other,
            labels(chosen),
            entities[places],
            np.zeros(len(chosen), dtype=np.int64),
            About(np.unique(relations, return_inverse=True)[1], lengths, simple[:, FIRST_PROBABILITY]),
        ),
        simple=simple,
        relations=relations,
        lengths=lengths,
        words=_names(item.response[item.start : item.end] for item in chosen),
        subjects=_names(questions[item.question].entity for item in chosen),
    )


def _names(texts: Iterable[str]) -> np.ndarray:
    return np.array([normalise(text) for text in texts], dtype=object).astype(str)
