"""What is asked while a model is on its way waits for it, can be stopped through every door, and is not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import rooms
from backend.errors import BackendUnavailable, Busy
from backend.neurons import NeuronSet
from backend.serve.client import Client
from backend.serve.local.client import LocalClient
from backend.serve.opening import Answering, ModelSpec, Progress
from backend.serve.remote.client import HttpClient
from backend.types import CompareRequest, Decoding, ExploreRequest, Request, Verb
from tests import doors
from tests.doors import PATIENCE, ended, served
from tests.fakes import FakeEngine
from tests.fakes_app import FakeClient
from tests.unit.serve.test_worker import Gate, asking, named, wait_for

COMPARED = CompareRequest(
    prompt="compared", neurons=NeuronSet.of("L1:N2"), alphas=(0.0,), decoding=Decoding(max_new_tokens=2)
)
ASKED: dict[Verb, Request] = {"explore": asking("explored", 2), "compare": COMPARED}


@contextmanager
def on_its_way(moment: str, old: FakeEngine, new: FakeEngine, going: threading.Event) -> Iterator[LocalClient]:
    """A client whose model `new` is on its way: as the first one, behind a question to `old`, or being opened."""
    opening = threading.Event()

    def opener(spec: ModelSpec, progress: Progress) -> Answering:
        if spec.name == "old":
            return old
        opening.set()
        while not going.wait(0.01):
            progress("reading weights", 0.5)
        return new

    client = LocalClient(
        opener, None, choices=lambda: (), check=doors.accept, prepare=doors.ready_to_open, memory=doors.no_memory,
        examples=Path("nowhere"),
    )  # fmt: skip
    try:
        if moment != "first":
            client.models.load("old")
            wait_for(lambda: client.models.status().state == "ready")
        if moment == "waiting":
            assert isinstance(old.on_token, Gate)
            client.jobs.submit("explore", asking("before", 1), "other")
            assert old.on_token.reached.wait(PATIENCE)
        client.models.load("new", confirm=True)
        wait_for(lambda: client.models.status().name == "new" and (moment == "waiting" or opening.is_set()))
        yield client
    finally:
        going.set()
        if isinstance(old.on_token, Gate):
            old.on_token.open_wide()
        client.close()


@contextmanager
def door(client: LocalClient, place: str) -> Iterator[Client]:
    if place == "here":
        yield client
        return
    with served(client) as address:
        far = HttpClient(address)
        yield far
        far.close()


@pytest.mark.parametrize("place", ["here", "over HTTP"])
@pytest.mark.parametrize("moment", ["first", "waiting", "loading"])
@pytest.mark.parametrize("verb", ["explore", "compare"])
def test_what_waits_for_a_model_is_stopped_at_once_and_what_is_left_is_answered(
    verb: Verb, moment: str, place: str
) -> None:
    old, new, going = named("old", on_token=Gate()), named("new"), threading.Event()
    with on_its_way(moment, old, new, going) as client, door(client, place) as through:
        job = through.jobs.submit(verb, ASKED[verb], "me")
        left = through.jobs.submit("explore", asking("left", 1), "me")
        assert through.jobs.view(job).state == "queued"
        through.jobs.stop(job)
        seen = through.jobs.view(job)
        assert seen.state == "stopped" and seen.error is not None and seen.error["code"] == "stopped"
        assert through.models.status().name == "new", "the change of model goes on"
        again = through.jobs.submit(verb, ASKED[verb], "me")
        going.set()
        assert isinstance(old.on_token, Gate)
        old.on_token.open_wide()
        assert ended(through, left).state == ended(through, again).state == "done"
        assert through.jobs.view(job).state == "stopped"
    assert ASKED[verb] not in old.computed and new.computed.count(ASKED[verb]) == 1


@pytest.mark.parametrize("place", ["here", "over HTTP"])
def test_a_session_that_is_gone_keeps_no_model_from_others(place: str) -> None:
    with doors.local(named("old"), new=named("new")) as client, door(client, place) as through:
        wait_for(lambda: through.models.status().state == "ready")
        ended(through, through.jobs.submit("explore", asking("before", 1), "a closed tab"))
        with pytest.raises(Busy, match="1 other session used it"):
            through.models.load("new", session="me")
        through.models.load("new", session="me", gone=("a closed tab",))
        wait_for(lambda: through.models.status().name == "new")


def asked_of(engine: FakeEngine) -> list[ExploreRequest | CompareRequest]:
    return [one for one in engine.computed if isinstance(one, ExploreRequest | CompareRequest)]


def put(app: AppTest, verb: Verb) -> None:
    """Ask on the page what the address does not."""
    if verb == "explore":
        next(one for one in app.text_input if one.label == "Your question").set_value("Who leads?")
        app.button(key="ask-run").click().run()
    else:
        app.button(key="compare.run").click().run()


@pytest.mark.parametrize("moment", ["first", "waiting", "loading"])
@pytest.mark.parametrize("verb", ["explore", "compare"])
def test_the_page_stops_a_question_that_waits_and_keeps_it_to_be_asked_again(verb: Verb, moment: str) -> None:
    old, new, going = named("old", on_token=Gate()), named("new"), threading.Event()
    with on_its_way(moment, old, new, going) as client:
        app = AppTest.from_file(str(rooms.file(verb)), default_timeout=60)
        app.session_state["client"] = client
        if verb == "compare":
            app.query_params["prompt"], app.query_params["neurons"] = "Who leads?", "L1:N2"
        app.run()
        if verb == "explore":
            put(app, verb)
        assert client.models.status().queued == 1
        app.button(key=f"stop:{verb}").click().run()
        assert client.models.status().queued == 0 and not app.exception
        assert any("The run was stopped" in one.value for one in app.info)
        going.set()
        assert isinstance(old.on_token, Gate)
        old.on_token.open_wide()
        wait_for(lambda: client.models.status().state == "ready")
        app.run()
        assert asked_of(new) == [], "nobody asked it again"
        assert app.query_params["prompt"] in ("Who leads?", ["Who leads?"])
        put(app, verb)
        wait_for(lambda: [one.prompt for one in asked_of(new)] == ["Who leads?"])


@pytest.mark.parametrize("verb", ["explore", "compare"])
def test_a_question_that_could_not_be_stopped_is_not_said_to_be(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(pace=1000.0)
    app = AppTest.from_file(str(rooms.file(verb)), default_timeout=60)
    app.session_state["client"] = client
    app.query_params["prompt"], app.query_params["neurons"] = "Who leads?", "L17:N412"
    app.run()

    def silent(job: str) -> None:
        raise BackendUnavailable("The engine does not answer", "the connection is gone", "look whether it runs")

    monkeypatch.setattr(client.jobs, "stop", silent)
    app.button(key=f"stop:{verb}").click().run()
    assert not any("The run was stopped" in one.value for one in app.info)
    assert any("The engine does not answer" in one.value for one in app.error)
