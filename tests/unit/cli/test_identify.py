"""`hneurons identify`: what contradicts itself, or cannot be, is refused before a model is loaded, and the right thing
is blamed for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import identify, plans
from backend.cli.main import main
from backend.errors import UnknownModel
from backend.identify.questions.questions import asked_by, shipped
from backend.models import loading
from backend.probes import library
from backend.runs import runs
from backend.runs.folder import RunFolder
from backend.serve import opening
from backend.types import IdentifyRequest
from backend.types.plan import Plan, QuestionSource
from tests.doors import local, served
from tests.fakes import INFO, FakeEngine, probe

SHIPPED = "smollm2-135m-instruct"
FEW = "Who wrote Hamlet?,Shakespeare\n"
BAD_PLAN = "HERE/plan.json"
FOREIGN = "There is no run 'theirs': the probe of that name was imported from a file or fitted on one"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the probe `theirs`, which no run made; no model is loaded, and no judge is known."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    monkeypatch.delenv("HNEURONS_JUDGE_URL", raising=False)
    for place, name in ((opening, "open_engine"), (loading, "load")):
        monkeypatch.setattr(place, name, lambda *_, **__: pytest.fail("a model was loaded"))
    library.folder_of("theirs").mkdir(parents=True)
    library.write(library.folder_of("theirs"), probe("theirs"), {})
    half = library.folder_of("half")
    plan = Plan(source=QuestionSource(limit=60))
    with runs.working(half):
        runs.begin(half, plan, asked_by(plan.source), INFO, "hneurons identify run half")
    (tmp_path / "few.csv").write_text(f"question,answer\n{FEW}", "utf-8")
    (tmp_path / "judged.json").write_text('{"judge": {"model": "m"}}', "utf-8")
    (tmp_path / "folder").mkdir()
    return tmp_path


REFUSED = [
    # What is wrong stands in a file, which is named.
    (["run", "a", "--plan", BAD_PLAN], "[1, 2]", "HERE/plan.json holds no plan: a plan is a JSON object"),
    (["run", "a", "--plan", BAD_PLAN], '{"plan": null}', "HERE/plan.json holds no plan: "),
    (["run", "a", "--plan", BAD_PLAN], '{"sed": 1}', "sed is no setting of this request in HERE/plan.json: "),
    (["run", "a", "--plan", BAD_PLAN], '{"seed": "x"}', "The seed (seed = 'x') is not accepted in HERE/plan.json: "),
    (["run", "a", "--plan", BAD_PLAN], '{"source": 3}', "source = 3 is not accepted in HERE/plan.json: an object with"),
    (["run", "a", "--plan", BAD_PLAN], '{"source": {"relations": "x"}}', "in HERE/plan.json: a list should stand"),
    (["run", "a", "--plan", BAD_PLAN], '{"source": {"file": "b.csv"}}', "The questions of b.csv are not here: "),
    (["run", "a", "--questions", "HERE/nothing"], "", "nothing cannot be read: No such file or directory; "),
    (["run", "a", "--questions", "HERE/folder"], "", "folder is no regular file: it is a folder; "),
    (["run", "a", "--questions", "HERE/plan.json.bak"], "", "plan.json.bak cannot be read: "),
    # A plan that names a judge has one.
    (
        ["run", "a", "--plan", "HERE/judged.json", "--judge-words"],
        "",
        "There is no LLM judge: the plan names one, and ",
    ),
    # Also where answers are there: what no probe can come of is known before a model is loaded.
    (["run", "a", "--answers-of", SHIPPED, "--relations", "x"], "", "'x' is not a shipped relation: "),
    (["run", "a", "--answers-of", SHIPPED, "--questions", "HERE/few.csv"], "", "1 question is too few: "),
    (["run", "a", "--answers-of", SHIPPED, "--limit", "10"], "", "10 questions are too few: "),
    (["run", "a", "--answers-of", SHIPPED, "--judge", "m"], "", "There is no LLM judge: "),
    # A probe that no run made.
    (["run", "theirs"], "", "The name theirs is taken: the probe of that name was not made by a run"),
    (["run", "a", "--answers-of", "theirs"], "", FOREIGN),
    (["resume", "theirs"], "", FOREIGN),
    (["export", "theirs", "--out", "HERE/out", "--format", "thunlp"], "", FOREIGN),
    # What cannot be deleted is not asked about.
    (["delete", SHIPPED], "", f"{SHIPPED} cannot be deleted: it comes with the program; "),
    (["delete", "folder"], "", "There is no run or probe 'folder': "),
    # Only a run that is running or waiting can be stopped.
    (["stop", "nobody"], "", "There is no run 'nobody': "),
    (["stop", "theirs"], "", "There is no run 'theirs': "),
    (
        ["stop", SHIPPED],
        "",
        f"The run {SHIPPED} is not running: it is finished, or was stopped before; resume it with ",
    ),
    (["stop", "half"], "", "The run half is not running: it is finished, or was stopped before; resume it with "),
    # What a run's answers depend on.
    (
        ["run", "half", "--temperature", "0.5"],
        "",
        "The run half was started with other settings: its answers depend on what has changed: how answers are drawn; ",
    ),
    (
        ["run", "half", "--suffix", "Be brief.", "--samples", "20"],
        "",
        "The run half was started with other settings: its answers depend on what has changed: how answers",
    ),
    (
        ["run", "half", "--seed", "7"],
        "",
        "The run half was started with other settings: its answers depend on what has changed: how answers are drawn; ",
    ),
    (["run", "half", "--limit", "40"], "", "The run half asks 60 questions that are not all among these: "),
    (["run", "b", "--answers-of", "half", "--top-k", "3"], "", "b cannot start from the answers of half: these "),
    (
        ["run", "b", "--answers-of", SHIPPED, "--temperature", "0.3"],
        "",
        f"b cannot start from the answers of {SHIPPED}: ",
    ),
    (
        ["run", "half", "--answers-of", SHIPPED, "--temperature", "0.3"],
        "",
        "The run half was started with other settings: its ",
    ),
    # A file is read by its ending.
    (
        ["export", "theirs", "--out", "HERE/a.csv", "--format", "foo"],
        "",
        "'foo' is no format: probes are not written in it; choose json, csv, jhammant, npz, hprobes, thunlp",
    ),
    (
        ["export", "theirs", "--out", "HERE/a.csv"],
        "",
        "a.csv does not fit --format json: that format is written as .json, ",
    ),
    (["export", "theirs", "--out", "HERE/a.JSON", "--format", "csv"], "", "a.JSON does not fit --format csv: "),
]


@pytest.mark.parametrize(("words", "plan", "told"), REFUSED, ids=lambda one: "-".join(one)[:50])
def test_what_cannot_be_is_refused_at_once_and_the_right_thing_is_blamed(
    words: list[str], plan: str, told: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "plan.json").write_text(plan, "utf-8")
    library.folder_of("folder").mkdir()
    there = str(home)
    assert main(["identify", *(word.replace("HERE", there) for word in words)]) == 2
    assert told.replace("HERE", there) in capfd.readouterr().err
    assert not (home / "a.csv").exists() and not (home / "a.JSON").exists()


def test_a_file_of_an_ending_that_says_nothing_is_written(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.json", "a.v1", "a"):
        assert main(["identify", "export", "theirs", "--out", str(home / name)]) == 0
        assert json.loads((home / name).read_text("utf-8"))["name"] == "theirs"


def test_what_is_said_of_a_judge_is_said_of_that_of_the_plan(home: Path) -> None:
    judged = home / "judged.json"
    made = plans.RunOptions(plan_file=judged, judge_only=True, judge_words=True).plan().judge
    assert made is not None and (made.model, made.decides, made.words) == ("m", False, True)
    made = plans.RunOptions(plan_file=judged, judge_words=True).plan().judge
    assert made is not None and (made.decides, made.words) == (True, True)


def test_who_resumes_a_run_of_a_model_that_lies_elsewhere_is_asked_where(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def unknown(*_: object) -> None:
        raise UnknownModel("There is no model 'my-own'", "it is no directory", "see the list")

    asked = shipped(("capital_of_country",), 40)
    plan = Plan(source=QuestionSource(relations=("capital_of_country",), per_relation=40))
    library.folder_of("mine").mkdir()
    runs.begin(library.folder_of("mine"), plan, asked, INFO.model_copy(update={"name": "my-own"}), "")
    monkeypatch.setattr(opening, "open_engine", unknown)
    assert main(["identify", "resume", "mine"]) == UnknownModel.exit_status
    assert (
        "The model of mine is not found by its name, my-own: it is no directory; give its path"
        in capfd.readouterr().err
    )
    main(["identify", "resume", "mine", "--model", "typed"])
    assert "There is no model 'my-own': it is no directory; see the list" in capfd.readouterr().err


def test_lists_may_have_spaces_and_commas_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[IdentifyRequest] = []
    monkeypatch.setattr(identify, "_finish", lambda request, *_: asked.append(request))
    kinds = "capital_of_country, element_of_symbol,,"
    assert main(["identify", "run", "a", "--relations", kinds, "--samples", "5", "--filter", "3, 4"]) == 0
    plan = asked[0].plan
    assert plan.source.relations == ("capital_of_country", "element_of_symbol")
    assert (plan.filter.right, plan.filter.wrong) == (3, 4)


@pytest.mark.parametrize("place", ["here", "at a service"])
def test_a_run_is_stopped_by_its_name_here_and_at_a_service(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    going = RunFolder(library.folder_of("half")).going
    going.write_text('{"tries": 1}')
    if place == "here":
        assert main(["identify", "stop", "half"]) == 0
        assert "half is stopped; resume it with hneurons identify resume half" in capfd.readouterr().out
    else:
        other = INFO.model_copy(update={"fingerprint": "0" * 64})
        with local(FakeEngine(other)) as client, served(client) as address:
            assert main(["identify", "stop", "half", "--backend", address, "--json"]) == 0
            assert json.loads(capfd.readouterr().out) == {"stopped": "half"}
            assert main(["identify", "stop", "half", "--backend", address]) == 2
            assert "The run half is not running: " in capfd.readouterr().err
    assert not going.exists()
