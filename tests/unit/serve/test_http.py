"""The HTTP service: one error shape, bounded bodies, streams, and no answer outside its own description."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable as NothingToForbid
from pydantic import TypeAdapter, ValidationError
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.serve.hosts import Hosts
from backend.serve.http import app as service
from backend.serve.http.app import create_app
from backend.serve.http.bodies import MAX_BODY
from backend.serve.local.client import LocalClient
from backend.types import CompareRequest, ExploreRequest, LensRequest, NeuronRequest, Request, Verb
from backend.verbs.table import VERBS
from tests.doors import PATIENCE, assert_error_shape, ended, local, served
from tests.fakes import FakeEngine

EXAMPLES: dict[Verb, Request] = {
    "explore": ExploreRequest(prompt="Who?"),
    "compare": CompareRequest.model_validate({"prompt": "Who?", "neurons": ["L0:N1"]}),
    "neuron": NeuronRequest.model_validate({"neuron": "L0:N1"}),
    "lens": LensRequest.model_validate({"neurons": "L0:N1,L1:N2"}),
}
ASKED = {"prompt": "Who?", "decoding": {"max_new_tokens": 3}}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[LocalClient]:
    with local(engine) as opened:
        yield opened


@pytest.fixture
def http(client: LocalClient) -> Iterator[TestClient]:
    with TestClient(create_app(client), "http://localhost", raise_server_exceptions=False) as opened:
        yield opened


def test_a_job_is_submitted_watched_and_its_result_fetched(http: TestClient) -> None:
    started = http.post("/v1/jobs", json={"verb": "explore", "request": ASKED, "session": "ann"})
    assert started.status_code == 202
    view = http.get(f"/v1/jobs/{started.json()['id']}", params={"wait": 5}).json()
    while view["state"] != "done":
        view = http.get(f"/v1/jobs/{view['id']}", params={"after": view["next"], "wait": 5}).json()
    body = http.get(f"/v1/results/{view['key']}").json()
    assert body["verb"] == "explore" and body["result"]["answer"] == " w0 w1 w2"
    assert isinstance(body["result"]["cett_sum"][0], list)
    compact = http.get(f"/v1/results/{view['key']}", params={"arrays": "base64"}).json()
    assert set(compact["result"]["cett_sum"]) == {"dtype", "shape", "base64"}


def test_events_stream_in_order_and_end_with_the_state(http: TestClient) -> None:
    job = http.post("/v1/jobs", json={"verb": "explore", "request": ASKED, "session": "ann"}).json()["id"]
    blocks = [block for block in http.get(f"/v1/jobs/{job}/events").text.split("\n\n") if block.startswith("event")]
    kinds = [block.split("\n")[0].removeprefix("event: ") for block in blocks]
    assert kinds == ["stage", "prompt", "token", "token", "token", "end"]
    last = json.loads(blocks[-1].split("data: ")[1])
    assert last["state"] == "done" and last["key"]
    again = http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(last["next"])}).text
    assert again.startswith("event: end"), "who comes back hears only what is new"


def test_who_comes_back_after_any_event_hears_every_later_one_and_no_other(http: TestClient) -> None:
    job = http.post("/v1/jobs", json={"verb": "explore", "request": ASKED, "session": "ann"}).json()["id"]
    whole = events(http.get(f"/v1/jobs/{job}/events").text)
    ids = [number for number, _ in whole]
    assert ids[:-1] == sorted(set(ids[:-1])), "each event has a number of its own"
    for place, number in enumerate(ids[:-1]):
        rest = events(http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(number)}).text)
        assert rest == whole[place + 1 :]
    for nonsense in ("9" * 5000, "-1", "x", "1.5", "\u0663"):
        answer = http.get(f"/v1/jobs/{job}/events", headers={b"Last-Event-ID": nonsense.encode("utf-8")})
        assert answer.status_code == 200 and events(answer.text)[-1] == whole[-1]


def events(text: str) -> list[tuple[int, str]]:
    """Number and data of each event of a stream."""
    found = []
    for block in text.split("\n\n"):
        if block.startswith("event"):
            told = dict(line.split(": ", 1) for line in block.split("\n"))
            found.append((int(told["id"]), told["data"]))
    return found


def test_who_names_a_session_has_a_turn_of_their_own_behind_one_address(
    http: TestClient, client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    submit = client.jobs.submit

    def noted(verb: Verb, request: Request, session: str) -> str:
        asked.append(session)
        return submit(verb, request, session)

    monkeypatch.setattr(client.jobs, "submit", noted)
    for session in ("ann", "bob"):
        assert http.post("/v1/explore", json=ASKED, params={"session": session}).status_code == 200
    assert asked == ["ann", "bob"]
    with served(client) as address:
        for _ in range(2):
            assert httpx.post(f"{address}/v1/explore", json=ASKED, trust_env=False).status_code == 200
    assert len(set(asked)) == 4, "without one each connection has its own"


def test_a_job_can_be_stopped(http: TestClient, client: LocalClient, engine: FakeEngine) -> None:
    gate, reached = threading.Event(), threading.Event()

    def hold(index: int) -> None:
        reached.set()
        assert gate.wait(10)

    engine.on_token = hold
    job = http.post("/v1/jobs", json={"verb": "explore", "request": ASKED, "session": "ann"}).json()["id"]
    assert reached.wait(10)
    assert http.delete(f"/v1/jobs/{job}").status_code == 200
    gate.set()
    assert ended(client, job).state == "stopped"


@pytest.mark.parametrize("what", ["a stored result", "the stream of a job that has ended", "a job that is not there"])
def test_who_can_be_answered_at_once_stands_behind_nobody_who_waits(
    what: str, client: LocalClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every place of those that wait is taken by a long poll at a run that makes no token."""
    monkeypatch.setattr(service, "WAITING", 1)
    stored = ended(client, client.jobs.submit("explore", ExploreRequest.model_validate(ASKED), "ann"))
    gate, reached = threading.Event(), threading.Event()

    def hold(index: int) -> None:
        reached.set()
        assert gate.wait(PATIENCE)

    engine.on_token = hold
    busy = client.jobs.submit("explore", ExploreRequest(prompt="another"), "bob")
    assert reached.wait(PATIENCE)
    after = client.jobs.view(busy).next
    with served(client) as address, httpx.Client(base_url=address, trust_env=False, timeout=5.0) as http:
        poll = threading.Thread(target=httpx.get, args=(f"{address}/v1/jobs/{busy}",), kwargs={
            "params": {"after": after, "wait": 30}, "timeout": 60.0, "trust_env": False,
        })  # fmt: skip
        poll.start()
        until = time.monotonic() + PATIENCE
        while client._worker._records.job(busy).viewers == 0:
            assert time.monotonic() < until
            time.sleep(0.01)
        if what == "a stored result":
            assert http.post("/v1/explore", json=ASKED).json()["answer"] == " w0 w1 w2"
        elif what == "a job that is not there":
            assert http.get("/v1/jobs/nobody/events").status_code == 404
        else:
            assert events(http.get(f"/v1/jobs/{stored.id}/events").text)[-1][0] == stored.next
        assert poll.is_alive(), "somebody still waits"
        gate.set()
        poll.join(PATIENCE)


