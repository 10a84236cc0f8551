"""A request is the whole of a run: every field is in its hash, and what cannot be honoured is refused at once."""

from __future__ import annotations

import json
import math
from typing import Any, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.neurons import NeuronSet
from backend.types import (
    CompareRequest,
    Comparison,
    Decoding,
    Exploration,
    ExploreRequest,
    Frozen,
    IdentifyRequest,
    LensRequest,
    NeuronCard,
    NeuronRequest,
    Threshold,
)
from backend.types.identify import Consistency, Question, Sampling
from backend.types.plan import Checks, Plan, QuestionSource, Training
from backend.types.requests import MIN_TEMPERATURE, EachOnce
from backend.types.scoring import ScoreRequest
from backend.types.stored import as_run
from backend.verbs.table import VERBS
from tests import fakes_app

ASK = "What is the capital of Egypt?"
NAMED = {"name": "mine", "digest": "0" * 64}
CHANGES: dict[str, dict[str, Any]] = {
    "explore": {
        "prompt": ASK + " ", "chat": False, "system": "", "answer": "Cairo", "top": 11, "neurons": "L1:N2",
        "decoding": Decoding(max_new_tokens=41), "threshold": Threshold(k=2.5),
        "probe": NAMED,
    },
    "compare": {
        "prompt": ASK + " ", "chat": False, "system": "", "neurons": "L1:N3", "alphas": (0.0, 2.0), "controls": 0,
        "own": ({"neuron": "L1:N2", "alpha": 0.5},), "control_kinds": ("free",), "control_arms": (), "control_seed": 1,
        "positions": "prompt", "decoding": Decoding(seed=1), "against": "L1:N4", "against_alpha": 0.5,
        "probe": NAMED,
    },
    "neuron": {"neuron": "L1:N3", "text": ExploreRequest(prompt=ASK), "top": 9},
    "lens": {"neurons": "L1:N3", "top": 9},
    "identify": {
        "name": "b", "plan": Plan(seed=1), "command": "x", "answers_of": "c",
        "questions": (Question(id="q", text=ASK, answers=("Cairo",)),),
    },
    "score": {
        "probe": {"name": "other", "digest": "0" * 64}, "source": "b.csv", "limit": 3, "seed": 1, "go_on": True,
        "questions": (Question(id="q", text=ASK, answers=("Giza",)),),
    },
}  # fmt: skip
BASE: dict[str, Frozen] = {
    "explore": ExploreRequest(prompt=ASK),
    "compare": CompareRequest(prompt=ASK, neurons=NeuronSet.of("L1:N2")),
    "neuron": NeuronRequest.model_validate({"neuron": "L1:N2"}),
    "lens": LensRequest(neurons=NeuronSet.of("L1:N2")),
    "identify": IdentifyRequest(name="a"),
    "score": ScoreRequest.model_validate(
        {"probe": NAMED, "questions": (Question(id="q", text=ASK, answers=("Cairo",)),)}
    ),
}
FIELDS = [(verb, field) for verb, changes in CHANGES.items() for field in changes]


@pytest.mark.parametrize("verb", VERBS)
def test_the_changes_below_cover_every_field(verb: str) -> None:
    """A setting added to a request must show in its key, or somebody decides otherwise here."""
    assert set(CHANGES[verb]) == set(VERBS[verb].request.model_fields)


@pytest.mark.parametrize(("verb", "field"), FIELDS)
def test_every_field_changes_the_hash(verb: str, field: str) -> None:
    base = BASE[verb]
    changed = type(base).model_validate({**base.model_dump(), field: CHANGES[verb][field]})
    assert changed.hash != base.hash
    assert type(base).model_validate(base.model_dump()).hash == base.hash


@pytest.mark.parametrize("field", Decoding.model_fields)
def test_every_field_of_decoding_changes_the_hash(field: str) -> None:
    other = {"max_new_tokens": 3, "temperature": 0.5, "top_k": 5, "top_p": 0.5, "seed": 7, "stop": ("x",)}[field]
    changed = ExploreRequest(prompt=ASK, decoding=Decoding.model_validate({field: other}))
    assert changed.hash != BASE["explore"].hash


