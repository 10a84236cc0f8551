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


@pytest.mark.parametrize("words", UNCERTAIN)
def test_every_uncertain_phrase_is_heard_whatever_its_case_and_apostrophe(words: str) -> None:
    assert verdict(f"Well, {words.upper()} of Cairo", QUESTION) == "uncertain"
    assert verdict(f"well {words.replace(chr(39), chr(8217))}", QUESTION) == "uncertain"
