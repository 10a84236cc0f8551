"""How runs stand, through every door: failed and why, broken off and taken up again, deleted."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

from backend.cli.main import main
from backend.errors import BadInput, BadSettings, HNeuronsError, Stopped, StoreError, Unknown
from backend.identify.answers.screen import Outlook
from backend.probes import library
from backend.runs import queued, runs, status
from backend.runs.folder import RunFolder
from backend.serve import shelf
from backend.serve.client import Client
from backend.types import Event, IdentifyRequest, NoteEvent, Probe
from backend.types.plan import Plan
from backend.watch import SILENT, Silent, Watch
from cache.files import turn
from tests.doors import local
from tests.fakes import INFO, FakeEngine, probe
from tests.unit.serve.test_probes import begun, kept
from tests.unit.serve.test_worker import wait_for


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    return tmp_path


def test_why_a_run_failed_and_what_is_to_be_expected_stay_with_it(client: Client) -> None:
    folder = begun()
    with pytest.raises(BadInput), status.recorded(folder, SILENT):
        status.record_outlook(folder, Outlook(180, 60, 2, 6.0, 10), SILENT)
        raise BadInput("6 right and 6 wrong answers are too few", "10 are needed", "widen the run")
    run = client.runs.list()[0]
    assert run.error is not None and run.error["what"] == "6 right and 6 wrong answers are too few"
    assert run.short and "about 6 right" in run.outlook and not run.waits
    with status.recorded(folder, SILENT):
        """It is at work again, and ends well."""
    assert client.runs.list()[0].error is None


def test_a_run_that_was_broken_off_goes_on_by_itself_when_its_model_is_there() -> None:
    RunFolder(begun()).going.write_text(json.dumps({"tries": 1}))
    RunFolder(begun("other")).going.write_text(json.dumps({"tries": 1}))
    plan = library.folder_of("other") / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "fingerprint": "0" * 64}))
    begun("stopped")
    assert {run.name for run in shelf.runs({}) if run.waits} == {"mine", "other"}
    engine = FakeEngine()
    with local(engine):
        wait_for(lambda: bool(engine.computed))
        assert [one.name for one in engine.computed if isinstance(one, IdentifyRequest)] == ["mine"], (
            "not the run of another model, nor one that a person stopped"
        )


def test_a_run_is_deleted_with_all_that_it_kept_and_its_name_is_free(client: Client) -> None:
    begun()
    kept("other")
    client.runs.delete("mine")
    assert not library.folder_of("mine").exists() and [run.name for run in client.runs.list() if not run.ships] == []
    client.runs.delete("other")
    assert "other" not in {one.name for one in client.probes.list()}
    assert [path.name for path in library.runs_dir().iterdir()] == []
    begun()
    assert client.runs.list()[0].name == "mine"


@pytest.mark.parametrize("name", ["nobody", "..", ".", "a/b", "../home", "", ".lock"])
def test_what_is_not_there_or_outside_is_not_deleted(name: str, client: Client, data: Path) -> None:
    begun()
    with pytest.raises(HNeuronsError):
        client.runs.delete(name)
    assert runs.begun("mine")[1]


def test_what_ships_is_not_deleted_whether_or_not_it_was_used(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(BadSettings, match="cannot be deleted: it comes with the program"):
            client.runs.delete("smollm2-135m-instruct")
        client.runs.answers("smollm2-135m-instruct", 1)
    assert "smollm2-135m-instruct" in {one.name for one in client.probes.list()}


def test_a_run_at_work_and_a_link_are_not_deleted(data: Path) -> None:
    folder = begun()
    with runs.working(folder), pytest.raises(StoreError, match="being worked on"):
        runs.delete("mine")
    with pytest.raises(StoreError, match="is running: .*; stop it first"):
        shelf.delete("mine", {"mine": "job"})
    outside = data / "outside"
    outside.mkdir()
    (outside / "plan.json").write_text("{}")
    for name, place in (("away", outside), ("near", folder)):
        os.symlink(place, library.runs_dir() / name)
        with pytest.raises(BadInput):
            runs.delete(name)
    assert (outside / "plan.json").exists() and runs.begun("mine")[1]


def test_the_command_asks_before_it_deletes(capsys: pytest.CaptureFixture[str]) -> None:
    begun()
    assert main(["identify", "delete", "mine"]) == 2
    assert "there is no terminal to ask" in capsys.readouterr().err and runs.begun("mine")[1]
    assert main(["identify", "delete", "mine", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": "mine"}
    assert main(["identify", "delete", "mine", "--yes"]) == 2
    with pytest.raises(Unknown):
        runs.begun("mine")


def test_a_list_reads_a_probe_or_plan_once_for_each_state_of_its_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        kept(f"p{number}")
    begun()
    (library.folder_of("p4") / "probe.json").write_text("{}")
    read: list[str] = []
    plain = library.read_file

    def counting(path: Path) -> object:
        read.append(path.parent.name)
        return plain(path)

    monkeypatch.setattr(library, "read_file", counting)
    first = library.listed()
    assert {f"p{number}" for number in range(5)} <= set(read)
    before = len(read)
    assert library.listed() == first and len(read) == before
    library.write(library.folder_of("p0"), probe("p0").model_copy(update={"made": "2030-01-01T00:00:00+00:00"}), {})
    again = {one.name: one for one in library.listed()}
    assert read[before:] == ["p0"] and again["p0"].made.startswith("2030")
    assert "the probe p4 is left out" in caplog.text, "also when it was read before"
    assert shelf.runs({})[-1].plan == shelf.runs({})[-1].plan
    with runs.working(library.folder_of("mine")):
        other = Plan(seed=5)
        runs.begin(library.folder_of("mine"), other, runs.begun("mine")[1], INFO, "")
    assert next(run for run in shelf.runs({}) if run.name == "mine").plan == other


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("plan.json", "[" * 200_000),
        ("plan.json", '{"plan": {}, "fingerprint": "f", "model": "m", "command": "", "asked": 1e999}'),
        ("plan.json", '{"plan": {}, "fingerprint": "f", "model": "\\ud800", "command": "", "asked": 1}'),
        ("going.json", '{"tries": []}'),
        ("going.json", "[" * 200_000),
        ("failed.json", '{"what": "\\ud800"}'),
        ("speed.json", '{"greedy": NaN, "drawn": 1.0}'),
        ("outlook.json", '{"words": "\\ud800", "short": 3}'),
    ],
)
def test_one_damaged_file_of_a_run_hides_no_other_run(file: str, content: str, client: Client) -> None:
    begun("whole")
    (begun("hurt") / file).write_text(content)
    assert "whole" in {run.name for run in client.runs.list()}


def test_what_a_broken_off_deleting_left_and_a_folder_of_no_run_s_name_are_no_runs_and_no_probes(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    folder = begun("mine")
    kept("mine")
    for name in (".deleted-0123", "mine (copy)"):
        shutil.copytree(folder, folder.with_name(name))
    assert [one.name for one in client.runs.list() if not one.ships] == ["mine"]
    assert [one.name for one in client.probes.list() if not one.ships] == ["mine"]
    assert "mine (copy)" in caplog.text


def test_a_probe_goes_by_the_name_of_its_folder(client: Client) -> None:
    kept("mine")
    shutil.copytree(library.folder_of("mine"), library.folder_of("copy"))
    assert {one.name for one in client.probes.list() if not one.ships} == {"mine", "copy"}
    assert client.probes.read("copy").name == "copy"


def test_another_probe_of_the_same_name_and_second_is_told_apart_in_the_list(client: Client) -> None:
    kept("mine")
    before = next(one for one in client.probes.list() if one.name == "mine")
    other = probe("mine").model_copy(update={"intercept": 3.5})
    library.write(library.folder_of("mine"), other, {})
    after = next(one for one in client.probes.list() if one.name == "mine")
    assert before.made == after.made and before.digest != after.digest


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.parametrize(
    "file", ["samples.jsonl", "plan.json", "probe.json", "going.json", "speed.json", "greedy.jsonl"]
)
def test_a_pipe_in_the_place_of_a_file_is_never_waited_for(file: str) -> None:
    begun("whole")
    folder = begun("hurt")
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    assert "whole" in {run.name for run in shelf.runs({})}
    library.listed()
    for look in (lambda: shelf.answers("hurt", 1), lambda: library.read("hurt")):
        with suppress(HNeuronsError):
            look()


class Interrupted(FakeEngine):
    """Works on a run until it is stopped, and keeps how it stands, as a real one does."""

    def _identify(self, request: IdentifyRequest, watch: Watch) -> Probe:
        with status.recorded(library.folder_of(request.name), watch):
            while not watch.stopped():
                time.sleep(0.01)
            raise Stopped


OTHER = FakeEngine(INFO.model_copy(update={"name": "other", "fingerprint": "0" * 64}))


def test_a_run_that_is_stopped_while_it_waits_for_its_model_does_not_go_on_by_itself() -> None:
    folder, engine = begun(), Interrupted()
    with local(engine, other=OTHER) as client:
        job = client.jobs.submit("identify", IdentifyRequest(name="mine"), "a")
        wait_for(lambda: client.jobs.view(job).state == "running")
        client.models.load("other", confirm=True)
        wait_for(lambda: client.jobs.view(job).waits_for == INFO.name and client.models.status().state == "ready")
        assert "going.json" in {path.name for path in folder.iterdir()}
        client.jobs.stop(job)
        assert client.jobs.view(job).state == "stopped" and not client.runs.list()[0].waits
        client.models.load("fake-model", confirm=True)
        wait_for(lambda: client.models.status().name == INFO.name and client.models.status().state == "ready")
        assert client.runs.list()[0].job is None
    assert len(engine.computed) == 1


def test_a_run_that_is_stopped_while_it_waits_to_go_on_does_not_go_on_later() -> None:
    """It was broken off by the end of a program, and its turn has not come."""
    folder, engine = begun(), Interrupted()
    RunFolder(begun("first")).going.write_text(json.dumps({"tries": 1}))
    RunFolder(folder).going.write_text(json.dumps({"tries": 1}))
    with local(engine) as client:
        wait_for(lambda: set(engine_runs(client)) == {"first", "mine"} and bool(engine.computed))
        waiting = next(name for name, job in engine_runs(client).items() if client.jobs.view(job).state == "queued")
        client.jobs.stop(engine_runs(client)[waiting])
        assert not status.broken_off(library.folder_of(waiting))
    other = FakeEngine()
    with local(other):
        wait_for(lambda: bool(other.computed))
    assert waiting not in {one.name for one in other.computed if isinstance(one, IdentifyRequest)}


def test_a_run_that_waits_for_its_model_without_a_job_is_stopped_at_every_door(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that was at it has ended, and another model is loaded now: there is no job that could be stopped."""
    folder = begun()
    RunFolder(folder).going.write_text(json.dumps({"tries": 1}))
    plan = RunFolder(folder).plan
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "fingerprint": "0" * 64}))
    assert [(run.waits, run.job) for run in client.runs.list() if run.name == "mine"] == [(True, None)]
    assert client.runs.stop("mine")
    assert [(run.waits, run.done) for run in client.runs.list() if run.name == "mine"] == [(False, False)]
    assert runs.begun("mine")[1], "its questions and answers stay"
    assert not client.runs.stop("mine"), "it was stopped before"
    assert not client.runs.stop("smollm2-135m-instruct"), "it is finished"
    for name in ("nobody", "..", "a/b"):
        with pytest.raises(HNeuronsError):
            client.runs.stop(name)
    monkeypatch.setattr(status, "PATIENCE", 0.5)
    with turn(RunFolder(folder).lock, 0), pytest.raises(StoreError, match="is being worked on"):
        client.runs.stop("mine")
    assert not RunFolder(folder).stop.exists(), "what was told as not heeded stops no later run"


