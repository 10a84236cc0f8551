"""A refused request is told in one sentence: what, why, what instead."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backend.errors import BadInput, BadNeurons, BadPrompt, BadSettings
from backend.types import CompareRequest, Decoding, ExploreRequest, Frozen, NeuronRequest
from backend.types.refusal import first_problem, read_stored, refusal, refused, validated

CASES: list[tuple[type[Frozen], dict[str, Any], type[BadInput], str]] = [
    (ExploreRequest, {"prompt": "  "}, BadPrompt, "The prompt is empty: there is nothing to ask; type a question."),
    (ExploreRequest, {"prompt": "x" * 50_000}, BadPrompt, "The prompt has 50,000 characters: "),
    (ExploreRequest, {}, BadPrompt, "prompt is missing: the request needs it; give it."),
    (
        ExploreRequest, {"prompt": "x", "system": "y" * 20_001}, BadPrompt,
        f"The system prompt (system = '{'y' * 40}') is not accepted: ",
    ),
    (
        ExploreRequest, {"prompt": "x", "top": 0}, BadSettings,
        "top = 0 is not accepted: input should be greater than or equal to 1; choose a number in that range.",
    ),
    (
        ExploreRequest, {"prompt": "x", "decoding": {"temperature": 9}}, BadSettings,
        "The temperature (decoding.temperature = 9) is not accepted: input should be less than or equal to ",
    ),
    (ExploreRequest, {"prompt": "x", "tp": 1}, BadSettings, "tp is no setting of this request: what is not understood"),
    (ExploreRequest, {"prompt": "x", "chat": "yes"}, BadSettings, "chat = 'yes' is not accepted: "),
    (NeuronRequest, {"neuron": "L1"}, BadNeurons, "'L1' is not a neuron: "),
    (CompareRequest, {"prompt": "x", "neurons": "L1"}, BadNeurons, "'L1' is not a neuron: "),
    (Decoding, {"seed": -1}, BadSettings, "The seed (seed = -1) is not accepted: "),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "error", "said"), CASES, ids=[case[3][:30] for case in CASES])
def test_a_refused_request_says_what_why_and_what_instead(
    kind: type[Frozen], fields: dict[str, Any], error: type[BadInput], said: str
) -> None:
    with pytest.raises(error) as told:
        validated(kind, fields)
    assert type(told.value) is error
    assert told.value.sentence.startswith(said)
    assert told.value.what and told.value.why and told.value.instead
    assert told.value.sentence.count("; ") >= 1 and "Value error" not in told.value.sentence


def test_a_body_that_is_no_json_is_told_with_the_place() -> None:
    told = refusal([{"type": "json_invalid", "loc": ("body", 7), "msg": "JSON decode error", "input": {}}])
    assert told.sentence == "The body is not JSON: it cannot be read at character 7; send one JSON object."


def test_where_a_door_found_a_field_is_no_part_of_its_name() -> None:
    problem = {"type": "missing", "msg": "Field required", "input": {}}
    assert refusal([{**problem, "loc": ("body", "text")}]).what == "text is missing"
    assert refusal([{**problem, "loc": ()}]).what == "The request is missing"


def test_a_request_built_in_python_is_told_in_the_same_words() -> None:
    with pytest.raises(ValidationError) as raised:
        ExploreRequest(prompt="x", top=0)
    with pytest.raises(BadInput) as told:
        validated(ExploreRequest, {"prompt": "x", "top": 0})
    assert refused(raised.value).to_json() == told.value.to_json()


def test_of_a_stored_value_the_place_and_the_problem_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValidationError) as raised:
        ExploreRequest.model_validate({"prompt": "x", "decoding": {"seed": -1}})
    assert first_problem(raised.value) == "decoding.seed: Input should be greater than or equal to 0"
    assert read_stored(ExploreRequest, b'{"prompt": "x"}') == ExploreRequest(prompt="x")
    assert read_stored(ExploreRequest, b'{"prompt": ""}') is None
    assert "ExploreRequest cannot be read" in caplog.text


@pytest.mark.parametrize(("given", "shown"), [(None, "null"), (True, "true"), (False, "false")])
def test_nothing_and_truths_are_shown_as_whoever_sent_them_wrote_them(given: object, shown: str) -> None:
    with pytest.raises(BadInput, match=f"{shown}.? is not accepted"):
        validated(ExploreRequest, {"prompt": given})
