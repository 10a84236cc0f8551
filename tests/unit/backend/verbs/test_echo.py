"""A verb is one module and one row: one that is added so works at every door, and no other file knows of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend.cli.main import main
from backend.engine import Engine
from backend.errors import BadInput, Unknown
from backend.models.loaded import LoadedModel
from backend.serve.client import Client, fetched
from backend.serve.remote.client import HttpClient
from backend.types.refusal import validated
from backend.verbs.table import VERBS, VerbRow
from cache.store import Store
from tests.doors import assert_error_shape, ended, local, served
from tests.echo import Echo, EchoRequest
from tests.fakes import FakeEngine

ROW = VerbRow("echo", EchoRequest, Echo, "Say a text again", module="tests.echo")
ASKED = EchoRequest(text="Nortel", times=2)
ANSWER = Echo(request=ASKED, said="Nortel Nortel")
TOO_OFTEN = "times = 10 is not accepted: input should be less than or equal to 9; choose a number in that range."


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the verb while a test runs."""
    monkeypatch.setitem(VERBS, ROW.name, ROW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture(params=["a fake", "a real one"])
def engine(request: pytest.FixtureRequest, tiny: Callable[[str], LoadedModel], store: Store) -> FakeEngine | Engine:
    return FakeEngine(store=store) if request.param == "a fake" else Engine(tiny("llama"), store)


@pytest.fixture
def client(engine: FakeEngine | Engine, store: Store) -> Iterator[Client]:
    """The page's client in this process."""
    with local(engine, store) as opened:
        yield opened


@pytest.fixture
def address(client: Client) -> Iterator[str]:
    with served(client) as found:
        yield found


def test_a_page_asks_for_it_and_has_its_result_by_its_key_in_a_later_run_of_the_program(
    client: Client, engine: FakeEngine | Engine, store: Store
) -> None:
    view = ended(client, client.jobs.submit("echo", ASKED, "ann"))
    assert fetched(client.results, view) == ANSWER
    assert [event.type for event in view.events] == ["stage"]
    again = ended(client, client.jobs.submit("echo", ASKED, "bob"))
    assert again.cached and again.key == view.key
    with local(FakeEngine(store=store), store) as later:
        assert view.key is not None and later.results.get(view.key) == ANSWER
        (listed,) = later.results.list()
        assert listed.verb == "echo" and EchoRequest.model_validate(listed.request) == ASKED


def test_it_is_asked_over_http_with_the_same_result_and_described_there(client: Client, address: str) -> None:
    here = fetched(client.results, ended(client, client.jobs.submit("echo", ASKED, "ann")))
    far = HttpClient(address)
    view = ended(far, far.jobs.submit("echo", ASKED, "bob"))
    assert fetched(far.results, view).to_bytes() == here.to_bytes()
    far.close()
    with httpx.Client(trust_env=False) as http:
        assert http.post(f"{address}/v1/echo", json={"text": "Nortel", "times": 2}).json()["said"] == "Nortel Nortel"
        stored = http.get(f"{address}/v1/results/{view.key}").json()
        assert stored["verb"] == "echo" and Echo.model_validate(stored["result"]) == ANSWER
        described = http.get(f"{address}/openapi.json").json()
        assert described["paths"]["/v1/echo"]["post"]["description"].startswith("Say a text again")
        assert "/v1/echo" in http.get(f"{address}/docs").text


def test_it_is_a_command_whose_options_are_the_fields_of_its_request(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["echo", "--text", "Nortel", "--times", "2", "--backend", address]
    assert main([*words, "--json"]) == 0
    assert Echo.model_validate_json(capfd.readouterr().out) == ANSWER
    assert main(words) == 0
    assert "Nortel Nortel" in capfd.readouterr().out
    assert main(["echo", "--help"]) == 0
    told = capfd.readouterr().out
    assert all(words in told for words in ("Say a text again.", "what to say again", "--times", "--model", "--json"))


def test_a_request_that_its_type_refuses_is_refused_in_the_same_words_at_every_door(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadInput) as python:
        validated(EchoRequest, {"text": "Nortel", "times": 10})
    assert python.value.sentence == TOO_OFTEN
    told = {"error": python.value.to_json()}
    wrong = {"text": "Nortel", "times": 10}
    with httpx.Client(trust_env=False) as http:
        submitted = http.post(f"{address}/v1/jobs", json={"verb": "echo", "request": wrong, "session": "ann"})
        for answer in (http.post(f"{address}/v1/echo", json=wrong), submitted):
            assert (answer.status_code, answer.json()) == (422, told)
    assert main(["echo", "--text", "Nortel", "--times", "10", "--json", "--backend", address]) == 2
    assert json.loads(capfd.readouterr().out) == told
    assert main(["echo", "--json", "--backend", address]) == 2
    assert_error_shape(json.loads(capfd.readouterr().out), "bad_prompt")


def test_without_its_row_no_door_knows_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(VERBS, ROW.name)
    with pytest.raises(Unknown, match="ask for one of explore, compare") as python:
        client.jobs.submit("echo", ASKED, "ann")
    with served(client) as bare, httpx.Client(trust_env=False) as http:
        assert http.post(f"{bare}/v1/echo", json={"text": "Nortel"}).status_code == 404
        wrong = http.post(f"{bare}/v1/jobs", json={"verb": "echo", "request": {}, "session": "ann"})
        assert (wrong.status_code, wrong.json()) == (404, {"error": python.value.to_json()})
    assert main(["echo", "--text", "Nortel"]) == 2
    assert "There is no command 'echo'" in capfd.readouterr().err