def test_a_run_that_was_stopped_while_it_waited_does_not_go_on_when_its_model_comes() -> None:
    RunFolder(begun()).going.write_text(json.dumps({"tries": 1}))
    RunFolder(begun("other")).going.write_text(json.dumps({"tries": 1}))
    engine = FakeEngine()
    shelf.stop("mine")
    with local(engine):
        wait_for(lambda: bool(engine.computed))
    assert [one.name for one in engine.computed if isinstance(one, IdentifyRequest)] == ["other"]


def test_a_run_at_work_is_stopped_by_its_name_too() -> None:
    begun()
    with local(Interrupted()) as client:
        job = client.jobs.submit("identify", IdentifyRequest(name="mine"), "a")
        wait_for(lambda: client.jobs.view(job).state == "running")
        client.runs.stop("mine")
        wait_for(lambda: client.jobs.view(job).state == "stopped")
        assert not client.runs.list()[0].waits


class Working(FakeEngine):
    """Works in the run's folder until it is stopped, as a real one does."""

    def _identify(self, request: IdentifyRequest, watch: Watch) -> Probe:
        folder = library.folder_of(request.name)
        with runs.working(folder), status.recorded(folder, watch) as askable:
            while not askable.stopped():
                time.sleep(0.01)
            raise Stopped


