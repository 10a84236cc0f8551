"""A probe is scored on questions through every door: as a long job, by command, and refused in words."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.cli.main import main
from backend.errors import BadInput, Busy, HNeuronsError, Unknown
from backend.probes import library, scorings
from backend.runs import runs
from backend.runs.folder import RunFolder, ScoringFolder
from backend.serve.client import Client, fetched
from backend.types import StageEvent
from backend.types.estimate import Estimate
from backend.types.identify import Question
from backend.types.names import ProbeRef
from backend.types.scoring import ScoreRequest, Scoring
from backend.watch import Watch, check
from cache.files import own_folder
from tests import fakes_probe
from tests.doors import ended, local, served
from tests.fakes import INFO, FakeEngine, probe
from tests.unit.serve.test_probes import kept
from tests.unit.serve.test_worker import wait_for

ASKED = tuple(Question(id=f"q{n}", text=f"Who wrote {n}?", answers=("Ann",)) for n in range(30))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "other.jsonl"
    path.write_text("".join(json.dumps({"question": q.text, "answers": q.answers}) + "\n" for q in ASKED))
    return path


class Begins(FakeEngine):
    """The first time a scoring comes no further than its beginning."""

    def _scoring(self, request: ScoreRequest, watch: Watch) -> Scoring:
        while len(self.computed) == 1:
            check(watch)
            time.sleep(0.01)
        return super()._scoring(request, watch)


def holding(gate: threading.Event) -> Callable[[int], None]:
    """Lets no batch begin before the gate is open."""

    def on_token(_: int) -> None:
        gate.wait(10)

    return on_token


def request(client: Client, name: str = "mine", **fields: Any) -> ScoreRequest:
    digest = next(one.digest for one in client.probes.list() if one.name == name)
    return ScoreRequest.model_validate(
        {"probe": ProbeRef(name=name, digest=digest), "questions": ASKED, "source": "other.jsonl", **fields}
    )


def test_it_is_a_job_that_tells_how_far_it_is_and_ends_in_figures(client: Client) -> None:
    kept("mine")
    job = client.jobs.submit("score", request(client, limit=12), "ann")
    view = ended(client, job)
    assert view.state == "done"
    found = fetched(client.results, view)
    assert isinstance(found, Scoring) and found.n.asked == 12 and found.probe == "mine"
    assert found.source == "other.jsonl" and found.model == INFO.name
    told = [event for event in view.events if isinstance(event, StageEvent)]
    assert told and told[-1].stage.startswith("answering greedily")


def test_it_is_no_run_and_stands_in_no_list_of_runs() -> None:
    kept("mine")
    gate = threading.Event()
    with local(FakeEngine(on_token=holding(gate))) as client:
        wait_for(lambda: client.models.status().state == "ready")
        job = client.jobs.submit("score", request(client), "ann")
        wait_for(lambda: client.jobs.view(job).state == "running")
        assert all(run.job is None for run in client.runs.list())
        client.jobs.stop(job)
        gate.set()
        assert ended(client, job).state == "stopped"


def test_a_probe_that_is_not_there_or_of_another_model_is_refused(client: Client) -> None:
    kept("mine")
    asked = request(client)
    gone = asked.model_copy(update={"probe": ProbeRef(name="gone", digest="1" * 64)})
    for wrong, error in ((gone, Unknown), (_of_another_model(client), BadInput)):
        with pytest.raises(error):
            fetched(client.results, ended(client, client.jobs.submit("score", wrong, "ann")))


def _of_another_model(client: Client) -> ScoreRequest:
    other = INFO.model_copy(update={"name": "other", "fingerprint": "0" * 64})
    library.folder_of("theirs").mkdir(parents=True)
    library.write(library.folder_of("theirs"), probe("theirs", other), {})
    return request(client, "theirs")


def test_a_forced_one_is_scored_and_marked(client: Client) -> None:
    asked = _of_another_model(client)
    forced = asked.model_copy(update={"probe": asked.probe.model_copy(update={"force": True})})
    found = fetched(client.results, ended(client, client.jobs.submit("score", forced, "ann")))
    assert isinstance(found, Scoring) and found.forced == INFO.name
    assert "was made for another model" in found.sentences[0]


@pytest.mark.parametrize("fields", [{"questions": ()}, {"limit": 0}, {"seed": -1}])
def test_a_request_that_cannot_be_is_refused(client: Client, fields: dict[str, Any]) -> None:
    kept("mine")
    with pytest.raises((HNeuronsError, ValueError)):
        request(client, **fields)


def command(file: Path, *more: str, address: str) -> list[str]:
    return ["probe", "score", "mine", str(file), "--backend", address, *more]


def test_the_command_prints_words_counts_and_figures(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    kept("mine")
    with local(FakeEngine()) as here, served(here) as address:
        wait_for(lambda: here.models.status().state == "ready")
        assert main(command(file, address=address)) == 0
        out, err = capsys.readouterr()
        assert "answering greedily" in err
        assert "95 % 0.280 to 0.380): as a set they point the wrong way." in " ".join(out[:300].split())
        assert "its H-neurons alone, weights as they are" in out and "0.330 [0.280, 0.380] n 30" in out
        assert main(command(file, "--limit", "12", "--json", address=address)) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["n"]["asked"] == 12 and set(found["auroc"]["positive"]) >= {"value", "low", "high"}
        assert set(found["auroc"]) >= {"probe", "positive", "negative", "length", "log_probability", "together"}


def test_of_a_file_with_more_questions_than_are_ever_asked_the_same_ones_are_asked_at_each_limit(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("backend.cli.probe.MAX_QUESTIONS", 20)
    kept("mine")
    engine = FakeEngine()
    with local(engine) as here, served(here) as address:
        wait_for(lambda: here.models.status().state == "ready")
        for limit in ("5", "15"):
            assert main(command(file, "--limit", limit, "--json", address=address)) == 0
    few, more = [one.questions for one in engine.computed if isinstance(one, ScoreRequest)]
    assert few == more and len(few) == 20


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such a name")
def test_a_file_whose_name_is_no_text_is_scored(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept("mine")
    named = Path(os.fsdecode(os.fsencode(file.parent) + b"/bad\xff\xfename.jsonl"))
    named.write_bytes(file.read_bytes())
    with local(FakeEngine()) as here, served(here) as address:
        wait_for(lambda: here.models.status().state == "ready")
        assert main(command(named, "--json", address=address)) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "bad??name.jsonl"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "FILE"], "nobody"),
        (["mine", "missing.csv"], "missing.csv"),
        (["mine", "EMPTY"], "empty"),
        (["mine", "FILE", "--limit", "0"], "--limit"),
        (["mine"], "path"),
    ],
)
def test_the_command_refuses_before_a_model_is_loaded(
    words: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept("mine")
    empty = file.with_name("empty.csv")
    empty.write_text("")
    monkeypatch.setattr(
        "backend.serve.opening.open_engine", lambda *_: pytest.fail("a model was loaded"), raising=False
    )
    places = {"FILE": str(file), "EMPTY": str(empty)}
    assert main(["probe", "score", *(places.get(word, word) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_a_change_of_model_asks_first_and_the_scoring_goes_on_when_its_model_is_back() -> None:
    kept("mine")
    other = FakeEngine(INFO.model_copy(update={"name": "other", "fingerprint": "0" * 64}))
    with local(Begins(), other=other) as client:
        wait_for(lambda: client.models.status().state == "ready")
        job = client.jobs.submit("score", request(client), "ann")
        wait_for(lambda: client.jobs.view(job).state == "running")
        with pytest.raises(Busy, match="score"):
            client.models.load("other", session="bob")
        client.models.load("other", session="bob", confirm=True)
        wait_for(lambda: client.jobs.view(job).waits_for == INFO.name and client.models.status().name == "other")
        assert client.models.status().paused == ("score",)
        client.models.load("fake-model", session="bob", confirm=True)
        assert ended(client, job).state == "done"


def test_what_is_finished_is_found_with_its_probe_the_worst_first(client: Client) -> None:
    kept("mine")
    assert client.probes.scorings("mine") == ()
    for limit in (30, 1):
        ended(client, client.jobs.submit("score", request(client, limit=limit), "ann"))
    better = _written("better", request(client), positive=fakes_probe.estimate(0.7))
    damaged = scorings.folder() / "damaged"
    damaged.mkdir()
    ScoringFolder(damaged).result.write_text("{")
    (scorings.folder() / "begun").mkdir()
    found = client.probes.scorings("mine")
    assert [one.worth for one in found] == [pytest.approx(0.33), pytest.approx(0.7), None]
    assert found[1] == better and found[2].n.asked == 1
    library.write(library.folder_of("mine"), probe("mine").model_copy(update={"intercept": 3.0}), {})
    assert client.probes.scorings("mine") == (), "they are of the probe that was there before"
    with pytest.raises(Unknown):
        client.probes.scorings("nobody")


def _written(name: str, asked: ScoreRequest, **aurocs: Estimate) -> Scoring:
    made = fakes_probe.scoring(asked, probe("mine"), INFO)
    made = made.model_copy(update={"auroc": made.auroc.model_copy(update=aurocs)})
    folder = ScoringFolder(own_folder(scorings.folder() / name))
    folder.result.write_text(made.model_dump_json())
    return made


def test_a_scoring_that_ships_stands_beside_its_probe(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    with runs.working(tmp_path / "shipped" / "mine"):
        library.write(tmp_path / "shipped" / "mine", probe("mine"), {})
    places = RunFolder(tmp_path / "shipped" / "mine").elsewhere
    places.mkdir()
    made = fakes_probe.scoring(request(client), probe("mine"), INFO)
    (places / "trivia.json").write_text(made.model_dump_json())
    assert client.probes.scorings("mine") == (made,)
