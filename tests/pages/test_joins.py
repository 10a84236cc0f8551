"""Widgets and fields of a view say the same, whichever was changed; run as a page of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from app.compare.view import CompareView
from app.shared.view import Shared
from tests.pages_run import PATIENCE, change, view


def script() -> None:
    import streamlit as st

    from app import session
    from app.compare.view import CompareView
    from app.shared import joins
    from app.shared.view import Shared

    joined = (joins.plain(CompareView, "draft.control_seed", "seed"), joins.plain(Shared, "decoding.seed", "draw"))
    st.session_state["taken"] = joins.take_up(joined)
    joins.keep(joined)
    if st.session_state.get("drawn", True):
        st.number_input("Seed", 0, 99, key="seed")
        st.number_input("Draw", 0, 99, key="draw")
    st.toggle("Template", **joins.follow(Shared, "template", "template"))
    session.change(CompareView, flips=False)


@pytest.fixture
def app() -> Iterator[AppTest]:
    yield AppTest.from_function(script, default_timeout=PATIENCE).run()


def seeds(app: AppTest) -> tuple[int, int]:
    return view(app, CompareView).draft.control_seed, view(app, Shared).decoding.seed


def test_what_a_widget_is_set_to_its_field_says_and_no_other_field_changes(app: AppTest) -> None:
    app.number_input(key="seed").set_value(7).run()
    assert seeds(app) == (7, 0) and view(app, CompareView) == CompareView(flips=False).model_copy(
        update={"draft": CompareView().draft.model_copy(update={"control_seed": 7})}
    )
    assert not app.session_state["taken"], "the page itself wrote that"


def test_a_field_that_was_changed_elsewhere_is_taken_up_by_its_widget_alone(app: AppTest) -> None:
    app.number_input(key="draw").set_value(3).run()
    change(app, CompareView, draft={"control_seed": 5})
    app.run()
    assert app.session_state["taken"] and seeds(app) == (5, 3)
    assert (app.number_input(key="seed").value, app.number_input(key="draw").value) == (5, 3)
    app.run()
    assert not app.session_state["taken"]


def test_a_widget_that_a_run_did_not_draw_shows_what_its_field_says(app: AppTest) -> None:
    app.number_input(key="seed").set_value(7).run()
    app.session_state["drawn"] = False
    app.run().run()
    app.session_state["drawn"] = True
    app.run()
    assert app.number_input(key="seed").value == 7 and seeds(app) == (7, 0)


def test_a_widget_that_holds_nothing_shows_the_field_and_sets_it(app: AppTest) -> None:
    app.toggle(key="template").set_value(True).run()
    assert view(app, Shared).template and app.toggle(key="template").value
    change(app, Shared, template=False)
    assert not app.run().toggle(key="template").value


def test_a_field_that_there_is_not_cannot_be_changed(app: AppTest) -> None:
    with pytest.raises(AttributeError):
        change(app, Shared, promt="Who?")
    with pytest.raises(AttributeError):
        change(app, CompareView, draft={"sead": 1})