@pytest.mark.parametrize("verb", VERBS)
def test_a_request_read_from_its_json_is_the_same_request(verb: str) -> None:
    base = BASE[verb]
    again = VERBS[verb].request.model_validate_json(base.canonical())
    assert again == base
    assert again.canonical() == base.canonical()


@given(prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(str.strip))
def test_canonical_json_is_ascii_and_stable_for_every_prompt(prompt: str) -> None:
    text = ExploreRequest(prompt=prompt).canonical()
    assert text.isascii()
    assert ExploreRequest.model_validate_json(text).canonical() == text


def test_the_hash_of_a_request_is_the_same_on_every_machine() -> None:
    """Pinned: links and stored results hang on it. If a new setting changed it on purpose, write the new one here."""
    assert BASE["neuron"].canonical() == '{"neuron":"L1:N2","text":null,"top":10}'
    assert BASE["neuron"].hash == "f7bffabdce598e00aa077fd9f2629d737ef5bf5e1a1577be52ef469a2935f256"


@pytest.mark.parametrize("value", [1e-300, 1e-40, 0.009])
def test_a_temperature_that_would_overflow_is_refused_with_greedy_as_the_remedy(value: float) -> None:
    with pytest.raises(ValidationError, match="write 0 for greedy"):
        Decoding(temperature=value)
    assert Decoding(temperature=0.0).temperature == 0.0 and Decoding(temperature=0.01).temperature == 0.01


def test_neurons_in_any_order_are_the_same_request() -> None:
    one, other = (CompareRequest(prompt=ASK, neurons=NeuronSet.parse(text)) for text in ("L1:N2,L0:N5", "L0:N5 L1:N2"))
    assert one.hash == other.hash


@pytest.mark.parametrize("alpha", [math.nan, math.inf, -math.inf, -1, -1e-9, 3.0000001, 1e9, "much", None])
def test_an_alpha_that_is_no_number_from_zero_to_three_is_refused(alpha: Any) -> None:
    whole = {"prompt": ASK, "neurons": "L1:N2"}
    with pytest.raises(ValidationError, match="alphas"):
        CompareRequest.model_validate({**whole, "alphas": [alpha]})
    with pytest.raises(ValidationError, match="own"):
        CompareRequest.model_validate({**whole, "own": [{"neuron": "L1:N2", "alpha": alpha}]})


@pytest.mark.parametrize("alpha", [0, 0.25, 1, 3])
def test_an_alpha_from_zero_to_three_is_accepted(alpha: float) -> None:
    request = CompareRequest.model_validate({"prompt": ASK, "neurons": "L1:N2", "alphas": [alpha]})
    assert request.alphas == (alpha,)


