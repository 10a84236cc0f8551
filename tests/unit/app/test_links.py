"""A view and its address are the same thing written twice."""

from __future__ import annotations

import json
from functools import reduce
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import links, views
from app.cell import Cell
from app.charts.scores import SCORES
from app.compare.marks import Marks
from app.compare.view import CompareView
from app.explore.view import ExploreView, Unrun
from app.identify.view import FILTERS, IdentifyView, TrainForm
from app.shared.view import Shared
from app.views import KINDS, Views
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareSettings, Decoding, ExploreRequest, OwnAlpha, Threshold
from backend.types.base import Frozen

words = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
neurons = st.builds(NeuronId, st.integers(0, 40), st.integers(0, 2000))
alphas = st.floats(0, 3, allow_nan=False)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
UNRUN: dict[str, st.SearchStrategy[Any]] = {
    "chat": st.none() | st.booleans(),
    "system": st.none() | words,
    "answer": st.none() | words,
    "max_new_tokens": st.none() | st.integers(1, 2048),
    "temperature": st.none() | st.floats(0, 5),
    "top_k": st.none() | st.integers(0, 1000),
    "top_p": st.none() | st.floats(0, 1, exclude_min=True),
    "seed": st.none() | st.integers(0, 2**31 - 1),
    "stop": st.none() | st.lists(words, max_size=8).map(tuple),
    "k": st.none() | st.floats(0, 20),
    "population": st.none() | st.sampled_from(["token", "layer", "model"]),
}
TRAIN_FORM: dict[str, st.SearchStrategy[Any]] = {
    "name": words,
    "source": st.sampled_from(["Those that ship", "My file", "As begun"]),
    "size": st.sampled_from(["A look", "Thorough", "As begun"]),
    "limit": st.none() | st.integers(1, 10**9),
    "suffix": words,
    "samples": st.integers(1, 100),
    "temperature": st.floats(0.01, 5),
    "top_k": st.integers(0, 1000),
    "top_p": st.floats(0, 1, exclude_min=True),
    "max_new_tokens": st.integers(1, 512),
    "filter": st.sampled_from(FILTERS),
    "right": st.integers(1, 100),
    "wrong": st.integers(1, 100),
    "greedy": st.booleans(),
    "labels": st.sampled_from(["1-vs-1", "3-vs-1"]),
    "select": st.sampled_from(["l1", "positive", "stable", "matched", "agreeing"]),
    "choice": st.sampled_from(["one-se", "cross-validation", "paper", "fixed"]),
    "c": positive,
    "words": st.sampled_from(["phrase", "blind", "known"]),
    "pooling": st.sampled_from(["mean", "max"]),
    "position": st.sampled_from(["answer", "predicting", "both", "whole"]),
    "seed": st.integers(0, 2**31 - 1),
    "judge": words,
    "judging": st.sampled_from(["decides", "compares"]),
    "judge_words": st.booleans(),
}
FIELDS: dict[type[Frozen], dict[str, st.SearchStrategy[Any]]] = {
    Shared: {
        "prompt": st.none() | words,
        "chat": st.booleans(),
        "system": st.none() | words,
        "decoding": st.builds(
            Decoding,
            max_new_tokens=st.integers(1, 2048),
            temperature=st.just(0.0) | st.floats(0.01, 5),
            top_k=st.integers(0, 1000),
            top_p=st.floats(0.001, 1),
            seed=st.integers(0, 2**31 - 1),
            stop=st.lists(words.filter(bool), max_size=3).map(tuple),
        ),
        "neurons": st.lists(neurons, max_size=8).map(lambda ids: NeuronSet(tuple(ids))),
        "probe": st.none() | st.just("mine"),
        "card": st.none() | neurons,
        "template": st.booleans(),
    },
    ExploreView: {
        "draft": st.none() | words,
        "unrun": st.builds(Unrun, **UNRUN),
        "measure": st.sampled_from(["mean", "usual"]),
        "part": st.none() | st.integers(0, 999),
        "answer": st.none() | words,
        "threshold": st.builds(Threshold, k=st.floats(0, 20), population=st.sampled_from(["token", "layer", "model"])),
        "score": st.sampled_from(list(SCORES)),
        "cell": st.none() | st.builds(Cell, st.integers(0, 999), st.integers(0, 9999)),
        "per_layer": st.booleans(),
        "model": st.none() | words.filter(bool),
    },
    CompareView: {
        "draft": st.builds(
            CompareSettings,
            alphas=st.lists(alphas, max_size=4).map(tuple),
            own=st.lists(st.builds(OwnAlpha, neuron=neurons, alpha=alphas), max_size=3).map(tuple),
            controls=st.integers(0, 20),
            control_kinds=st.sampled_from([(), ("layer",), ("free",), ("layer", "free")]),
            control_seed=st.integers(0, 2**31 - 1),
            positions=st.sampled_from(["all", "prompt", "answer"]),
        ),
        "typed": st.none() | words,
        "against": st.booleans(),
        "known": st.none() | words,
        "known_of": st.none() | words,
        "marks": st.none()
        | st.builds(
            Marks,
            st.text("0123456789abcdef", min_size=12, max_size=12),
            st.dictionaries(
                st.integers(0, 99), st.sampled_from(["right", "wrong", "uncertain"]), min_size=1, max_size=5
            ).map(lambda rows: tuple(sorted(rows.items()))),
        ),
        "flips": st.booleans(),
        "split_row": st.none() | st.text("abc α=·", min_size=1, max_size=80),
        "moved_row": st.none() | st.text("abc α=·", min_size=1, max_size=80),
        "moved_score": st.sampled_from(["largest", "sum"]),
    },
    IdentifyView: {
        "room": st.sampled_from(["report", "train", "answers", "probes"]),
        "form": st.builds(TrainForm, **TRAIN_FORM),
        "changing": st.none() | st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    },
}
all_views = st.builds(
    lambda *held: Views(held), *(st.builds(kind, **fields) for kind, fields in FIELDS.items())
)  # fmt: skip


