"""One verb set, many doors: the same request gives the same bytes through each, and errors one shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.cli import running
from backend.cli.main import main
from backend.errors import BadInput, BadSettings, HNeuronsError, Unknown
from backend.neurons import NeuronSet
from backend.serve.client import Client
from backend.serve.local.client import LocalClient
from backend.serve.remote.client import HttpClient
from backend.types import (
    CompareRequest,
    Decoding,
    ExploreRequest,
    Frozen,
    IdentifyRequest,
    LensRequest,
    NeuronRequest,
    Request,
    Verb,
)
from backend.types.refusal import validated
from backend.verbs.table import VERBS
from cache.store import Store
from tests.doors import assert_error_shape, ended, local, served
from tests.fakes import FakeEngine

TRAINING = IdentifyRequest(name="a")
SHORT = Decoding(max_new_tokens=3)
REQUESTS: dict[Verb, Request] = {
    "explore": ExploreRequest(prompt="Who?", decoding=SHORT, neurons=NeuronSet.of("L0:N1", "L2:N3"), top=4),
    "compare": CompareRequest(
        prompt="Who?",
        neurons=NeuronSet.of("L0:N1", "L2:N3"),
        alphas=(0.0, 2.0),
        controls=1,
        control_kinds=("layer", "free"),
        decoding=SHORT,
    ),
    "neuron": NeuronRequest.model_validate({"neuron": "L1:N2"}),
    "lens": LensRequest(neurons=NeuronSet.of("L0:N1", "L2:N3"), top=4),
}
JSON = {"Content-Type": "application/json"}
COMMANDS: dict[str, list[str]] = {
    "explore": ["--prompt", "Who?", "--max-new-tokens", "3", "--neurons", "L2:N3,L0:N1", "--top", "4"],
    "compare": [
        *("--prompt", "Who?", "--max-new-tokens", "3", "--neurons", "L0:N1,L2:N3", "--alphas", "0,2"),
        *("--controls", "1", "--control-kind", "layer", "--control-kind", "free"),
    ],
    "neuron": ["L1:N2"],
    "lens": ["--neurons", "L2:N3,L0:N1", "--top", "4"],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[LocalClient]:
    store = Store(tmp_path)
    with local(FakeEngine(store=store), store) as opened:
        yield opened


def through(client: Client, verb: Verb) -> bytes:
    view = ended(client, client.jobs.submit(verb, REQUESTS[verb], "ann"))
    assert view.error is None and view.key is not None
    result = client.results.get(view.key)
    assert result is not None
    return result.to_bytes()


@pytest.mark.parametrize("verb", list(REQUESTS))
def test_every_door_gives_the_same_result_byte_for_byte(
    verb: Verb, client: LocalClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = through(client, verb)
    with served(client) as address:
        far = HttpClient(address)
        assert through(far, verb) == here
        assert main([verb, *COMMANDS[verb], "--json", "--backend", address]) == 0
        from_service = capfd.readouterr().out
        http = far._connection._http
        posted = http.post(f"{address}/v1/{verb}", content=REQUESTS[verb].model_dump_json(), headers=JSON)
        far.close()
    with local(FakeEngine()) as fresh:
        monkeypatch.setattr(running, "_connect", lambda door: fresh)
        assert main([verb, *COMMANDS[verb], "--json"]) == 0
        from_here = capfd.readouterr().out
    assert from_service == from_here
    assert posted.text == from_here.rstrip("\n")
    assert VERBS[verb].result.model_validate_json(from_here).to_bytes() == here


def test_another_request_gives_other_bytes(client: LocalClient) -> None:
    other = REQUESTS["explore"].model_copy(update={"prompt": "Where?"})
    view = ended(client, client.jobs.submit("explore", other, "ann"))
    assert view.key is not None
    result = client.results.get(view.key)
    assert result is not None and result.to_bytes() != through(client, "explore")


def test_events_are_the_same_seen_from_here_and_over_http() -> None:
    with local(FakeEngine()) as client:
        job = client.jobs.submit("explore", REQUESTS["explore"], "ann")
        view = ended(client, job)
        with served(client) as address:
            far = HttpClient(address)
            assert far.jobs.view(job) == view
            assert far.models.status() == client.models.status()
            assert far.models.list() == client.models.list()
            far.close()


OUT_OF_RANGE = NeuronRequest.model_validate({"neuron": "L9:N2"})


def test_a_refusal_inside_the_run_is_told_alike_at_every_door(
    client: LocalClient, capfd: pytest.CaptureFixture[str]
) -> None:
    here = ended(client, client.jobs.submit("neuron", OUT_OF_RANGE, "ann")).error
    assert_error_shape({"error": here}, "bad_neurons")
    with served(client) as address:
        far = HttpClient(address)
        assert ended(far, far.jobs.submit("neuron", OUT_OF_RANGE, "ann")).error == here
        posted = far._connection._http.post(f"{address}/v1/neuron", json={"neuron": "L9:N2"})
        assert (posted.status_code, posted.json()) == (422, {"error": here})
        assert main(["neuron", "L9:N2", "--json", "--backend", address]) == 2
        far.close()
    captured = capfd.readouterr()
    assert json.loads(captured.out) == {"error": here}
    assert HNeuronsError.from_json(here or {}).sentence in captured.err


SENTENCE = "top = 0 is not accepted: input should be greater than or equal to 1; choose a number in that range."


def test_a_request_that_its_type_refuses_is_told_in_one_sentence_at_every_door(
    client: LocalClient, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput) as python:
        validated(ExploreRequest, {"prompt": "Who?", "top": 0})
    with served(client) as address:
        posted = httpx.post(f"{address}/v1/explore", json={"prompt": "Who?", "top": 0})
    monkeypatch.setattr(running, "_connect", lambda door: client)
    assert main(["explore", "--prompt", "Who?", "--top", "0", "--json"]) == python.value.exit_status == 2
    typed = json.loads(capfd.readouterr().out)
    told = python.value.to_json()
    assert posted.status_code == python.value.http_status == 422
    assert posted.json() == typed == {"error": told}
    assert python.value.sentence == SENTENCE


SWITCHED = {"prompt": "Who?", "neurons": "L0:N1"}


@pytest.mark.parametrize(
    ("verb", "asked", "why", "fine"),
    [
        ("compare", {**SWITCHED, "control_kinds": []}, "Random twins are asked for", {"controls": 0}),
        ("explore", {"prompt": "Who?", "decoding": {"stop": [""]}}, "A stop text is empty", {"decoding": {}}),
    ],
)
def test_what_would_be_ignored_is_refused_alike_whether_waited_for_or_queued(
    verb: Verb, asked: dict[str, Any], why: str, fine: dict[str, Any], client: LocalClient
) -> None:
    with pytest.raises(BadSettings, match=why) as python:
        validated(VERBS[verb].request, asked)
    with served(client) as address:
        waited = httpx.post(f"{address}/v1/{verb}", json=asked)
        queued = httpx.post(f"{address}/v1/jobs", json={"verb": verb, "request": asked, "session": "ann"})
        without = httpx.post(f"{address}/v1/{verb}", json=asked | fine)
    assert waited.status_code == queued.status_code == 422 and without.status_code == 200
    assert waited.json() == queued.json() == {"error": python.value.to_json()}


class Named(Frozen):
    """A value that is no verb's request, though it has the fields of one; mypy knows it from one."""

    name: str = "a"