def test_a_run_that_another_program_works_on_is_stopped_and_does_not_go_on_by_itself(client: Client) -> None:
    folder = begun()
    with local(Working()) as elsewhere:
        job = elsewhere.jobs.submit("identify", IdentifyRequest(name="mine"), "a")
        wait_for(lambda: RunFolder(folder).going.exists() and not (queued.folder() / "mine.json").exists())
        assert client.runs.stop("mine")
        wait_for(lambda: elsewhere.jobs.view(job).state == "stopped")
        assert not status.broken_off(folder) and not RunFolder(folder).stop.exists()
        again = elsewhere.jobs.submit("identify", IdentifyRequest(name="mine"), "a")
        wait_for(lambda: RunFolder(folder).going.exists())
        assert elsewhere.jobs.view(again).state == "running", "asked once, it is stopped once"


def test_the_watch_of_a_run_hands_on_what_its_own_says() -> None:
    class Own(Silent):
        told, rests, is_stopped = 0, 0, False

        def emit(self, event: Event) -> None:
            self.told += 1

        def rest(self) -> None:
            self.rests += 1

        def stopped(self) -> bool:
            return self.is_stopped

        def goes_on(self) -> bool:
            return True

    own = Own()
    with status.recorded(begun(), own) as watch:
        watch.emit(NoteEvent(text="x"))
        watch.rest()
        assert (own.told, own.rests, watch.stopped(), watch.goes_on()) == (1, 1, False, True)
        own.is_stopped = True
        assert watch.stopped() and watch.goes_on()


def engine_runs(client: Client) -> dict[str, str]:
    return {run.name: run.job for run in client.runs.list() if run.job is not None}


def test_a_run_that_another_program_works_on_is_not_left_by_a_stop_of_ours() -> None:
    folder = begun()
    RunFolder(folder).going.write_text(json.dumps({"tries": 1}))
    with turn(RunFolder(folder).lock, 0):
        status.cancel_resume(folder)
    assert status.broken_off(folder)
