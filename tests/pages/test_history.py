"""Back, Forward, reload and links, on every page: what the address says is what the page shows."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from streamlit.testing.v1 import AppTest

from app import links, session
from app.compare.view import CompareView
from app.explore.view import ExploreView
from app.identify.view import IdentifyView
from app.shared.view import Shared
from backend.errors import StoreError
from backend.neurons import NeuronId, NeuronSet
from backend.types import Decoding, Exploration
from backend.types.base import Frozen
from tests.fakes_app import FakeClient, FakeLinks
from tests.pages_run import change, opened, view

MANY = NeuronSet(tuple(NeuronId(layer, index) for layer in range(5, 30) for index in range(1010, 1030)))


def address(app: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}


def told(app: AppTest) -> str:
    return html.unescape("\n".join(str(one.value) for one in (*app.markdown, *app.info, *app.error)))


@contextmanager
def pressed_back() -> Iterator[None]:
    """The next runs are those that the browser begins for Back or Forward."""
    with mock.patch.object(session, "went_back", lambda: True):
        yield


def back_to(app: AppTest, params: dict[str, str]) -> AppTest:
    app.query_params.clear()
    for key, value in params.items():
        app.query_params[key] = value
    with pressed_back():
        return app.run()


def test_back_undoes_a_change_of_the_maps_score_also_to_the_bare_address() -> None:
    app = opened("explore", FakeClient())
    app.button_group(key="score").set_value("usual").run()
    first = address(app)
    app.button_group(key="score").set_value("top10").run()
    assert first == {"score": "usual"} and view(app, ExploreView).score == "top10"
    back_to(app, first)
    assert view(app, ExploreView).score == "usual" and app.button_group(key="score").value == "usual"
    assert address(app) == first
    back_to(app, {})
    assert view(app, ExploreView).score == "largest" and app.button_group(key="score").value == "largest"
    assert address(app) == {}


CONTROLS: dict[str, tuple[str, type[Frozen], str, object]] = {
    "score": ("button_group", ExploreView, "score", "usual"),
    "per-layer": ("toggle", ExploreView, "per_layer", True),
    "template": ("toggle", Shared, "template", True),
    "measure": ("button_group", ExploreView, "measure", "usual"),
    "all-scores": ("radio", ExploreView, "score", "sum"),
}


@pytest.mark.parametrize("key", CONTROLS)
def test_each_control_of_explores_maps_is_a_step_of_back_and_survives_a_reload(key: str) -> None:
    kind, of, field, value = CONTROLS[key]
    app = opened("explore", FakeClient())
    before = getattr(view(app, of), field)
    getattr(app, kind)(key=key).set_value(value).run()
    written = address(app)
    assert getattr(view(app, of), field) == value and written
    again = opened("explore", FakeClient(), **written)
    assert getattr(view(again, of), field) == value and getattr(again, kind)(key=key).value == value
    back_to(app, {})
    assert getattr(view(app, of), field) == before and getattr(app, kind)(key=key).value == before
    back_to(app, written)
    assert getattr(view(app, of), field) == value, "Forward brings it again"


def test_back_to_the_first_visit_shows_the_example_again() -> None:
    app = opened("explore", FakeClient())
    heading = app.header[0].value
    box = next(one for one in app.text_input if one.label == "Your question")
    box.set_value("Who leads Egypt?")
    app.button(key="ask-run").click().run()
    app.run()
    back_to(app, {})
    assert app.header[0].value == heading
    result = app.session_state["result:explore"][1]
    assert isinstance(result, Exploration) and result.request.prompt == "Who is the CEO of Nortel?"
    assert next(one for one in app.text_input if one.label == "Your question").value == "Who is the CEO of Nortel?"


def test_a_run_is_one_step_of_back_the_model_that_answered_is_no_second_one() -> None:
    app = opened("explore", FakeClient())
    written: list[dict[str, str]] = []
    next(one for one in app.text_input if one.label == "Your question").set_value("Who leads Egypt?")
    app.button(key="ask-run").click().run()
    written.append(address(app))
    app.run()
    assert address(app) == written[0]


def test_an_address_that_only_lags_behind_undoes_nothing() -> None:
    app = opened("explore", FakeClient())
    app.button_group(key="score").set_value("usual").run()
    app.query_params.clear()
    app.toggle(key="per-layer").set_value(True).run()
    assert view(app, ExploreView).score == "usual" and view(app, ExploreView).per_layer


def test_a_set_of_five_hundred_neurons_has_a_short_link_that_opens_it_anywhere_here() -> None:
    client = FakeClient()
    app = opened("explore", client, prompt="Who?")
    change(app, Shared, neurons=MANY)
    app.run()
    written = address(app)
    assert set(written) == {"prompt", "model", links.STORED} and len(written[links.STORED]) == 64
    assert "too long" not in told(app)
    again = opened("explore", client, **written)
    assert view(again, Shared).neurons == MANY
    assert address(again) == written
    reset = opened("compare", client, **written)
    assert view(reset, Shared).neurons == MANY, "the same set on another page"


def test_a_link_whose_long_part_is_not_kept_here_says_so_and_shows_the_rest() -> None:
    app = opened("explore", FakeClient(), prompt="Who?", stored="0" * 64)
    assert not app.exception and view(app, Shared).prompt == "Who?" and not view(app, Shared).neurons
    assert "The long part of this link is not stored here" in told(app)


def test_where_the_engine_keeps_no_link_the_page_says_what_a_reload_would_lose() -> None:
    class Keepless(FakeLinks):
        def keep(self, params: object) -> str:
            raise StoreError("The link cannot be kept", "the disk is full", "free some space")

    client = FakeClient()
    client.links = Keepless(client)
    app = opened("explore", client, prompt="Who?")
    change(app, Shared, neurons=MANY)
    app.run().run()
    assert links.STORED not in address(app)
    assert "list of neurons is too long for an address" in told(app)


def test_identifys_address_holds_its_own_choices_and_not_explores_question() -> None:
    client = FakeClient()
    app = opened("identify", client)
    change(app, Shared, prompt="Who?", neurons=MANY)
    change(app, IdentifyView, room="train")
    app.run()
    assert address(app) == {"room": "train"}
    back_to(app, {})
    assert view(app, IdentifyView).room == "report"
    assert view(app, Shared).prompt == "Who?", "Back on one page leaves the others' choices"


def test_explores_address_does_not_hold_the_switches_of_compare_and_back_leaves_them() -> None:
    app = opened("explore", FakeClient())
    change(app, CompareView, known="Cairo", draft={"alphas": (2.0,)})
    app.button_group(key="score").set_value("usual").run()
    assert address(app) == {"score": "usual"}
    back_to(app, {})
    assert view(app, CompareView).known == "Cairo" and view(app, CompareView).draft.alphas == (2.0,)


def test_a_page_come_to_by_its_bare_address_makes_no_second_step_of_back() -> None:
    app = opened("compare", FakeClient())
    assert address(app) == {}, "written, it would be a step that shows the same"
    placed = app.session_state["address_written"][-1]
    assert placed["neurons"] == "L17:N98,L17:N412,L17:N1033"
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert "own" in address(app), "a change is a step"


def test_back_to_the_page_that_a_button_left_shows_what_stood_there() -> None:
    app = opened("explore", FakeClient(), score="usual", neurons="L17:N412")
    with mock.patch("streamlit.switch_page"):
        app.button(key="compare-with").click().run()
    back_to(app, {})
    assert view(app, ExploreView).score == "usual" and view(app, Shared).neurons == NeuronSet.of("L17:N412")


def test_a_key_that_an_address_has_twice_is_left_out_and_told_of_unless_both_say_the_same() -> None:
    app = opened("explore", FakeClient(), prompt="Who?", temperature=["0.7", "0.9"], seed=["4", "4"])
    assert view(app, Shared).decoding == Decoding(seed=4)
    assert "The link gives temperature twice, as “0.7” and as “0.9”" in told(app)
    assert "seed stands" not in told(app) and "temperature" not in address(app)


def test_what_the_kept_part_of_a_link_says_otherwise_than_the_address_is_left_out_and_told_of() -> None:
    client = FakeClient()
    key = client.links.keep({"neurons": "L1:N2", "system": "Be brief", "card": "L1:N2"})
    app = opened("explore", client, prompt="Who?", neurons="L3:N4", card="L1:N2", stored=[key, key])
    shared = view(app, Shared)
    assert (shared.system, shared.card, shared.neurons) == ("Be brief", NeuronId(1, 2), NeuronSet())
    assert "The link gives neurons twice, as “L1:N2” and as “L3:N4”" in told(app)
    app = opened("explore", client, prompt="Who?", stored=[key, "0" * 64])
    assert view(app, Shared).system is None and "The link gives stored twice" in told(app)
