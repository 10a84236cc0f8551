"""A question's verdict counts every spelling of its answer, by the rule that Compare shows too."""

from __future__ import annotations

import pytest

from backend.identify.answers.judge import rule_verdict
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
    assert rule_verdict(answer, QUESTION) == expected
