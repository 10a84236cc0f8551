"""What stands beside the probe's AUROC: what is known by name, by length, and nothing where nothing is left."""

from __future__ import annotations

import numpy as np
import pytest

from backend.identify.evaluation.baselines import WORDS, share_by_name, simple_baselines
from backend.identify.evaluation.report import without_known_names
from backend.identify.features.study import Part
from backend.identify.fit.choice import Items
from backend.statistics.scores import rank_correlation


def part(words: list[str], subjects: list[str], labels: list[int]) -> Part:
    count = len(labels)
    entities = np.arange(count)
    seen = Items(np.zeros((count, 2), np.float32), None, np.array(labels), entities, entities % 2)
    return Part(
        items=(),
        seen=seen,
        simple=np.random.default_rng(0).normal(size=(count, 4)),
        relations=np.array(["one"] * count),
        lengths=np.arange(count),
        words=np.array(words),
        subjects=np.array(subjects),
    )


def test_an_answer_is_unseen_where_neither_its_words_nor_its_subject_stand_in_training_on_either_side() -> None:
    train = part(["paris", "", "lima"], ["france", "egypt", ""], [0, 1, 0])
    test = part(["paris", "rome", "france", "oslo", ""], ["gaul", "italy", "paris region", "lima", "chad"], [0] * 5)
    assert without_known_names(train, test).tolist() == [1, 4], "no words are no name that both share"


def test_the_answers_own_words_tell_what_training_says_of_them_drawn_towards_a_half() -> None:
    labels = np.array([1, 1, 1, 0])
    words, others = np.array(["rome", "rome", "oslo", "lima"]), np.array(["rome", "oslo", "lima", "bonn"])
    assert share_by_name(labels, words, others, pull=1.0) == pytest.approx([2.5 / 3, 1.5 / 2, 0.5 / 2, 0.5])
    assert share_by_name(labels, words, others).tolist() == [1.0, 1.0, 0.0, 0.5]


def test_words_that_give_the_side_away_are_found_out() -> None:
    labels = [0, 1] * 20
    words = ["paris" if label else "rome" for label in labels]
    train, test = part(words, [""] * 40, labels), part(words[:10], [""] * 10, labels[:10])
    told = simple_baselines(
        train.seen, test.seen, train.simple, test.simple, (train.relations, test.relations), (train.words, test.words)
    )
    areas = {one.name: one.auroc.value for one in told}
    assert areas[WORDS] == 1.0
    assert areas["kind of question"] == 0.5


def test_a_length_that_never_varies_goes_with_nothing() -> None:
    assert rank_correlation(np.array([0.1, 0.2, 0.3]), np.array([2, 2, 2])) is None
    assert rank_correlation(np.array([0.1, 0.1]), np.array([1, 2])) is None
    assert rank_correlation(np.array([0.1, 0.2, 0.3]), np.array([1, 2, 9])) == pytest.approx(1.0)
