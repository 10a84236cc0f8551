"""What is told of a run while it runs, and how a refused request is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.widgets.jobs import Progress
from app.widgets.refusals import bad_input
from backend.errors import BadInput, BadPrompt, BadSettings
from backend.types import Decoding, ExploreRequest, PromptEvent, StageEvent, TokenEvent, TokenInfo


def token(text: str) -> TokenInfo:
    return TokenInfo(id=1, text=text, shown=text, role="answer")


def test_progress_gathers_the_streams_of_all_rows_apart() -> None:
    progress = Progress()
    for event in (
        StageEvent(stage="reading", fraction=0.5),
        PromptEvent(tokens=(token("Q"),)),
        TokenEvent(row=0, index=0, token=token("A"), text="A"),
        TokenEvent(row=1, index=0, token=token("X"), text="X"),
        TokenEvent(row=0, index=1, token=token("B"), text="AB"),
    ):
        progress = progress.after(event)
    assert progress.texts == {0: "AB", 1: "X"}
    assert [one.text for one in progress.tokens[0]] == ["A", "B"]
    assert (progress.stage, progress.fraction) == ("reading", 0.5)
    assert [one.text for one in progress.prompt] == ["Q"]


def test_progress_is_not_changed_by_what_follows() -> None:
    first = Progress().after(TokenEvent(row=0, index=0, token=token("A"), text="A"))
    first.after(TokenEvent(row=0, index=1, token=token("B"), text="AB"))
    assert first.texts == {0: "A"}


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"prompt": "  "}, BadPrompt, "The prompt is empty: there is nothing to ask; type a question."),
        ({"prompt": "x" * 50_000}, BadPrompt, "The prompt has 50,000 characters"),
        ({"prompt": "x", "system": "y" * 20_001}, BadSettings, "The system prompt cannot be used"),
        ({"prompt": "x", "top": 0}, BadSettings, "A setting cannot be used"),
    ],
)
def test_a_refused_request_says_what_why_and_what_instead(fields: Any, kind: type[BadInput], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ExploreRequest(**fields)
    error = bad_input(caught.value)
    assert isinstance(error, kind) and error.sentence.startswith(said)
    assert error.what and error.why and error.instead


def test_a_setting_outside_its_range_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Decoding(temperature=9)
    assert bad_input(caught.value).what == "The temperature cannot be used"
