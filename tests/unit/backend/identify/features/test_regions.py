"""Regions are the tokens that touch the answer, and the rest by its rule, at the position asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backend.errors import BadInput
from backend.forward.prompting import decode, encode
from backend.identify.answers.spans import Span
from backend.identify.features.regions import answer_tokens, regions
from backend.models.loaded import LoadedModel
from backend.types import Asked
from backend.types.identify import RegionRule

ASKED = Asked(prompt="What is the capital of Egypt?")
RESPONSE = "The capital is S\u00e3o Cairo \U0001f600 now."


def span(words: str) -> Span:
    start = RESPONSE.index(words)
    return Span(start, start + len(words))


@pytest.mark.parametrize("words", ["The", "S\u00e3o Cairo", "Cairo", "\U0001f600", "now", RESPONSE])
def test_the_answers_tokens_hold_its_words_and_no_token_more(words: str, tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    text = regions(model, ASKED, RESPONSE, span(words), RegionRule())
    inside, outside = text.regions
    assert words in decode(model, [text.ids[place] for place in inside])
    assert inside == tuple(range(inside[0], inside[-1] + 1))
    for fewer in (inside[1:], inside[:-1]):
        assert words not in decode(model, [text.ids[place] for place in fewer])
    assert sorted((*inside, *outside)) == list(range(len(text.ids)))


def test_the_rest_of_the_response_leaves_out_the_prompt(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    prompt = len(encode(model, ASKED))
    text = regions(model, ASKED, RESPONSE, span("Cairo"), RegionRule(other="response"))
    assert min(text.regions[1]) == prompt
    assert sorted((*text.regions[0], *text.regions[1])) == list(range(prompt, len(text.ids)))


def test_the_predicting_position_is_one_token_earlier(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    at, before = (
        regions(model, ASKED, RESPONSE, span("The"), RegionRule(position=position)).regions[0]
        for position in ("answer", "predicting")
    )
    assert before == tuple(place - 1 for place in at)
    assert before[0] == len(encode(model, ASKED)) - 1, "the first answer token is predicted by the prompt's last"


def test_a_window_of_both_is_each_token_and_the_one_before_it(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    at, before, both = (
        regions(model, ASKED, RESPONSE, span("Cairo"), RegionRule(position=position))
        for position in ("answer", "predicting", "both")
    )
    assert set(both.regions[0]) == {*at.regions[0], *before.regions[0]} and len(both.regions[0]) > len(at.regions[0])
    assert both.answer == at.answer == before.answer == at.regions[0], "what answers does not depend on the window"
    assert sorted((*both.regions[0], *both.regions[1])) == list(range(len(both.ids)))


def test_the_whole_response_begins_where_its_first_token_is_predicted(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    some, other = (
        regions(model, ASKED, RESPONSE, span(words), RegionRule(position="whole")) for words in ("Cairo", "The")
    )
    prompt = len(encode(model, ASKED))
    assert some.regions[0] == other.regions[0] == tuple(range(prompt - 1, len(some.ids)))
    assert some.regions[1] == tuple(range(prompt - 1)) and some.answer != other.answer
    with pytest.raises(ValueError, match="none is left"):
        RegionRule(position="whole", other="response")


def test_a_span_that_no_token_touches_is_refused(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    assert answer_tokens(model, (), Span(0, 3)) == ()
    with pytest.raises(BadInput, match="no token"):
        regions(model, ASKED, RESPONSE, Span(500, 510), RegionRule())
