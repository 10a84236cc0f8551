"""Verdicts by rule: uncertain first, then the known answer as whole words."""

from __future__ import annotations

import pytest

from backend.identify.judge import UNCERTAIN, verdict
from backend.types.identify import Question, Verdict

QUESTION = Question(id="q", text="What is the capital of Egypt?", answers=("Cairo", "Al-Qahirah"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The capital of Egypt is Cairo.", "right"),
        ("al qahirah", "right"),
        ("It is Cairoville.", "wrong"),
        ("Alexandria", "wrong"),
        ("I'm sorry, but I don't know. Cairo?", "uncertain"),
        ("I don\u2019t know", "uncertain"),
        ("", "uncertain"),
        (" \n", "uncertain"),
        ("The unknowns of Cairo", "right"),
    ],
)
def test_verdicts(answer: str, expected: Verdict) -> None:
    assert verdict(answer, QUESTION) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It is the Tomb of the Unknown Soldier.", "right"),
        ("Elvis sang \u201cCan\u2019t help falling in love\u201d", "right"),
        ("It is unknown.", "uncertain"),
        ("The unknown soldier", "uncertain"),
        ("I don't know, perhaps the Tomb of the Unknown Soldier", "uncertain"),
        ("The Tomb of the Unknown Soldier is unknown to me", "uncertain"),
        ("The Eiffel Tower", "wrong"),
    ],
)
def test_a_mark_inside_a_known_answer_s_name_marks_nothing(answer: str, expected: Verdict) -> None:
    known = ("Tomb of the Unknown Soldier", "Can't Help Falling in Love")
    assert verdict(answer, Question(id="q", text="Which?", answers=known)) == expected


@pytest.mark.parametrize("words", UNCERTAIN)
def test_every_uncertain_phrase_is_heard_whatever_its_case_and_apostrophe(words: str) -> None:
    assert verdict(f"Well, {words.upper()} of Cairo", QUESTION) == "uncertain"
    assert verdict(f"well {words.replace(chr(39), chr(8217))}", QUESTION) == "uncertain"