def refusals(client: Client, address: str, ask: Callable[[Client], object]) -> tuple[HNeuronsError, HNeuronsError]:
    """What a client in this process and one over HTTP say to the same mistake."""
    far = HttpClient(address)
    found: list[HNeuronsError] = []
    for door in (client, far):
        with pytest.raises(HNeuronsError) as refused:
            ask(door)
        found.append(refused.value)
    far.close()
    return found[0], found[1]


MISTAKES: dict[str, tuple[Callable[[Client], object], type[HNeuronsError]]] = {
    "the request of another verb": (lambda door: door.jobs.submit("compare", REQUESTS["explore"], "ann"), BadSettings),
    # The checker refuses it too, since it is no request; here it is tried.
    "one whose fields would do for it": (lambda door: door.jobs.submit("identify", Named(), "ann"), BadSettings),  # type: ignore[arg-type]
    "a training run as another verb": (
        lambda door: door.jobs.submit("lens", IdentifyRequest(name="a"), "a"),
        BadSettings,
    ),
    "no such verb": (lambda door: door.jobs.submit("explor", REQUESTS["explore"], "ann"), Unknown),
    "an example of no verb": (lambda door: door.results.example("explor"), Unknown),
    "an example of a path": (lambda door: door.results.example("a/b"), Unknown),
    "no key of a result": (lambda door: door.results.get("zz"), BadSettings),
    "a result's key and a path": (lambda door: door.results.get("0" * 63 + "/"), BadSettings),
    "no key of a link": (lambda door: door.links.kept("zz"), BadSettings),
    "no key at all": (lambda door: door.links.kept(""), BadSettings),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kept", [True, False], ids=["with a store", "without one"])
def test_one_mistake_is_told_in_one_way_here_and_over_http(mistake: str, kept: bool, tmp_path: Path) -> None:
    ask, kind = MISTAKES[mistake]
    store = Store(tmp_path) if kept else None
    engine = FakeEngine(store=store)
    with local(engine, store) as client, served(client) as address:
        here, far = refusals(client, address, ask)
        assert type(here) is type(far) is kind and far.to_json() == here.to_json()
    assert engine.computed == []


RAW: list[tuple[str, str, object, Callable[[Client], object]]] = [
    (
        "post", "/v1/jobs", {"verb": "explor", "request": {}, "session": "ann"},
        lambda door: door.jobs.submit("explor", REQUESTS["explore"], "ann"),
    ),
    ("get", "/v1/examples/explor", None, lambda door: door.results.example("explor")),
    ("get", "/v1/results/zz", None, lambda door: door.results.get("zz")),
    ("get", "/v1/links/zz", None, lambda door: door.links.kept("zz")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "ask"), RAW, ids=[path for _, path, _, _ in RAW])
def test_a_program_that_speaks_http_is_told_the_same(
    client: LocalClient, method: str, path: str, body: object, ask: Callable[[Client], object]
) -> None:
    with pytest.raises(HNeuronsError) as refused:
        ask(client)
    with served(client) as address, httpx.Client(trust_env=False) as http:
        content = None if body is None else json.dumps(body)
        answer = http.request(method, address + path, content=content, headers=JSON if body else {})
    assert (answer.status_code, answer.json()) == (refused.value.http_status, {"error": refused.value.to_json()})


def test_a_verb_s_name_is_described_by_those_that_there_are(client: LocalClient) -> None:
    with served(client) as address:
        described = httpx.get(f"{address}/openapi.json", trust_env=False).json()
    assert described["components"]["schemas"]["Submission"]["properties"]["verb"]["enum"] == list(VERBS)
    (verb,) = (one for one in described["paths"]["/v1/examples/{verb}"]["get"]["parameters"] if one["name"] == "verb")
    assert verb["schema"]["enum"] == list(VERBS)