@pytest.mark.parametrize(
    ("prompt", "why"),
    [("", "empty"), (" \n\t\u00a0", "empty"), ("x" * 50_000, "50,000 characters"), ("a\ud800", "unicode|half")],
)
def test_an_empty_or_endless_prompt_is_refused_with_the_remedy(prompt: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ExploreRequest(prompt=prompt)
    ExploreRequest(prompt="x" * 20_000)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_new_tokens", 0), ("max_new_tokens", 2049), ("temperature", -0.1), ("temperature", math.nan),
        ("temperature", 5.1), ("top_k", -1), ("top_p", 0.0), ("top_p", 1.1), ("seed", -1), ("seed", 2**31),
        ("stop", ("a",) * 9),
    ],
)  # fmt: skip
def test_decoding_outside_its_range_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        Decoding.model_validate({field: value})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"neurons": ""}, "no neuron is chosen"),
        ({"alphas": (0.5, 0.5)}, "an alpha stands twice"),
        ({"own": ({"neuron": "L1:N2", "alpha": 0}, {"neuron": "L1:N2", "alpha": 2})}, "two own alphas"),
        ({"control_arms": (1,)}, "a row that is not there"),
        ({"control_arms": (-1,)}, "a row that is not there"),
        ({"controls": 21}, "controls"),
        (
            {"controls": 20, "control_kinds": ("layer", "free"), "alphas": (0.0, 2.0), "control_arms": (0, 1)},
            "a batch holds 64",
        ),
        ({"neurons": (), "own": ({"neuron": "L1:N2", "alpha": 0.5},), "alphas": (0.0, 2.0)}, "no neurons that they"),
        ({"neurons": (), "against": "L1:N2", "alphas": (0.5,)}, "name neurons, or leave alphas out"),
        ({"neurons": {"L1:N2": 0.5}}, "this is an object, whose values would be lost"),
        ({"control_kinds": ()}, r"twins are asked for \(controls = 1\), and no kind of them"),
        ({"control_kinds": [], "controls": 3}, "name layer or free, or set controls to 0"),
        ({"decoding": {"stop": ["He", ""]}}, "a stop text is empty: it would end no answer"),
        ({"positions": "middle"}, "positions"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_with_the_reason(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        CompareRequest.model_validate({"prompt": ASK, "neurons": "L1:N2", **fields})


@pytest.mark.parametrize("digest", ["ABC", "", "0" * 63, "g" * 64, "0" * 64 + "\n"])
def test_a_digest_of_no_probe_is_told_with_where_one_is_found(digest: str) -> None:
    with pytest.raises(ValidationError, match="take the one that the list of probes has beside the name"):
        ExploreRequest.model_validate({"prompt": ASK, "probe": {"name": "mine", "digest": digest}})


@pytest.mark.parametrize("kind", [ExploreRequest, CompareRequest])
def test_a_system_text_that_no_template_would_put_before_the_prompt_is_refused(kind: type[Frozen]) -> None:
    asked = {"prompt": ASK, "neurons": "L1:N2"}
    with pytest.raises(ValidationError, match="the model would never read it; leave the system text empty"):
        kind.model_validate(asked | {"chat": False, "system": "Be brief."})
    for fine in ({"chat": False}, {"system": "Be brief."}, {"chat": False, "system": ""}):
        kind.model_validate(asked | fine)


def test_what_is_stored_of_requests_that_are_refused_today_is_still_read_as_it_was_run() -> None:
    unread = {"chat": False, "system": "Be brief."}
    explored = json.loads(fakes_app.exploration(ExploreRequest(prompt=ASK)).to_bytes())
    explored["request"] |= unread
    found = Exploration.model_validate(explored).request
    assert found.system is None and not found.chat
    card = NeuronRequest.model_validate({"neuron": "L1:N2", "text": {"prompt": ASK}})
    told = json.loads(fakes_app.card(card).to_bytes())
    told["request"]["text"] |= unread
    text = NeuronCard.model_validate(told).request.text
    assert text is not None and text.system is None
    forced = {"answer": "Cairo.", "decoding": {"max_new_tokens": 7, "stop": [""]}}
    explored["request"] |= forced
    told["request"]["text"] |= forced
    read = [Exploration.model_validate(explored).request, NeuronCard.model_validate(told).request.text]
    assert [one.decoding for one in read if one is not None] == [Decoding(max_new_tokens=7)] * 2
    own = CompareRequest.model_validate({"prompt": ASK, "own": [{"neuron": "L1:N2", "alpha": 0.5}]})
    compared = json.loads(fakes_app.comparison(own).to_bytes())
    compared["request"] |= {"alphas": [0.0, 2.0], "control_kinds": [], **unread}
    asked = Comparison.model_validate(compared).request
    assert (asked.alphas, asked.controls, asked.system) == ((), 0, None) and asked.own == own.own
    compared["request"] |= {"alphas": [], "decoding": {"stop": ["", "He"], "seed": 5}}
    assert Comparison.model_validate(compared).request.decoding == Decoding(stop=("He",), seed=5)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (ExploreRequest, {"answer": "Cairo."}),
        (ExploreRequest, {"decoding": {"max_new_tokens": 7, "stop": ["He"]}}),
        (CompareRequest, {"controls": 0, "control_kinds": []}),
        (CompareRequest, {"control_arms": []}),
        (CompareRequest, {"controls": 3, "control_kinds": ["free"], "control_seed": 4}),
    ],
)
def test_what_is_stored_of_requests_that_are_taken_today_is_read_as_it_stands(
    kind: type[Frozen], asked: dict[str, Any]
) -> None:
    request = kind.model_validate({"prompt": ASK, "neurons": "L1:N2", **asked})
    assert kind.model_validate(as_run(request.model_dump(mode="json"))) == request


