"""docs/words.md says of the rule in use what the answers say, and words tell nothing where labels are shuffled."""

from __future__ import annotations

import re

import numpy as np
import pytest

from backend.identify.answers.phrases import phrase
from backend.identify.answers.wording import Span
from backend.types.identify import Question
from benchmarks import words


def rule(response: str, question: Question) -> Span | None:
    return phrase(response, question.text)


def lines() -> list[list[str]]:
    """The cells of the page's lines on the rule that is used, its name left out."""
    found = [line.strip("| ").split(" | ") for line in words.PAGE.read_text("utf-8").splitlines()]
    return [cells for name, *cells in found if name == words.DEFAULT]


@pytest.mark.parametrize(("place", "part"), [*enumerate(words.PARTS)])
def test_the_page_tells_how_the_rule_agrees_with_the_marks(place: int, part: str) -> None:
    assert lines()[place] == list(words.agreement_cells(rule, part))


def test_the_words_alone_tell_right_from_wrong_but_not_where_labels_are_shuffled_and_the_page_says_so() -> None:
    told = lines()[len(words.PARTS)]
    items, left_out, shape, by_words, shuffled = words.apart(rule, words.answers()[1])
    assert [items, left_out, by_words, shuffled] == [told[0], told[1], told[3], told[4]]
    # A logistic regression ends elsewhere in its last figures on another processor.
    assert float(shape) == pytest.approx(float(told[2]), abs=0.002)
    mean, least, most = map(float, re.findall(r"[\d.]+", shuffled))
    assert least < 0.5 < most and abs(mean - 0.5) < 0.03, "labels that mean nothing are told by nothing"
    assert float(by_words) > most + 0.1, "a rule that could not be told from chance would say nothing here"


def test_shuffling_keeps_each_relations_share_of_wrong_answers() -> None:
    draw = np.random.default_rng(0)
    relations = np.repeat(["a", "b", "c"], 40)
    labels = draw.random(120) < np.repeat([0.2, 0.5, 0.9], 40)
    shuffled = words._shuffled(labels, relations, draw)
    assert (shuffled != labels).any()
    assert all(shuffled[relations == one].sum() == labels[relations == one].sum() for one in "abc")
