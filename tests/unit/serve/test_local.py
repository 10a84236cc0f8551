"""The client in this process: what it reads, refuses and keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.bundled import EXAMPLES
from backend.bundled.make import largest
from backend.errors import BadInput, StoreError, Unknown, UnknownModel
from backend.identify.answers.judge import rule_verdict
from backend.neurons import NeuronSet
from backend.serve.local.client import LocalClient
from backend.serve.opening import ModelSpec
from backend.serve.remote.client import HttpClient
from backend.types import CompareRequest, Exploration, ExploreRequest, JobView, NeuronCard
from backend.types.identify import Question
from cache.store import Store
from tests.doors import ended, local, no_memory, result_of, served
from tests.fakes import FakeEngine

ASKED = ExploreRequest(prompt="Who built it?")


def finished(client: LocalClient) -> JobView:
    return ended(client, client.jobs.submit("explore", ASKED, "ann"))


def test_a_result_outlives_the_client_that_computed_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with local(FakeEngine(store=store), store) as client:
        key = finished(client).key
    engine = FakeEngine(store=store)
    with local(engine, store) as client:
        view = finished(client)
        assert view.cached and view.key == key
        assert result_of(client, view).request == ASKED
    assert engine.computed == []


def test_results_lists_what_was_asked_newest_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    compared = CompareRequest(prompt="Why?", neurons=NeuronSet.of("L0:N1"))
    with local(FakeEngine(store=store), store) as client:
        ended(client, client.jobs.submit("explore", ASKED, "ann"))
        ended(client, client.jobs.submit("compare", compared, "ann"))
        store.put("a" * 64, b"{}", "usual", {"request": {}, "model": "fake-model"})
        listed = client.results.list()
        assert [(each.verb, each.model) for each in listed] == [("compare", "fake-model"), ("explore", "fake-model")]
        assert ExploreRequest.model_validate(listed[1].request) == ASKED
        assert client.results.list(limit=1) == listed[:1]
        assert client.results.get("a" * 64) is None, "what is no result of a verb is not handed out as one"


def test_without_a_store_the_last_results_are_still_there() -> None:
    with local(FakeEngine()) as client:
        assert result_of(client, finished(client)).request == ASKED
        assert client.results.get("0" * 64) is None and client.results.list() == ()


def test_a_damaged_result_is_missing_and_a_malformed_key_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with local(FakeEngine(store=store), store) as client:
        key = finished(client).key or ""
    file = next(tmp_path.rglob("*.entry"))
    file.write_bytes(file.read_bytes()[:-20])
    with local(FakeEngine(store=store), store) as client:
        assert client.results.get(key) is None
        with pytest.raises(BadInput):
            client.results.get("../../etc/passwd")
        assert ended(client, client.jobs.submit("explore", ASKED, "ann")).state == "done"


def test_a_result_of_another_version_is_missing_not_a_crash(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("b" * 64, b'{"tokens": 3}', "explore", {"request": {}, "model": "old"})
    with local(FakeEngine(store=store), store) as client:
        assert client.results.get("b" * 64) is None


def test_the_example_that_ships_carries_what_is_known_of_its_answer_and_how_that_was_judged() -> None:
    shipped = Exploration.model_validate_json((EXAMPLES / "explore.json").read_bytes())
    truth = shipped.truth
    assert truth is not None and truth.note
    question = Question(id="q", text=shipped.request.prompt, answers=truth.known)
    assert truth.verdict == rule_verdict(shipped.answer, question) == "wrong"
    card = NeuronCard.model_validate_json((EXAMPLES / "neuron.json").read_bytes())
    assert card.neuron == largest(shipped)


def test_an_exploration_stored_before_truths_were_known_is_still_read() -> None:
    held = json.loads((EXAMPLES / "explore.json").read_bytes())
    del held["truth"]
    assert Exploration.model_validate(held).truth is None


def test_a_comparison_stored_when_twins_of_no_kind_could_be_asked_for_is_still_read_at_every_door(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    asked = CompareRequest(prompt="Why?", neurons=NeuronSet.of("L0:N1"), control_kinds=(), controls=0)
    told = FakeEngine().run("compare", asked)
    held = json.loads(told.to_bytes())
    held["request"]["controls"] = 3
    store.put("c" * 64, json.dumps(held).encode(), "compare", {"request": held["request"], "model": "fake-model"})
    with local(FakeEngine(), store) as client, served(client) as address:
        far = HttpClient(address)
        read = [door.results.get("c" * 64) for door in (client, far)]
        assert [one.to_bytes() for one in read if one is not None] == [told.to_bytes()] * 2
        assert [one.request for one in far.results.list()] == [held["request"]]
        far.close()


def test_the_example_that_ships_is_read_and_its_absence_is_told(tmp_path: Path) -> None:
    shipped = FakeEngine().run("explore", ASKED)
    (tmp_path / "explore.json").write_bytes(shipped.to_bytes())
    (tmp_path / "compare.json").write_text("{}")
    with local(FakeEngine(), examples=tmp_path) as client:
        assert client.results.example("explore").to_bytes() == shipped.to_bytes()
        with pytest.raises(StoreError):
            client.results.example("compare")
        with pytest.raises(Unknown):
            client.results.example("neuron")


def test_a_model_that_is_refused_at_once_leaves_the_loaded_one() -> None:
    def refuse(spec: ModelSpec, freed: int, on: str) -> None:
        if spec.name == "nonsense":
            raise UnknownModel("'nonsense' is no model", "nothing has that name", "choose another")

    client = LocalClient(lambda spec, progress: FakeEngine(), None, choices=tuple, check=refuse, memory=no_memory)
    client.models.load("fake-model")
    ended(client, client.jobs.submit("explore", ASKED, "ann"))
    with pytest.raises(UnknownModel):
        client.models.load("nonsense")
    assert client.models.status().state == "ready"
    client.close()


def test_the_first_page_waits_for_no_heavy_import() -> None:
    code = (
        "import sys, backend.serve.local.client, backend.serve.remote.client\n"
        "import backend.serve.http.app, backend.cli.main\n"
        "heavy = {'torch', 'transformers', 'transformer_lens', 'streamlit', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "import json; print(json.dumps(sorted(heavy)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []
