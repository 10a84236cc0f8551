"""Models as a person meets it: ready, loading, failed, choosing another, and why one is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from transformers import GenerationConfig

from app import presence
from app.models import parts
from backend.errors import BackendUnavailable, Busy, ModelUnreadable, UnknownModel
from backend.models import settings
from backend.types import ModelChange, ModelChoice, ModelOrder, ModelStatus
from tests import pages_run
from tests.fakes_app import INFO, FakeClient, FakeModels

MEMORY = {
    "weights": 538_000_000,
    "kv_cache": 90_000_000,
    "capture": 30_000_000,
    "total": 658_000_000,
    "free": 8 * 10**9,
}


@dataclass
class Loader(FakeClient):
    """A client whose status is set by the test and whose loads are written down."""

    now: ModelStatus = ModelStatus(state="ready", name=INFO.name, info=INFO, memory=MEMORY)
    loads: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    busy: Busy | None = None
    cancelled: int = 0
    gone: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.models = LoaderModels(self)


@dataclass
class LoaderModels(FakeModels):
    fake: Loader

    def status(self) -> ModelStatus:
        return self.fake.now

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
        gone: Collection[str] = (),
    ) -> None:
        if self.fake.refuse is not None:
            raise self.fake.refuse
        if self.fake.busy is not None and not confirm:
            assert session, "the page says who asks"
            raise self.fake.busy
        self.fake.gone = tuple(gone)
        self.fake.loads.append((name, device, dtype))

    def cancel(self) -> None:
        self.fake.cancelled += 1
        self.fake.now = self.fake.now.model_copy(update={"change": None})


class Gone(FakeModels):
    """A service that does not answer."""

    def status(self) -> ModelStatus:
        raise BackendUnavailable("The service does not answer", "nothing listens there", "start it with hneurons serve")


def opened(client: FakeClient, row: int | None = None) -> AppTest:
    """The page, run with this engine, and a row of the table ticked."""
    app = pages_run.opened("models", client)
    if row is not None:
        app.session_state["models.table"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
        app.run()
    return app


def words(app: AppTest) -> str:
    """All text of the page."""
    import html

    boxes = (*app.header, *app.markdown, *app.error, *app.warning, *app.info)
    return html.unescape(" ".join(one.value for one in boxes))


def test_the_loaded_model_is_told_with_its_size_device_and_memory() -> None:
    app = opened(Loader())
    assert not app.exception
    assert "46,080 neurons in 30 layers" in app.header[0].value.replace("&#44;", ",")
    assert [one.value for one in app.metric] == ["30 × 1,536", "135M", "float32", "cpu"]
    assert "538 MB weights" in words(app) and "658 MB" in words(app) and "Free now: 8.0 GB" in words(app)


def test_what_is_not_followed_of_the_model_is_told_in_its_own_words() -> None:
    asks = GenerationConfig(repetition_penalty=1.3, no_repeat_ngram_size=3)
    told = ("A slower way is taken: <b>rows</b> run one by one", *settings.unused(asks))
    status = ModelStatus(state="ready", name=INFO.name, info=INFO.model_copy(update={"notes": told}), memory=MEMORY)
    app = opened(Loader(now=status))
    assert "repetition_penalty" in told[1] and "no_repeat_ngram_size" in told[1]
    assert not app.exception and all(sentence in words(app) for sentence in told)
    assert not any("<b>" in one.value for one in app.markdown), "text of a model is no markup"
    assert not any(sentence in words(opened(Loader())) for sentence in told)


def test_while_loading_the_stage_is_shown_and_questions_may_wait() -> None:
    app = opened(
        Loader(now=ModelStatus(state="loading", name="M", stage="writing the weights", fraction=0.4, queued=2))
    )
    assert not app.exception
    (bar,) = app.get("progress")
    assert bar.proto.text == "writing the weights" and bar.proto.value == 40
    assert "2 questions waiting" in words(app)


def test_while_the_engine_starts_the_page_does_not_wait_for_its_list() -> None:
    class Starting(LoaderModels):
        def list(self) -> tuple[ModelChoice, ...]:
            raise AssertionError("this would wait for the engine")

    client = Loader(now=ModelStatus(state="loading", name="M", stage="starting"))
    client.models = Starting(client)
    app = opened(client)
    assert not app.exception and "M is loading" in app.header[0].value
    assert "when the engine has started" in words(app)


LOADED = ModelStatus(state="ready", name=INFO.name, info=INFO, memory=MEMORY)


def test_while_another_model_is_checked_the_loaded_one_stands_there_and_it_can_be_called_off() -> None:
    change = ModelChange(name="o/n", state="checking", stage="downloading", fraction=0.25)
    client = Loader(now=LOADED.model_copy(update={"change": change}))
    app = opened(client)
    assert not app.exception and "is loaded" in app.header[0].value
    (bar,) = app.get("progress")
    assert bar.proto.value == 25 and "downloading" in bar.proto.text and "keeps answering" in words(app)
    app.button(key="models.cancel").click().run()
    assert client.cancelled == 1 and not app.get("progress")


def test_a_refusal_stands_alone_and_not_beside_the_failure_of_a_model_asked_for_before() -> None:
    older = ModelUnreadable("o/n cannot be read", "it is cut", "fetch it again").to_json()
    now = LOADED.model_copy(update={"change": ModelChange(name="o/n", state="failed", error=older)})
    app = opened(Loader(now=now, refuse=UnknownModel("There is no model zzz", "it is not in the table", "see there")))
    app.text_input(key="models.name").set_value("zzz").run()
    app.button(key="models.load-named").click().run()
    assert ["zzz" in one.value for one in app.error] == [True]


def test_a_change_that_came_to_nothing_says_why_and_that_the_loaded_model_answers() -> None:
    error = ModelUnreadable("o/n cannot be read", "it is cut off", "fetch it again").to_json()
    app = opened(Loader(now=LOADED.model_copy(update={"change": ModelChange(name="o/n", state="failed", error=error)})))
    assert "is loaded" in app.header[0].value and "It is cut off" in words(app)
    assert f"{INFO.name} is still loaded and answers" in words(app)
    assert "models.cancel" not in {one.key for one in app.button}


def test_whoever_would_take_the_model_from_others_is_asked_first() -> None:
    client = Loader(busy=Busy("M is in use", "2 questions of others run or wait", "confirm that it is to be loaded"))
    app = opened(client, row=0)
    app.selectbox(key="models.dtype").set_value("bfloat16").run()
    app.button(key="models.load").click().run()
    assert not client.loads and "2 questions of others run or wait" in words(app) and not app.error
    app.button(key="models.leave").click().run()
    assert not client.loads and not app.warning
    app.button(key="models.load").click().run()
    app.button(key="models.confirm").click().run()
    assert client.loads == [("Fake-135M-Instruct", None, "bfloat16")] and not app.warning


def test_tabs_that_were_closed_are_not_taken_for_others_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "gone", lambda: ("a tab before",))
    client = Loader()
    opened(client, row=0).button(key="models.load").click().run()
    assert client.loads and client.gone == ("a tab before",)


def test_the_model_before_is_one_click_away_as_it_was() -> None:
    before = ModelOrder(name="/models/old", device="cpu", dtype="bfloat16")
    client = Loader(now=LOADED.model_copy(update={"previous": before, "paused": ("my-run",)}))
    app = opened(client)
    assert "my-run" in words(app) and "wait until their model is loaded again, then continue" in words(app)
    app.button(key="models.back").click().run()
    assert client.loads == [("/models/old", "cpu", "bfloat16")]


def test_a_failed_model_is_told_with_its_remedy_and_another_can_be_chosen() -> None:
    error = ModelUnreadable("M cannot be read", "it has no tokenizer", "choose a directory with tokenizer.json")
    client = Loader(now=ModelStatus(state="failed", name="M", error=error.to_json()))
    app = opened(client, row=0)
    assert "could not be loaded" in app.header[0].value and "tokenizer.json" in words(app)
    app.button(key="models.load").click().run()
    assert client.loads == [("Fake-135M-Instruct", None, None)]


def test_a_model_that_does_not_fit_has_its_reason_instead_of_a_button() -> None:
    app = opened(Loader(), row=1)
    assert "models.load" not in {one.key for one in app.button}
    assert "150.0 GB" in words(app) and "8.0 GB are free" in words(app)
    assert "models.load" in {one.key for one in opened(Loader(), row=0).button}


def test_any_name_is_loaded_with_the_dtype_and_device_that_are_set() -> None:
    client = Loader()
    app = opened(client)
    app.text_input(key="models.name").set_value(" owner/name ").run()
    app.selectbox(key="models.dtype").set_value("bfloat16").run()
    app.selectbox(key="models.device").set_value("cuda").run()
    app.button(key="models.load-named").click().run()
    assert client.loads == [("owner/name", "cuda", "bfloat16")]


@pytest.mark.parametrize("name", ["", "   "])
def test_no_name_is_refused_in_words_and_nothing_is_loaded(name: str) -> None:
    client = Loader()
    app = opened(client)
    app.text_input(key="models.name").set_value(name).run()
    app.button(key="models.load-named").click().run()
    assert not client.loads and "No model is named" in words(app)


def test_a_refused_load_says_why_and_keeps_what_was_typed() -> None:
    client = Loader()
    app = opened(client)
    app.text_input(key="models.name").set_value("<b>no/such</b>").run()
    client.refuse = UnknownModel("There is no model <b>no/such</b>", "no such name", "choose one of the table")
    app.button(key="models.load-named").click().run()
    assert "Choose one of the table" in words(app) and not [one for one in app.error if "<b>" in one.value]
    assert app.text_input(key="models.name").value == "<b>no/such</b>"
    client.refuse = None
    app.button(key="models.load-named").click().run()
    assert not app.error and client.loads


def test_a_service_that_does_not_answer_is_told_with_the_remedy() -> None:
    client = FakeClient()
    client.models = Gone(client)
    app = opened(client)
    assert not app.exception and "hneurons serve" in words(app)


def test_every_column_of_the_registry_is_in_the_table() -> None:
    rows: Any = parts.table(FakeClient().models.list())
    assert list(rows["status"]) == ["ready to load", "too large"]
    assert list(rows["size"]) == ["135M", "70B"] and "gated" in rows["licence"][1]