def test_a_damaged_request_is_left_to_its_type() -> None:
    for damage in ({"alphas": None, "own": 1}, {"decoding": {"stop": None}}, {"decoding": 3}, {"control_arms": 7}):
        with pytest.raises(ValidationError):
            CompareRequest.model_validate(as_run({"prompt": ASK, "neurons": "L1:N2", **damage}))


def test_an_answer_is_read_as_it_stands_however_others_are_decoded() -> None:
    decoded = ExploreRequest(prompt=ASK, decoding=Decoding(seed=1))
    assert decoded.reading("Cairo.") == ExploreRequest(prompt=ASK, answer="Cairo.")


def test_a_comparison_without_twins_may_leave_their_kinds_out() -> None:
    asked = CompareRequest.model_validate({"prompt": ASK, "neurons": "L1:N2", "control_kinds": (), "controls": 0})
    assert asked.control_rows == 0


@pytest.mark.parametrize(
    ("kind", "field", "twice", "once"),
    [
        (CompareRequest, "control_kinds", ["layer", "layer"], ["layer"]),
        (CompareRequest, "control_kinds", ["free", "layer", "free"], ["free", "layer"]),
        (CompareRequest, "control_arms", [0, 0], [0]),
        (CompareRequest, "decoding", {"stop": ["x", "y", "x"]}, {"stop": ["x", "y"]}),
        (QuestionSource, "relations", ["b", "a", "b"], ["b", "a"]),
        (Training, "cs", [2.0, 1.0, 2.0], [1.0, 2.0]),
        (Checks, "alphas", [3.0, 0.0, 3.0], [3.0, 0.0]),
    ],
)
def test_what_stands_twice_in_a_list_counts_once(kind: type[Frozen], field: str, twice: Any, once: Any) -> None:
    asked = {"prompt": ASK, "neurons": "L1:N2"} if kind is CompareRequest else {}
    assert kind.model_validate({**asked, field: twice}) == kind.model_validate({**asked, field: once})


COUNTED = {"alphas", "own", "questions"}
"""Lists of a request in which one thing may not stand twice, or may: a row each, and what a file asks."""


@pytest.mark.parametrize("kind", [*(row.request for row in VERBS.values()), Decoding, QuestionSource, Training, Checks])
def test_it_is_decided_of_every_list_what_twice_means(kind: type[Frozen]) -> None:
    for name, field in kind.model_fields.items():
        if get_origin(field.annotation) is tuple and name not in COUNTED - ({"alphas"} if kind is Checks else set()):
            assert EachOnce in field.metadata or (kind, name) == (Training, "cs"), f"{kind.__name__}.{name}"


def test_rows_are_counted_before_they_are_made() -> None:
    request = CompareRequest(
        prompt=ASK, neurons=NeuronSet.of("L1:N2"), alphas=(0.0, 2.0), controls=3, control_kinds=("layer", "free"),
        control_arms=(0, 1),
    )  # fmt: skip
    assert (request.intervened_rows, request.control_rows) == (2, 12)


def test_a_plan_is_refused_where_its_filter_cannot_be_met_by_its_samples() -> None:
    asked = Consistency(right=3, wrong=4)
    assert Plan(sampling=Sampling(samples=5), filter=asked).filter == asked
    with pytest.raises(ValidationError, match="Only 3 samples are drawn: no question can have 4 of one kind"):
        Plan(sampling=Sampling(samples=3), filter=asked)
    with pytest.raises(ValidationError, match="A question could be kept on both sides: 3 right and 4 wrong"):
        Plan(sampling=Sampling(samples=8), filter=asked)