def written(held: Views) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of all views together, whichever page they belong to, and those that are too long."""
    return links.fitting({key: text for view in held.held for key, text in links.write(view).items()})


def of(*held: Frozen) -> Views:
    """These views, and all others fresh."""
    return Views(tuple(next((view for view in held if type(view) is kind), kind()) for kind in KINDS))


@given(all_views)
def test_a_view_comes_back_from_its_address_unchanged(held: Views) -> None:
    params, long = written(held)
    travelled = dict(parse_qsl(urlencode(params), keep_blank_values=True))
    assert views.read({**travelled, **long}) == (held, ())


def test_every_field_of_a_view_is_tried_above_and_belongs_to_a_page() -> None:
    assert tuple(FIELDS) == KINDS
    for kind, fields in FIELDS.items():
        assert set(fields) == set(kind.model_fields)
        assert set(kind.model_fields) == set().union(*(views.own(page, kind) for page in views.PAGES))


def test_every_field_of_a_form_is_tried_above() -> None:
    assert set(UNRUN) == set(Unrun.model_fields) and set(TRAIN_FORM) == set(TrainForm.model_fields)


def test_no_two_fields_have_one_key() -> None:
    keys = [param.key for kind in KINDS for param in links.params(kind)]
    assert len(set(keys)) == len(keys) and links.STORED not in keys


@given(all_views, st.sampled_from(list(views.PAGES)))
def test_a_page_writes_its_own_fields_and_no_others(held: Views, page: views.Page) -> None:
    params, long = views.write(held, page)
    found, notes = views.read({**params, **long})
    assert notes == ()
    for kind in KINDS:
        assert links.spoken_of(kind, {**params, **long}) <= views.own(page, kind)
        for name in kind.model_fields:
            expected = held.of(kind) if name in views.own(page, kind) else kind()
            assert getattr(found.of(kind), name) == getattr(expected, name), name


def test_two_views_have_two_addresses() -> None:
    assert links.write(ExploreView(cell=Cell(1, 2))) != links.write(ExploreView(cell=Cell(2, 1)))


def test_a_fresh_page_has_an_empty_address() -> None:
    assert written(Views()) == ({}, {})
    assert views.read({}) == (Views(), ())


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
        ("stop", '["He", ""]'),
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
        ("unrun", '{"a":' * 5_000),
        ("stop", "[" * 5_000),
        ("form", "[" * 5_000),
        ("unrun", '{"k": 99}'),
        ("unrun", '{"other": 1}'),
        ("measure", "loud"),
        ("moved_score", "loud"),
        ("flips", "often"),
        ("prompt", "x" * 20_001),
    ],
)
def test_a_bad_value_is_left_out_and_told_while_the_rest_is_kept(key: str, bad: str) -> None:
    held, notes = views.read({key: bad, "answer": "Cairo"})
    assert len(notes) == 1 and key in notes[0] and "left out" in notes[0]
    assert held == of(ExploreView(answer="Cairo"))


def test_of_a_field_that_is_written_as_json_only_what_cannot_be_read_is_left_out() -> None:
    held, notes = views.read({"unrun": '{"seed": 4, "colour": 1, "k": 99, "stop": ["."]}'})
    assert held == of(ExploreView(unrun=Unrun(seed=4, stop=(".",))))
    assert len(notes) == 2 and "unrun.colour" in notes[0] and "unrun.k “99”" in notes[1]
    held, notes = views.read({"form": '{"name": "mine", "samples": 0, "c": "much", "words": null}'})
    assert held == of(IdentifyView(form=TrainForm(name="mine")))
    assert [note.split("“")[0] for note in notes] == [f"The link's form.{name} " for name in ("samples", "c", "words")]


@pytest.mark.parametrize("form", ['{"samples":9999}', '{"nothing":1}', '{"samples":4,"samples":5}'])
def test_a_json_object_of_which_nothing_can_be_read_says_nothing(form: str) -> None:
    """A fresh form in its place would stand above what a run was begun with."""
    found, notes = views.read({"room": "train", "changing": "mine", "form": form})
    assert found == of(IdentifyView(room="train", changing="mine")) and len(notes) == 1
    assert views.read({"form": "{}"})[0] == of(IdentifyView(form=TrainForm()))


def test_of_a_json_object_a_field_that_stands_twice_is_left_out_unless_both_say_the_same() -> None:
    held, notes = views.read({"form": '{"name":"mine","temperature":0.7,"top_k":3,"temperature":0.9,"top_k":3}'})
    assert held == of(IdentifyView(form=TrainForm(name="mine", top_k=3)))
    assert notes == (
        "The link gives form.temperature twice, as “0.7” and as “0.9”, and it is not clear which one to use. "
        "It was left out.",
    )
    held, notes = views.read({"unrun": '{"seed":1,"colour":1,"seed":2,"colour":2,"seed":3,"k":2}'})
    assert held == of(ExploreView(unrun=Unrun(k=2)))
    assert [note.split(",")[0] for note in notes] == [
        "The link gives unrun.seed 3 times",
        "The link contains “unrun.colour”",
    ]


def test_a_key_that_stands_twice_is_left_out_unless_both_say_the_same() -> None:
    given = {"temperature": ["0.7", "0.9"], "seed": ["4", "4"], "evil": ["1", "2"], "k": []}
    params, notes = links.once(given, KINDS)
    assert params == {"seed": "4", "evil": "2"} and len(notes) == 1
    assert notes[0].startswith("The link gives temperature twice, as “0.7” and as “0.9”")


MANY_DIGITS = "9" * 5_000
WORDS_OF_PROGRAMS = (
    "string",
    "integer",
    "float",
    "boolean",
    "tuple",
    "dictionary",
    "raw data",
    "sys.",
    "delimiter",
    "unpack",
)
BAD = (
    "", " ", "a", "1,a", "a,1", "1.5", MANY_DIGITS, f"-{MANY_DIGITS}", f"[{MANY_DIGITS}]", f"L{MANY_DIGITS}:N1",
    f"L1:N2={MANY_DIGITS}", "1e999", "nan", "null", "[", "{", "[1]", "{}", '["a",1]', '"', "[1,]", '{"a":1} x', "L1",
    "L1:N2=a", "L1:N2=", "=", "x" * 20_001, "[" * 5_000, "\ud800", "\ufeff1", "1f0c9a7be2d4:1=wrong,1=right",
)  # fmt: skip


@pytest.mark.parametrize("key", [param.key for kind in KINDS for param in links.params(kind)])
def test_why_a_value_cannot_be_read_is_told_in_plain_words(key: str) -> None:
    of_form = [
        f'{{"{name}":{value}}}' for name in {**TRAIN_FORM, **UNRUN} for value in ("null", "[]", "{}", '"x"', "1.5")
    ]
    for bad in (*BAD, *(of_form if key in ("form", "unrun") else ())):
        for note in views.read({key: bad})[1]:
            why = note.rpartition("cannot be read: ")[2]
            assert not any(word in why.casefold() for word in WORDS_OF_PROGRAMS), note
            assert len(note) < 400


@pytest.mark.parametrize(
    ("key", "bad", "why"),
    [
        ("alphas", "0,a", "“a” is no number."),
        ("own", "L1:N2", "“L1:N2” has no alpha; it is written after its neuron, for example L12:N345=0.5."),
        ("own", "L1:N2=x", "“x” is no number."),
        ("seed", MANY_DIGITS, "the number has more digits than are read;"),
        ("seed", "x", "a whole number should stand there;"),
        ("temperature", "x", "a number should stand there;"),
        ("chat", "perhaps", "true or false should stand there;"),
        ("stop", f"[{MANY_DIGITS}]", "a number in it has thousands of digits."),
        ("stop", '[".",]', "it is no JSON from character 6 on."),
        ("stop", "{}", "a list should stand there;"),
        ("stop", str(["."] * 9).replace("'", '"'), "it should have at most 8 items, not 9;"),
        ("unrun", "[1]", "it should be a JSON object, with names of fields and their values."),
        ("split_row", "", "it should have at least 1 character;"),
        ("marks", "1f0c9a7be2d4:1=wrong,1=right", "row 1 is marked twice, as wrong and as right."),
    ],
)
def test_why_a_value_cannot_be_read_says_what_should_stand_there(key: str, bad: str, why: str) -> None:
    (note,) = views.read({key: bad})[1]
    assert f" cannot be read: {why}" in note


def test_an_unknown_key_is_told_and_harmless() -> None:
    held, notes = views.read({"evil": "1", "prompt": "Who?"})
    assert held == of(Shared(prompt="Who?"))
    assert len(notes) == 1 and "evil" in notes[0]


def test_a_long_bad_value_is_not_repeated_whole() -> None:
    _, notes = views.read({"score": "x" * 5000})
    assert len(notes[0]) < 300


def test_what_is_too_long_for_an_address_is_handed_over_to_be_kept() -> None:
    many = NeuronSet(tuple(NeuronId(3, i) for i in range(5000)))
    held = of(Shared(prompt="Who?", neurons=many))
    params, long = written(held)
    assert params == {"prompt": "Who?"} and set(long) == {"neurons"}
    assert views.read({**params, **long}) == (held, ())
    (told,) = links.lost(long, KINDS)
    assert "list of neurons" in told
    assert sum(len(quote(text)) for text in params.values()) <= links.MAX_ADDRESS


def test_a_request_put_into_a_view_comes_out_of_it() -> None:
    decoding = Decoding(seed=4, temperature=0.5)
    decoded = ExploreRequest(
        prompt="Who?", system="Be brief", decoding=decoding, threshold=Threshold(k=2, population="token")
    )
    for request in (decoded, decoded.reading("Me")):
        view = ExploreView(cell=Cell(1, 2), draft="old", score="usual").asking(request)
        shared = Shared(card=NeuronId(1, 2)).asking(request, decoding)
        assert view.request(shared) == request and shared.decoding == decoding
        assert (view.cell, shared.card, view.draft, view.score) == (None, None, None, "usual")


def test_a_stop_text_with_any_character_survives() -> None:
    stop: Any = ("a,b", '"', "\n", "&=?#")
    params = links.write(Shared(decoding=Decoding(stop=stop)))
    assert json.loads(params["stop"]) == list(stop)
    assert views.read(params)[0].of(Shared).decoding.stop == stop


SAVED: dict[str, tuple[type[Frozen], str, tuple[str, ...]]] = {
    "prompt": (Shared, "prompt", ("Who leads Nortel?", "", "a & b = c\nd")),
    "chat": (Shared, "chat", ("0",)),
    "system": (Shared, "system", ("Be brief",)),
    "max_new_tokens": (Shared, "decoding.max_new_tokens", ("12",)),
    "temperature": (Shared, "decoding.temperature", ("0.7", "1e-02")),
    "top_k": (Shared, "decoding.top_k", ("50",)),
    "top_p": (Shared, "decoding.top_p", ("0.9",)),
    "seed": (Shared, "decoding.seed", ("7",)),
    "stop": (Shared, "decoding.stop", ('["a,b", "\\n"]',)),
    "neurons": (Shared, "neurons", ("L3:N5,L4:N7", "L0:N3,L0:E1:N3")),
    "probe": (Shared, "probe", ("mine-2",)),
    "card": (Shared, "card", ("L1:E2:N3",)),
    "template": (Shared, "template", ("1",)),
    "draft": (ExploreView, "draft", ("Half a quest", "")),
    "unrun": (
        ExploreView,
        "unrun",
        ('{"system":"Né","max_new_tokens":7,"k":2.5,"population":"token"}', '{"stop":["a,b","\\n"]}'),
    ),
    "measure": (ExploreView, "measure", ("usual",)),
    "part": (ExploreView, "part", ("0", "3")),
    "answer": (ExploreView, "answer", ("Cairo",)),
    "k": (ExploreView, "threshold.k", ("2.5",)),
    "population": (ExploreView, "threshold.population", ("model",)),
    "score": (ExploreView, "score", ("top10",)),
    "cell": (ExploreView, "cell", ("17.12",)),
    "per_layer": (ExploreView, "per_layer", ("1",)),
    "model": (ExploreView, "model", ("org/name 7B",)),
    "alphas": (CompareView, "draft.alphas", ("", "0.5,2.0", "0.0,0.3,2.0,1.25", "2.0,2.0")),
    "own": (CompareView, "draft.own", ("L17:N98=2.0,L17:E1:N412=0.0", "L1:N2=1.0")),
    "controls": (CompareView, "draft.controls", ("0", "3")),
    "kinds": (CompareView, "draft.control_kinds", ("free", "layer,free", "")),
    "control_seed": (CompareView, "draft.control_seed", ("5",)),
    "positions": (CompareView, "draft.positions", ("answer", "prompt")),
    "typed": (CompareView, "typed", ("Who wrote", "")),
    "against": (CompareView, "against", ("1",)),
    "known": (CompareView, "known", ("Cairo | Al-Qahirah",)),
    "known_of": (CompareView, "known_of", ("Who leads Nortel?",)),
    "marks": (CompareView, "marks", ("1f0c9a7be2d4:1=wrong,2=right",)),
    "flips": (CompareView, "flips", ("0",)),
    "split_row": (CompareView, "split_row", ("Half",)),
    "moved_row": (CompareView, "moved_row", ("Random twin",)),
    "moved_score": (CompareView, "moved_score", ("sum",)),
    "room": (IdentifyView, "room", ("train", "probes")),
    "form": (IdentifyView, "form", ('{"name":"mine","samples":4,"top_p":0.8,"judge_words":true}',)),
    "changing": (IdentifyView, "changing", ("mine-2",)),
}
"""Key of an address that people have saved -> the field that it names, and values as addresses have them."""


def test_every_key_is_among_the_saved_ones_and_none_of_those_was_lost() -> None:
    assert set(SAVED) == {param.key for kind in KINDS for param in links.params(kind)}


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, (_, _, texts) in SAVED.items() for text in texts])
def test_an_address_that_was_saved_opens_and_is_written_as_it_was(key: str, text: str) -> None:
    kind, name, _ = SAVED[key]
    held, notes = views.read({key: text})
    fresh, found = (reduce(getattr, name.split("."), each) for each in (kind(), held.of(kind)))
    assert notes == () and found != fresh
    text = "0.01" if text == "1e-02" else text
    assert written(held) == ({key: text}, {})
    pages = [page for page in views.PAGES if key in views.write(held, page)[0]]
    assert pages and all(name.split(".")[0] in views.own(page, kind) for page in pages)


def test_every_setting_of_an_exploration_can_stand_changed_in_its_form() -> None:
    asked = set(ExploreRequest.model_fields) - {"prompt", "decoding", "threshold", "neurons", "top", "probe"}
    assert set(Unrun.model_fields) == asked | set(Decoding.model_fields) | set(Threshold.model_fields)