QUESTIONS = base64.b64encode(b"question,answer\nWho?,Rome").decode()
REFUSED = [
    ("post", "/v1/explore", {"json": {"prompt": "  "}}, 422, "bad_prompt"),
    ("post", "/v1/explore", {"json": {"prompt": "x" * 50_000}}, 422, "bad_prompt"),
    ("post", "/v1/explore", {"json": {"prompt": "x", "surprise": 1}}, 422, "bad_settings"),
    ("post", "/v1/explore", {"json": {"prompt": "\ud800"}}, 422, "bad_prompt"),
    ("post", "/v1/explore", {"json": {}}, 422, "bad_prompt"),
    ("post", "/v1/explore", {"content": b"{"}, 422, "bad_settings"),
    ("post", "/v1/explore", {"content": b'"\xff"'}, 400, "error"),
    ("post", "/v1/compare", {"json": {"prompt": "x", "neurons": ["L1:N2"], "alphas": [1e9]}}, 422, "bad_settings"),
    ("post", "/v1/compare", {"json": {"prompt": "x", "neurons": ["L1:N2"], "alphas": [-1]}}, 422, "bad_settings"),
    ("post", "/v1/compare", {"content": b'{"prompt": "x", "neurons": "L1:N2", "alphas": [NaN]}'}, 422, "bad_settings"),
    ("post", "/v1/compare", {"json": {"prompt": "x", "neurons": ["N2"]}}, 422, "bad_neurons"),
    ("post", "/v1/compare", {"json": {"prompt": "x"}}, 422, "bad_settings"),
    ("post", "/v1/neuron", {"json": {"neuron": "L99:N2"}}, 422, "bad_neurons"),
    ("post", "/v1/jobs", {"json": {"verb": "destroy", "request": {}, "session": "a"}}, 404, "not_found"),
    ("post", "/v1/jobs", {"json": {"verb": "explore", "request": {}, "session": "a"}}, 422, "bad_prompt"),
    ("post", "/v1/explore", {"content": b'{"prompt": "a", "prompt": "b"}'}, 400, "error"),
    (
        "post",
        "/v1/jobs",
        {"content": b'{"verb": "explore", "session": "a", "request": {"prompt": "a", "prompt": "b"}}'},
        400,
        "error",
    ),
    ("post", "/v1/explore", {"content": b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}"}, 400, "error"),
    ("post", "/v1/explore", {"content": b'{"prompt": "x", "top": ' + b"9" * 5000 + b"}"}, 400, "error"),
    ("post", "/v1/explore", {"content": b'{"prompt": "x", "top": 1e999}'}, 422, "bad_settings"),
    ("post", "/v1/explore", {"content": b""}, 422, "bad_settings"),
    ("post", "/v1/models/load", {"json": {"name": "x", "confirm": "yes"}}, 422, "bad_settings"),
    ("post", "/v1/models/load", {"json": {"name": "x", "surprise": 1}}, 422, "bad_settings"),
    ("post", "/v1/questions", {"json": {"files": {"a.csv": "YQ=="}, "limit": True}}, 422, "bad_settings"),
    ("post", "/v1/questions", {"json": {"files": {"a.csv": "YQ=="}, "seed": "3"}}, 422, "bad_settings"),
    ("post", "/v1/questions", {"json": {"files": {"a.csv": "question,answer\nWho?,Rome"}}}, 422, "bad_settings"),
    ("post", "/v1/questions", {"json": {"files": {"a.csv": f"data:text/csv;base64,{QUESTIONS}"}}}, 422, "bad_settings"),
    ("post", "/v1/questions", {"json": {"files": {"a.csv": QUESTIONS[:-1]}}}, 422, "bad_settings"),
    ("post", "/v1/probes/x", {"json": {"files": {"a.json": "!!!"}}}, 422, "bad_settings"),
    ("post", "/v1/probes/x", {"json": {"files": {"a.json": "YQ=="}, "force": "true"}}, 422, "bad_settings"),
    ("delete", "/v1/models/load", {}, 404, "not_found"),
    ("get", "/v1/jobs/nobody", {}, 404, "not_found"),
    ("get", "/v1/jobs/nobody?wait=31", {}, 422, "bad_settings"),
    ("get", "/v1/jobs/nobody/events", {}, 404, "not_found"),
    ("delete", "/v1/jobs/nobody", {}, 404, "not_found"),
    ("get", f"/v1/results/{'0' * 64}", {}, 404, "not_found"),
    ("get", "/v1/results/short", {}, 422, "bad_settings"),
    ("get", "/v1/links/short", {}, 422, "bad_settings"),
    ("get", "/v1/examples/explore", {}, 404, "not_found"),
    ("get", "/v1/examples/destroy", {}, 404, "not_found"),
    ("get", "/v1/nothing", {}, 404, "error"),
    ("put", "/v1/status", {}, 405, "error"),
]


def test_a_file_may_come_in_base64_of_several_lines(http: TestClient) -> None:
    answer = http.post("/v1/questions", json={"files": {"a.csv": f"{QUESTIONS[:8]}\r\n{QUESTIONS[8:]}\n"}})
    assert answer.status_code == 200 and answer.json()["questions"][0]["answers"] == ["Rome"]


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), REFUSED)
def test_every_refusal_has_the_one_shape(
    http: TestClient, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    if "json" in sent:
        sent = {"content": json.dumps(sent["json"])}
    headers = {"Content-Type": "application/json"} if sent else {}
    answer = http.request(method, path, headers=headers, **sent)
    assert answer.status_code == status, answer.text
    assert_error_shape(answer.json(), code)
    assert http.post("/v1/explore", json=ASKED).status_code == 200, "the next request works"


def routes(client: LocalClient) -> list[tuple[str, str, APIRoute]]:
    """Method, a path and the route itself, of every route of the app, those that its description leaves out too."""
    found = [route for route in create_app(client).routes if isinstance(route, APIRoute)]
    return [(method, re.sub(r"{\w+}", "x", one.path), one) for one in found for method in one.methods or ()]


def test_no_route_passes_over_a_parameter_that_it_does_not_know(http: TestClient, client: LocalClient) -> None:
    walked = routes(client)
    assert {"/v1/status", "/v1/links", "/v1/jobs/x/events", "/v1/runs/x/answers", "/v1/compare"} <= {
        path for _, path, _ in walked
    }
    for method, path, route in walked:
        known = sorted(parameter.alias for parameter in route.dependant.query_params)
        answer = http.request(method, path, params={"limt": "3"})
        assert answer.status_code == 422, f"{method} {path} passes over ?limt=3: {answer.text}"
        assert_error_shape(answer.json(), "bad_settings")
        assert "'limt'" in answer.text and all(name in answer.json()["error"]["instead"] for name in known)
        for name in known:
            answer = http.request(method, path, params=[(name, "3"), (name, "5")])
            assert answer.status_code == 422 and f"{name!r} stands in the address 2 times" in answer.text, answer.text
            assert_error_shape(answer.json(), "bad_settings")


FREE = {("Submission", "request"), ("Link", "params"), ("ProbeFiles", "files"), ("QuestionFile", "files")}
"""Objects whose names the sender chooses; that of a submission is held to the type of its verb."""


def open_objects(schemas: dict[str, Any]) -> set[tuple[str, str]]:
    """(type, field; '' the type itself) of each object in which a name that is not known would be passed over."""
    found = {(name, "") for name, one in schemas.items() if "properties" in one and one.get("additionalProperties", 1)}
    for name, one in schemas.items():
        found |= {
            (name, field)
            for field, told in one.get("properties", {}).items()
            if '"type": "object"' in json.dumps(told)
            and not re.search(r'"additionalProperties": false', json.dumps(told))
        }
    return found


def test_no_body_passes_over_a_field_that_it_does_not_know(client: LocalClient) -> None:
    """Nor any type within one, nor the request of any verb, which a job brings as it is."""
    taken = {f"{method} {path}": one.body_field for method, path, one in routes(client) if one.body_field is not None}
    assert {"POST /v1/links", "POST /v1/jobs", "POST /v1/lens"} <= set(taken)
    kinds: list[Any] = [field.field_info.annotation for field in taken.values()]
    kinds += [row.request for row in VERBS.values()]
    for kind in kinds:
        told = TypeAdapter(kind).json_schema(ref_template="{model}")
        schemas = told.pop("$defs", {}) | {told["title"]: told}
        assert open_objects(schemas) <= FREE, f"{kind} passes over what it does not know"


def test_a_misspelt_field_of_a_link_is_refused(http: TestClient) -> None:
    answer = http.post("/v1/links", json={"params": {"q": "Who?"}, "parms": {}})
    assert answer.status_code == 422 and "parms is no setting of this request" in answer.text
    assert_error_shape(answer.json(), "bad_settings")


NO_NUMBERS = [True, "3", "1e0", [3], {"a": 3}, 10**30, -(10**400)]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("place", ["top", "decoding.max_new_tokens", "decoding.temperature", "threshold.k"])
def test_what_the_types_take_for_no_number_is_none_over_http(http: TestClient, place: str, value: object) -> None:
    """The door neither adds to what the types accept nor takes from it."""
    outer, _, inner = place.partition(".")
    asked = {"prompt": "Who?", outer: {inner: value} if inner else value}
    try:
        ExploreRequest.model_validate(asked)
    except ValidationError:
        wanted = 422
    else:
        wanted = 200
    answer = http.post("/v1/explore", content=json.dumps(asked), headers={"Content-Type": "application/json"})
    assert answer.status_code == wanted or (wanted == 422 and answer.status_code == 400), answer.text
    if answer.status_code >= 400:
        assert_error_shape(answer.json())


def test_many_who_change_the_model_at_once_leave_one_that_answers(http: TestClient, client: LocalClient) -> None:
    statuses: list[int] = []

    def change(number: int) -> None:
        body = {"name": f"model-{number}", "confirm": True}
        statuses.append(http.post("/v1/models/load", json=body).status_code)
        if number % 3 == 0:
            statuses.append(http.delete("/v1/models/load").status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(statuses) <= {200, 202, 404}
    until = time.monotonic() + PATIENCE
    while client.models.status().state != "ready" and time.monotonic() < until:
        time.sleep(0.01)
    assert http.post("/v1/explore", json=ASKED).status_code == 200


def test_a_body_beyond_the_bound_is_refused_declared_or_not(http: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    for content in (b" " * (MAX_BODY + 1), pieces()):
        answer = http.post("/v1/explore", content=content, headers=headers)
        assert answer.status_code == 413
        assert_error_shape(answer.json())


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None, "json"]
)
def test_a_body_that_is_not_said_to_be_json_starts_nothing(
    http: TestClient, engine: FakeEngine, kind: str | None
) -> None:
    """Browsers send these from any web page without asking."""
    headers = {"Content-Type": kind} if kind else {}
    answer = http.post("/v1/explore", content=json.dumps(ASKED), headers=headers)
    assert answer.status_code == 415 and engine.computed == []
    assert_error_shape(answer.json(), "bad_input")


def test_as_many_questions_as_the_types_allow_come_through(http: TestClient, client: LocalClient) -> None:
    question = {"id": "q" * 12, "text": "w" * 200, "answers": ["a" * 20] * 3}
    questions = [{**question, "id": f"q{n}"} for n in range(50_000)]
    asked = {"name": "many", "questions": questions}
    body = {"verb": "identify", "request": asked, "session": "ann"}
    assert len(json.dumps(body)) > 5 * MAX_BODY
    started = http.post("/v1/jobs", json=body)
    assert started.status_code == 202, started.text
    client.jobs.stop(started.json()["id"])
    questions.append({**question, "id": "one more"})
    refused = http.post("/v1/jobs", json=body)
    assert refused.status_code == 422
    assert_error_shape(refused.json(), "bad_settings")


def test_the_description_for_people_names_no_foreign_host_and_every_route(http: TestClient) -> None:
    told = http.get("/docs")
    assert told.status_code == 200 and "default-src 'none'" in told.headers["content-security-policy"]
    assert not re.search(r"(?:https?:)?//|<script|<link|<img|url\(", told.text)
    for path in http.get("/openapi.json").json()["paths"]:
        assert path in told.text


def test_a_failure_of_the_service_itself_has_the_shape_too(
    http: TestClient, client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(client.models, "status", broken)
    answer = http.get("/v1/status")
    assert answer.status_code == 500
    assert_error_shape(answer.json(), "internal")


def test_other_origins_get_no_leave(http: TestClient) -> None:
    answer = http.get("/v1/status", headers={"Origin": "http://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture
def described(tmp_path: Path) -> Iterator[schemathesis.BaseSchema]:
    engine = FakeEngine()
    for verb, request in EXAMPLES.items():
        (tmp_path / f"{verb}.json").write_bytes(engine.run(verb, request).to_bytes())
    with local(FakeEngine(), examples=tmp_path) as client:
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(client, Hosts(frozenset({"testserver"}))))


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_the_service_keeps_to_its_own_description(described: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    """Whatever the schema allows or forbids is answered as the schema says, and never with a failure."""
    tried: Counter[str] = Counter()
    for found in described.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps(case: schemathesis.Case) -> None:
            tried[case.operation.label] += 1
            answer = case.call_and_validate(checks=CHECKS)
            if answer.status_code >= 400:
                assert_error_shape(answer.json())

        with suppress(NothingToForbid):
            keeps()
    assert len(tried) >= 8, f"only {dict(tried)} were tried"