@pytest.mark.parametrize(
    "fields", [{"temperature": 0.009}, {"temperature": 0}, {"top_p": 0}, {"suffix": "\ud800"}, {"max_new_tokens": 0}]
)
def test_sampling_that_could_not_be_drawn_is_refused_before_a_run_begins(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sampling(**fields)


@given(
    temperature=st.floats(MIN_TEMPERATURE, 5), top_p=st.floats(0, 1, exclude_min=True), top_k=st.integers(0, 1000),
    longest=st.integers(1, 512),
)  # fmt: skip
def test_whatever_sampling_is_accepted_can_be_drawn(temperature: float, top_p: float, top_k: int, longest: int) -> None:
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_new_tokens=longest)
    assert sampling.drawn.temperature == temperature and sampling.greedy.temperature == 0


def test_a_plan_of_an_earlier_run_still_loads() -> None:
    old = Plan().model_dump(mode="json")
    del old["words"], old["judge"], old["source"]["limit"]
    assert Plan.model_validate(old) == Plan()


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("explore", {"top": True}),
        ("explore", {"top": "3"}),
        ("explore", {"top": 3.0}),
        ("explore", {"chat": 1}),
        ("explore", {"chat": "true"}),
        ("explore", {"decoding": {"max_new_tokens": "3"}}),
        ("explore", {"decoding": {"temperature": True}}),
        ("explore", {"threshold": {"k": "3"}}),
        ("compare", {"alphas": [True]}),
        ("compare", {"alphas": ["0.5"]}),
        ("compare", {"own": [{"neuron": "L1:N2", "alpha": "0.5"}]}),
        ("compare", {"control_arms": [False]}),
        ("neuron", {"top": "3"}),
        ("neuron", {"text": {"prompt": ASK, "top": True}}),
        ("lens", {"top": 3.0}),
        ("identify", {"plan": {"seed": True}}),
        ("identify", {"plan": {"source": {"limit": "5"}}}),
        ("identify", {"plan": {"sampling": {"samples": "10"}}}),
        ("identify", {"plan": {"filter": {"right": True}}}),
        ("identify", {"plan": {"training": {"cs": ["1"]}}}),
        ("identify", {"plan": {"training": {"choice": "fixed", "c": True}}}),
        ("identify", {"plan": {"checks": {"alphas": [True]}}}),
        ("identify", {"plan": {"judge": {"model": "x", "decides": "yes"}}}),
        ("identify", {"plan": {"screening": {"at_most": 1e2}}}),
    ],
)
def test_a_number_is_no_text_and_no_truth_value(verb: str, fields: dict[str, Any]) -> None:
    asked = BASE[verb].model_dump(mode="json") | fields
    for validate in (
        VERBS[verb].request.model_validate,
        lambda told: VERBS[verb].request.model_validate_json(json.dumps(told)),
    ):
        with pytest.raises(ValidationError, match=r"Input should be a valid (integer|number|boolean)"):
            validate(asked)


def test_a_whole_number_stands_for_one_with_a_point_and_lists_for_tuples() -> None:
    """A program's JSON has no tuples, and may write 2 for 2.0."""
    told = CompareRequest.model_validate({"prompt": ASK, "neurons": ["L1:N2"], "alphas": [0, 2], "control_arms": [1]})
    assert told.alphas == (0.0, 2.0) and told.hash == CompareRequest.model_validate_json(told.canonical()).hash


@pytest.mark.parametrize(
    ("request_", "known"),
    [
        (ExploreRequest(prompt=ASK), "26e66f85ad4da91bf838c3d945cc592e84adf7c93e813843f418b05d22a220c1"),
        (IdentifyRequest(name="a"), "856d8baf30cfafa3ad0467fc31a2d811ca865338fa0fd6796c35762dc7909b88"),
    ],
)
def test_what_is_accepted_has_the_key_it_always_had(request_: Frozen, known: str) -> None:
    """Stored results and links hang on it. Where a field is added on purpose, this is made anew."""
    assert request_.hash == known
