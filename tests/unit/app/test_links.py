"""A view and its address are the same thing written twice."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import links
from app.cell import Cell
from app.charts.scores import SCORES
from app.forms import FILTERS, TrainForm, Unrun
from app.links import View
from app.marks import Marks
from backend.neurons import NeuronId, NeuronSet
from backend.types import Decoding, ExploreRequest, OwnAlpha, Threshold

words = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
neurons = st.builds(NeuronId, st.integers(0, 40), st.integers(0, 2000))
alphas = st.floats(0, 3, allow_nan=False)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.none() | words,
    "answer": st.none() | words,
    "chat": st.booleans(),
    "system": st.none() | words,
    "draft": st.none() | words,
    "known": st.none() | words,
    "known_of": st.none() | words,
    "part": st.none() | st.integers(0, 999),
    "form": st.builds(
        TrainForm,
        name=words,
        size=st.sampled_from(["A look", "Thorough"]),
        filter=st.sampled_from(FILTERS),
        samples=st.integers(1, 100),
        top_p=st.floats(0.05, 1),
        judge_words=st.booleans(),
    ),
    "marks": st.none()
    | st.builds(
        Marks,
        st.text("0123456789abcdef", min_size=12, max_size=12),
        st.dictionaries(
            st.integers(0, 99), st.sampled_from(["right", "wrong", "uncertain"]), min_size=1, max_size=5
        ).map(lambda rows: tuple(sorted(rows.items()))),
    ),
    "decoding": st.builds(
        Decoding,
        max_new_tokens=st.integers(1, 2048),
        temperature=st.just(0.0) | st.floats(0.01, 5),
        top_k=st.integers(0, 1000),
        top_p=st.floats(0.001, 1),
        seed=st.integers(0, 2**31 - 1),
        stop=st.lists(words, max_size=3).map(tuple),
    ),
    "threshold": st.builds(Threshold, k=st.floats(0, 20), population=st.sampled_from(["token", "layer", "model"])),
    "neurons": st.lists(neurons, max_size=8).map(lambda ids: NeuronSet(tuple(ids))),
    "score": st.sampled_from(list(SCORES)),
    "cell": st.none() | st.builds(Cell, st.integers(0, 999), st.integers(0, 9999)),
    "per_layer": st.booleans(),
    "template": st.booleans(),
    "card": st.none() | neurons,
    "alphas": st.lists(alphas, max_size=4).map(tuple),
    "own": st.lists(st.builds(OwnAlpha, neuron=neurons, alpha=alphas), max_size=3).map(tuple),
    "controls": st.integers(0, 20),
    "kinds": st.sampled_from([(), ("layer",), ("free",), ("layer", "free")]),
    "control_seed": st.integers(0, 2**31 - 1),
    "positions": st.sampled_from(["all", "prompt", "answer"]),
    "unrun": st.builds(
        Unrun,
        chat=st.none() | st.booleans(),
        system=st.none() | words,
        answer=st.none() | words,
        max_new_tokens=st.none() | st.integers(1, 2048),
        temperature=st.none() | st.floats(0, 5),
        top_k=st.none() | st.integers(0, 1000),
        top_p=st.none() | st.floats(0.01, 1),
        seed=st.none() | st.integers(0, 2**31 - 1),
        k=st.none() | st.floats(0, 20),
        population=st.none() | st.sampled_from(["token", "layer", "model"]),
    ),
    "measure": st.sampled_from(["mean", "usual"]),
    "typed": st.none() | words,
    "against": st.booleans(),
    "flips": st.booleans(),
    "split_row": st.none() | st.text("abc α=·", min_size=1, max_size=80),
    "moved_row": st.none() | st.text("abc α=·", min_size=1, max_size=80),
    "moved_score": st.sampled_from(["largest", "sum"]),
    "model": st.none() | words.filter(bool),
    "probe": st.none() | st.just("mine"),
    "room": st.sampled_from(["report", "train", "answers", "probes"]),
}
views = st.builds(View, **FIELDS)


@given(views)
def test_a_view_comes_back_from_its_address_unchanged(view: View) -> None:
    params, long = links.write(view)
    travelled = dict(parse_qsl(urlencode(params), keep_blank_values=True))
    assert links.read({**travelled, **long}) == (view, ())


def test_every_field_of_a_view_is_tried_above_and_belongs_to_a_page() -> None:
    assert set(FIELDS) == set(View.model_fields)
    assert set(View.model_fields) == set().union(*links.OWN.values())


@given(views, st.sampled_from(list(links.OWN)))
def test_a_page_writes_its_own_fields_and_no_others(view: View, page: links.Page) -> None:
    params, long = links.write(view, page)
    found, notes = links.read({**params, **long})
    assert notes == () and links.given({**params, **long}) <= links.OWN[page]
    for name in View.model_fields:
        expected = view if name in links.OWN[page] else View()
        assert getattr(found, name) == getattr(expected, name), name


def test_two_views_have_two_addresses() -> None:
    assert links.write(View(cell=Cell(1, 2))) != links.write(View(cell=Cell(2, 1)))


def test_a_fresh_page_has_an_empty_address() -> None:
    assert links.write(View()) == ({}, {})
    assert links.read({}) == (View(), ())


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("cell", "17"),
        ("cell", "-1.3"),
        ("cell", "a.b"),
        ("cell", "²1.2"),
        ("score", "loudest"),
        ("neurons", "L1:N2,banana"),
        ("card", "L1"),
        ("temperature", "nan"),
        ("temperature", "-1"),
        ("max_new_tokens", "1e9"),
        ("seed", "minus one"),
        ("stop", "not json"),
        ("k", "inf"),
        ("population", "everyone"),
        ("alphas", "0,9"),
        ("alphas", "nan"),
        ("own", "L1:N2"),
        ("controls", "10000"),
        ("kinds", "magic"),
        ("positions", "nowhere"),
        ("chat", "perhaps"),
        ("unrun", "no json"),
        ("unrun", "[1]"),
        ("unrun", '{"k": 99}'),
        ("unrun", '{"other": 1}'),
        ("measure", "loud"),
        ("moved_score", "loud"),
        ("flips", "often"),
        ("prompt", "x" * 20_001),
    ],
)
def test_a_bad_value_is_left_out_and_told_while_the_rest_is_kept(key: str, bad: str) -> None:
    view, notes = links.read({key: bad, "answer": "Cairo"})
    assert len(notes) == 1 and key in notes[0] and "left out" in notes[0]
    assert view == View(answer="Cairo")


def test_an_unknown_key_is_told_and_harmless() -> None:
    view, notes = links.read({"evil": "1", "prompt": "Who?"})
    assert view == View(prompt="Who?")
    assert len(notes) == 1 and "evil" in notes[0]


def test_a_long_bad_value_is_not_repeated_whole() -> None:
    _, notes = links.read({"score": "x" * 5000})
    assert len(notes[0]) < 300


def test_what_is_too_long_for_an_address_is_handed_over_to_be_kept() -> None:
    many = NeuronSet(tuple(NeuronId(3, i) for i in range(5000)))
    params, long = links.write(View(prompt="Who?", neurons=many))
    assert params == {"prompt": "Who?"} and set(long) == {"neurons"}
    assert links.read({**params, **long}) == (View(prompt="Who?", neurons=many), ())
    (told,) = links.lost(long)
    assert "list of neurons" in told
    assert sum(len(quote(text)) for text in params.values()) <= links.MAX_ADDRESS


def test_a_request_put_into_a_view_comes_out_of_it() -> None:
    request = ExploreRequest(
        prompt="Who?", chat=False, system="Be brief", answer="Me", decoding=Decoding(seed=4, temperature=0.5),
        threshold=Threshold(k=2, population="token"),
    )  # fmt: skip
    view = View(cell=Cell(1, 2), card=NeuronId(1, 2), draft="old", score="usual").asking(request)
    assert view.explore_request() == request
    assert (view.cell, view.card, view.draft, view.score) == (None, None, None, "usual")


def test_a_stop_text_with_any_character_survives() -> None:
    stop: Any = ("a,b", '"', "\n", "&=?#")
    params, _ = links.write(View(decoding=Decoding(stop=stop)))
    assert json.loads(params["stop"]) == list(stop)
    assert links.read(params)[0].decoding.stop == stop
