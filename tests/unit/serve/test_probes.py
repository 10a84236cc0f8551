"""Probes and runs through every door: listed, read, imported, judged, and refused in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from backend.cli.main import main
from backend.errors import BadInput, BadSettings, HNeuronsError, StoreError, Unknown
from backend.identify.formats import probes as probe_files
from backend.identify.formats import questions
from backend.neurons import NeuronSet
from backend.probes import library
from backend.runs import runs
from backend.serve import shelf
from backend.serve.client import Client
from backend.types import (
    CompareRequest,
    Comparison,
    Exploration,
    ExploreRequest,
    IdentifyRequest,
    JobView,
    Request,
    Verb,
)
from backend.types.identify import CONSISTENCIES, Greedy, Question, Sample, Samples
from backend.types.names import ProbeRef
from backend.types.plan import Plan, QuestionSource
from cache.journal import Journal
from tests.doors import assert_error_shape
from tests.fakes import INFO, FakeEngine, probe

Door = Callable[[], Client]
ASKED = (
    Question(id="q1", text="Who wrote Emma?", answers=("Jane Austen",), relation="author"),
    Question(id="q2", text="Who wrote <b>Ulysses</b>?", answers=("James Joyce",), relation="author"),
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    return tmp_path


def begun(name: str = "mine") -> Path:
    """A run in the middle: both questions answered."""
    folder = library.folder_of(name)
    with runs.working(folder):
        runs.begin(folder, Plan(), ASKED, INFO, "hneurons identify run mine")
    for name, kind in (("greedy", Greedy), ("samples", Samples)):
        journal = Journal(folder / f"{name}.jsonl")
        with journal.writing():
            for question in ASKED:
                texts = ["Jane Austen", "Jane Austen", "I am not sure", "Bront\u00eb"]
                drawn = [Sample(text=text, tokens=3, finish="end") for text in texts]
                one = (
                    Greedy(question=question.id, answer=drawn[0], log_probs=(-0.1,), entropies=(0.2,))
                    if kind is Greedy
                    else Samples(question=question.id, answers=tuple(drawn))
                )
                journal.append([one.model_dump(mode="json")])
    return folder


def kept(name: str = "mine") -> None:
    folder = library.folder_of(name)
    with runs.working(folder):
        library.write(folder, probe(name), {})


def test_own_probes_are_listed_and_read(client: Client) -> None:
    before = {one.name for one in client.probes.list()}
    kept()
    found = {one.name: one for one in client.probes.list()}
    assert set(found) == before | {"mine"}
    assert (found["mine"].positive, found["mine"].negative, found["mine"].ships) == (2, 1, False)
    assert client.probes.read("mine") == probe("mine")


def ended(client: Client, request: Request) -> JobView:
    """A job once it is over."""
    verb: Verb = "explore" if isinstance(request, ExploreRequest) else "compare"
    job = client.jobs.submit(verb, request, "one")
    while (view := client.jobs.view(job, wait=5.0)).state in ("queued", "running"):
        pass
    return view


def test_an_answer_is_scored_at_each_door_and_a_probe_that_is_another_one_by_now_is_told(client: Client) -> None:
    kept()
    named = next(one for one in client.probes.list() if one.name == "mine")
    ref = ProbeRef(name="mine", digest=named.digest)
    asked: tuple[ExploreRequest, CompareRequest] = (
        ExploreRequest(prompt="Who?", probe=ref),
        CompareRequest(prompt="Who?", neurons=NeuronSet.of("L0:N1"), probe=ref),
    )
    for request in asked:
        result = client.results.get(ended(client, request).key or "")
        assert isinstance(result, Exploration | Comparison) and result.request == request
        scores = (result.score,) if isinstance(result, Exploration) else tuple(row.score for row in result.rows)
        assert all(score is not None and score.probe == ref and "not known" in score.brief for score in scores)
    library.write(library.folder_of("mine"), probe("mine").model_copy(update={"intercept": 3.0}), {})
    again = asked[0].model_copy(update={"prompt": "Who else?"})
    view = ended(client, again)
    assert view.state == "failed" and view.error is not None
    assert_error_shape({"error": view.error})
    assert "The probe mine has changed" in view.error["what"]


@pytest.mark.parametrize("name", ["nothing", "../mine", "a/b", "..", "a" * 60])
def test_a_probe_that_is_not_there(name: str, client: Client) -> None:
    kept()
    with pytest.raises((Unknown, BadInput)):
        client.probes.read(name)


def test_a_damaged_probe_says_so_and_hides_no_other(client: Client) -> None:
    kept("good")
    kept("bad")
    (library.folder_of("bad") / "probe.json").write_text("{}")
    named = {one.name for one in client.probes.list()}
    assert "good" in named and "bad" not in named
    with pytest.raises(StoreError, match="is no probe of this program"):
        client.probes.read("bad")


def test_what_is_left_out_of_a_list_is_named(caplog: pytest.LogCaptureFixture) -> None:
    kept("bad")
    (library.folder_of("bad") / "probe.json").write_text("{}")
    library.listed()
    (begun("halved") / "plan.json").write_text("{")
    shelf.runs({})
    assert "the probe bad is left out" in caplog.text and "the run halved is left out" in caplog.text


@pytest.mark.parametrize("record", ["{}", '{"question": 3}', '{"question": "q1", "answer": []}', "[]", "half a"])
@pytest.mark.parametrize("name", ["greedy", "samples"])
def test_answers_that_are_damaged_are_told_with_their_file(name: str, record: str, client: Client) -> None:
    with (begun() / f"{name}.jsonl").open("a") as file:
        file.write(record + "\n")
    with pytest.raises(StoreError, match=f"mine/{name}.jsonl is damaged: .*line 3 .*; remove that line, and resume"):
        client.runs.answers("mine")


def test_runs_and_their_answers(client: Client) -> None:
    begun()
    run = client.runs.list()[0]
    assert (run.name, run.questions, run.sampled, run.done, run.job) == ("mine", 2, 2, False, None)
    told = client.runs.answers("mine")
    assert [(one.response, one.count, one.verdict) for one in told[:3]] == [
        ("Jane Austen", 2, "right"), ("I am not sure", 1, "uncertain"), ("Bront\u00eb", 1, "wrong"),
    ]  # fmt: skip
    assert told[0].greedy and not told[1].greedy and told[3].verdict == "wrong"
    client.runs.overrule("mine", "q1", "Bront\u00eb", "right")
    again = client.runs.answers("mine")[2]
    assert again.verdict == "right" and again.overruled
    assert again.rules == "wrong" and again.judge is None and again.words == "" and not again.marked
    assert client.runs.answers("mine")[0].words == "Jane Austen"
    client.runs.mark_words("mine", "q1", "Bront\u00eb", "bront")
    marked = client.runs.answers("mine")[2]
    assert (marked.words, marked.marked) == ("Bront", True)
    with pytest.raises(BadInput, match="is not in the answer"):
        client.runs.mark_words("mine", "q1", "Bront\u00eb", "Austen")
    client.runs.mark_words("mine", "q1", "Bront\u00eb", " ")
    assert not client.runs.answers("mine")[2].marked
    assert len(client.runs.answers("mine", limit=1)) == 3
    with pytest.raises(BadInput, match="is no question of mine"):
        client.runs.overrule("mine", "q9", "x", "right")
    with pytest.raises(Unknown):
        client.runs.answers("other")


def test_answers_of_any_part_of_a_large_run_are_fetched(client: Client) -> None:
    asked = [ASKED[0].model_copy(update={"id": f"q{n}", "text": f"Who wrote number {n}?"}) for n in range(5_100)]
    folder = library.folder_of("large")
    with runs.working(folder):
        runs.begin(folder, Plan(), asked, INFO, "hneurons identify run large")
    journal = Journal(folder / "samples.jsonl")
    with journal.writing():
        drawn = (Sample(text="Jane Austen", tokens=3, finish="end"),)
        journal.append(Samples(question=one.id, answers=drawn).model_dump(mode="json") for one in asked)
    assert client.runs.list()[0].sampled == 5_100
    assert [one.question for one in client.runs.answers("large", 40, 5_080)] == [f"q{n}" for n in range(5_080, 5_100)]
    assert [one.question for one in client.runs.answers("large", 2, 39)] == ["q39", "q40"]
    assert client.runs.answers("large", 40, 5_100) == ()


def test_words_that_a_person_marked_in_an_uncertain_answer_are_shown(client: Client) -> None:
    begun()
    unsure = client.runs.answers("mine")[1]
    assert (unsure.verdict, unsure.words) == ("uncertain", "")
    client.runs.mark_words("mine", "q1", unsure.response, "SURE")
    marked = client.runs.answers("mine")[1]
    assert (marked.verdict, marked.words, marked.marked) == ("uncertain", "sure", True)


def test_a_file_of_questions_is_read(client: Client) -> None:
    found = client.runs.read_questions(b"question,answer\nWho wrote <b>Ulysses</b>?,James Joyce\nWho?,\n", "q.csv")
    assert found.questions[0].text == "Who wrote <b>Ulysses</b>?"
    assert found.left_out == "Left out of 2 rows: 1 without a question or an answer (line 3)."
    many = b"question,answer\n" + b"".join(b"Who is number %d?,A%d\n" % (n, n) for n in range(50_001))
    with pytest.raises(BadInput, match="50,001 questions are too many: .*; set how many to ask at most"):
        client.runs.read_questions(many, "q.csv")
    found = client.runs.read_questions(many, "q.csv", 20, 3)
    assert len(found.questions) == 20 and found != client.runs.read_questions(many, "q.csv", 20)
    assert found == questions.read(many, "q.csv", QuestionSource(per_relation=None, limit=20), 3)
    with pytest.raises(BadInput, match="no column of questions"):
        client.runs.read_questions(b"a,b\n1,2\n", "q.csv")


def test_a_probe_is_imported_once_under_its_name(client: Client) -> None:
    file = {"p.csv": b"layer,neuron,weight\n0,1,2.5\n1,3,-1\n"}
    made = client.probes.add(file, "theirs")
    assert made.h_neurons == NeuronSet.of("L0:N1") and made.against == NeuronSet.of("L1:N3")
    assert made.model == INFO and made.imported == "p.csv" and made.forced == ""
    assert client.probes.read("theirs") == made
    with pytest.raises(BadSettings, match="The name theirs is taken"):
        client.probes.add(file, "theirs")
    with pytest.raises(BadInput, match="L7:N1 is not in this model"):
        client.probes.add({"p.csv": b"layer,neuron,weight\n7,1,2.5\n"}, "wrong")


def test_a_list_of_a_model_that_is_not_loaded_is_taken_where_that_model_is_named(client: Client) -> None:
    file = {"p.csv": b"layer,neuron,weight\n31,2559,2.5\n"}
    made = client.probes.add(file, "theirs", model="SmolLM2-360M-Instruct")
    assert made.model is None and made.said.name == "SmolLM2-360M-Instruct" and made.said.widths == (2560,) * 32
    assert not made.is_of(INFO)
    with pytest.raises(HNeuronsError, match="L31:N2560 is not in this model"):
        beyond = {"p.csv": b"layer,neuron,weight\n31,2560,2.5\n"}
        client.probes.add(beyond, "beyond", model="SmolLM2-360M-Instruct")
    with pytest.raises(HNeuronsError, match="nowhere"):
        client.probes.add(file, "lost", model="nowhere")


def test_a_probe_of_another_model_is_refused_or_marked(client: Client) -> None:
    other = probe("x", INFO.model_copy(update={"name": "other-model", "fingerprint": "0" * 64}))
    file = {"x.json": other.model_dump_json().encode()}
    with pytest.raises(BadInput, match="was made for another model: it belongs to other-model"):
        client.probes.add(file, "x")
    made = client.probes.add(file, "x", force=True)
    assert made.forced == "fake-model"
    assert client.probes.read("x").forced == "fake-model"


def listed(**said: str) -> bytes:
    return json.dumps({**said, "neurons": [{"layer": 0, "position": 1, "weight": 2.5}]}).encode()


@pytest.mark.parametrize("said", [{"model": "nobody/Fake-Model"}, {"model": "x", "fingerprint": "f" * 64}, {}])
def test_a_list_of_this_model_is_for_it(said: dict[str, str], client: Client) -> None:
    assert client.probes.add({"x.json": listed(**said)}, "x").model == INFO


@pytest.mark.parametrize(
    ("said", "whose"),
    [
        ({"model": "nobody/other"}, "it belongs to nobody/other"),
        ({"model": "fake-model", "fingerprint": "0" * 64}, "it belongs to a fake-model with other weights"),
    ],
)
def test_a_list_of_another_model_is_refused_or_marked(said: dict[str, str], whose: str, client: Client) -> None:
    with pytest.raises(BadInput, match=whose):
        client.probes.add({"x.json": listed(**said)}, "x")
    made = client.probes.add({"x.json": listed(**said)}, "x", force=True)
    assert (made.model, made.said.name, made.forced) == (None, said["model"], "fake-model")


def test_a_list_that_named_its_model_before_it_was_known_is_that_model_s(client: Client) -> None:
    shelf.add_probe({"x.json": listed(model="nobody/fake-model")}, "early", None, False)
    early = client.probes.read("early")
    assert early.model is None and library.checked(early, INFO).model == INFO
    again = {"x.json": early.model_dump_json().encode()}
    assert client.probes.add(again, "again").model == INFO
    other = INFO.model_copy(update={"name": "other"})
    with pytest.raises(BadInput, match="it belongs to nobody/fake-model, and other is loaded"):
        library.checked(early, other)


def test_what_a_file_says_of_its_model_is_written_for_others(client: Client) -> None:
    client.probes.add({"x.json": listed(model="nobody/other")}, "x", force=True)
    told = probe_files.write(client.probes.read("x"), "jhammant")[".json"]
    with pytest.raises(BadInput, match="it belongs to nobody/other"):
        client.probes.add({"h_neurons.json": told}, "y")
    found = next(one for one in client.probes.list() if one.name == "x")
    assert (found.model, found.forced) == ("nobody/other", "fake-model")


def test_coefficients_of_ours_say_whose_they_are(client: Client) -> None:
    other = INFO.model_copy(update={"fingerprint": "0" * 64})
    assert client.probes.add({"p.npz": probe_files.write(probe("x"), "npz")[".npz"]}, "ours").model == INFO
    with pytest.raises(BadInput, match="it belongs to a fake-model with other weights"):
        client.probes.add({"p.npz": probe_files.write(probe("x", other), "npz")[".npz"]}, "x")


@pytest.mark.parametrize("kind", ["npz", "hprobes"])
def test_neurons_of_layers_that_the_model_has_not_are_not_its_own(kind: str, client: Client) -> None:
    other = INFO.model_copy(update={"n_layers": 5, "widths": (8,) * 5})
    files = {f"p{ending}": held for ending, held in probe_files.write(probe("x", other), kind).items()}
    with pytest.raises(BadInput, match="was made for another model"):
        client.probes.add(files, "x")


def test_half_a_character_in_a_model_s_name_is_refused(client: Client) -> None:
    with pytest.raises(BadInput, match="x.json is a damaged probe"):
        client.probes.add({"x.json": listed(model="\ud800")}, "x")
    assert not library.folder_of("x").exists()


def test_an_artefact_that_was_imported_before_stays_its_model_s(client: Client) -> None:
    other = INFO.model_copy(update={"name": "other-model", "fingerprint": "0" * 64})
    held = probe("x", other).model_copy(update={"imported": "h_neurons.json"})
    with pytest.raises(BadInput, match="it belongs to other-model"):
        client.probes.add({"x.json": held.model_dump_json().encode()}, "x")


def test_no_probe_is_taken_under_the_name_of_one_that_ships(client: Client) -> None:
    shipped = next(one for one in client.probes.list() if one.ships)
    with pytest.raises(BadSettings, match=f"The name {shipped.name} is taken"):
        client.probes.add({"x.json": listed()}, shipped.name)


def test_a_list_waits_for_the_model_that_is_loading() -> None:
    with pytest.raises(BadInput, match="x.json cannot be imported yet: .* fake-model is still loading"):
        shelf.add_probe({"x.json": listed(model="fake-model")}, "x", None, False, loading="fake-model")
    held = probe("x").model_dump_json().encode()
    assert shelf.add_probe({"x.json": held}, "x", None, False, loading="other").model == INFO
    assert shelf.add_probe({"x.csv": b"layer,neuron,weight\n0,1,2.5\n"}, "none-loaded", None, False).model is None


@pytest.mark.parametrize("kind", ["json", "csv", "npz", "jhammant"])
def test_the_command_exports_what_it_imports(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept()
    out = tmp_path / {"npz": "p.npz", "csv": "p.csv"}.get(kind, "p.json")
    assert main(["identify", "export", "mine", "--out", str(out), "--format", kind, "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"bytes": {str(out): out.stat().st_size}}
    assert main(["identify", "import", str(out), "--name", "again"]) == 0
    capfd.readouterr()
    assert main(["identify", "report", "again", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert {one["neuron"]: one["weight"] for one in told["neurons"]} == {"L0:N1": 2.0, "L1:N3": 1.0, "L2:N5": -1.5}


def test_the_command_lists_and_reports(capfd: pytest.CaptureFixture[str]) -> None:
    kept()
    assert main(["identify", "list"]) == 0
    assert "mine" in capfd.readouterr().out
    assert main(["identify", "report", "mine"]) == 0
    assert "2 H-neurons" in capfd.readouterr().out
    assert main(["identify", "report", "nothing"]) == 2
    assert "There is no probe 'nothing'" in capfd.readouterr().err
    assert main(["identify", "resume", "nothing"]) == 2
    assert main(["identify", "export", "nothing", "--out", "x.json"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--filter", "half"], "--filter 'half' is not known"),
        (["--filter", "5"], "is not known"),
        (["--plan", "nowhere.json"], "cannot be read"),
        (["--at-most", "0"], "screening.at_most = 0 is not accepted: input should be greater than or equal to 1;"),
        (["--labels", "4-vs-1"], "1-vs-1"),
        (["--questions", "nowhere.csv"], "cannot be read"),
        (["--samples", "0"], "greater than or equal to 1"),
        (["--samples", "5"], "Only 5 samples are drawn: no question can have 9 of one kind, as the filter asks;"),
        (["--samples", "20", "--filter", "all samples (the paper)"], "A question could be kept on both sides:"),
    ],
)
def test_a_plan_that_cannot_be_made(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", "run", "x", *words]) == 2
    assert said in capfd.readouterr().err


def test_a_plan_that_is_nested_without_end_is_refused_as_json_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The second one Python could read, and not show again.
    for text in ("[" * 100_000, '{"seed": ' + "[" * 900 + "]" * 900 + "}"):
        (tmp_path / "plan.json").write_text(text)
        assert main(["identify", "run", "x", "--plan", str(tmp_path / "plan.json"), "--json"]) == 2
        told = json.loads(capfd.readouterr().out)
        assert_error_shape(told, "bad_settings")
        assert "nested too deeply" in told["error"]["why"]


@pytest.mark.parametrize("name", ["a b", "n" * 300, "../up"])
def test_a_name_that_no_folder_has_is_refused_before_anything_is_read_or_written(
    name: str, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, table = data / "p.json", data / "p.csv"
    ours.write_text(probe("mine").model_dump_json())
    table.write_text("layer,neuron,weight\n0,1,2.5\n")
    for words in (
        ["import", str(ours), "--name", name],
        ["import", str(table), "--name", name],
        ["import", str(table), "--name", name, "--model", "no-model-is-opened"],
        ["fit", name, "--features", str(data), "--ids", "nowhere.json"],
        ["run", name, "--relations", "element_of_symbol"],
        ["report", name],
        ["export", name, "--out", str(data / "out.csv")],
    ):
        assert main(["identify", *words]) == 2
        assert "cannot name a run or a probe: its folder is called so; use at most 64" in capfd.readouterr().err
    assert not library.runs_dir().exists() and sorted(data.iterdir()) == [table, ours]


def test_an_export_replaces_no_ending_but_one_that_it_writes(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept()
    words = ["identify", "export", "mine", "--format", "hprobes", "--out"]
    (data / "out").mkdir()
    for name in ("probe.v1", "other.json", "third.SAFETENSORS"):
        assert main([*words, str(data / "out" / name)]) == 0
    written = {path.name for path in (data / "out").iterdir()}
    assert written == {
        f"{stem}{ending}" for stem in ("probe.v1", "other", "third") for ending in (".json", ".safetensors")
    }


@pytest.mark.parametrize("kind", ["hprobes", "csv"])
@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "is a folder: a file is written there; name a file in it"),
        ("..", "is a folder"),
        ("n" * 300, "cannot be written: File name too long; name another file"),
        ("/nowhere/at/all/p.json", "/nowhere/at/all is no folder"),
        ("/proc/p.json", "cannot be written: "),
    ],
)
def test_a_place_where_no_file_can_be_is_told_in_a_sentence(
    out: str, said: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    kept()
    assert main(["identify", "export", "mine", "--format", kind, "--out", out]) == 2
    told = capfd.readouterr().err
    assert said in told and told.count("\n") == 1


def test_an_export_of_features_is_refused_before_the_model_loads(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun()
    (data / "file").write_text("mine")
    monkeypatch.setattr("backend.models.loading.load", lambda *given: pytest.fail("a model was opened"))
    for out in (data / "file", Path("/proc"), Path("/proc/1/out")):
        assert main(["identify", "export", "mine", "--format", "thunlp", "--out", str(out)]) == 2
        told = capfd.readouterr().err
        assert f"{out} cannot be written: " in told and told.count("\n") == 1


def test_the_command_says_which_rows_of_a_file_are_no_questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *args, **named: engine)
    file = tmp_path / "q.csv"
    for extra, said in (("", False), ("Whom?,\n", True)):
        file.write_text("question,answer\n" + "".join(f"Who is {n}?,Emma\n" for n in range(20)) + extra)
        assert main(["identify", "run", "x", "--questions", str(file), "--json"]) == 0
        told = capfd.readouterr()
        assert ("Left out of 21 rows: 1 without a question or an answer (line 22)." in told.err) is said
        assert json.loads(told.out)["name"] == "x"


def test_a_run_whose_filter_cannot_be_met_says_what_to_correct_and_hides_no_other(client: Client) -> None:
    begun("good")
    path = begun("bad") / "plan.json"
    record = json.loads(path.read_text("utf-8"))
    record["plan"]["sampling"]["samples"] = 5
    path.write_text(json.dumps(record))
    assert "good" in {run.name for run in client.runs.list()} and "bad" not in {run.name for run in client.runs.list()}
    with pytest.raises(StoreError, match="Only 5 samples are drawn: .*; correct it there"):
        runs.begun("bad")


def test_the_command_runs_a_plan(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *args, **named: engine)
    words = ["identify", "run", "x", "--relations", "element_of_symbol", "--filter", "6,9", "--max-new-tokens", "9"]
    assert main([*words, "--choice", "paper", "--all", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["name"] == "x"
    request = engine.computed[0]
    assert isinstance(request, IdentifyRequest)
    plan = request.plan
    assert plan.source.relations == ("element_of_symbol",) and plan.screening is None
    assert (plan.filter.right, plan.filter.wrong, plan.sampling.max_new_tokens) == (6, 9, 9)
    assert plan.training.choice == "paper"


def test_the_seed_reaches_the_sampled_answers_and_every_later_draw(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *args, **named: engine)
    file = tmp_path / "q.csv"
    file.write_text("question,answer\n" + "".join(f"Who is number {n}?,A{n}\n" for n in range(99)))
    for seed in ("0", "7"):
        assert main(["identify", "run", "x", "--questions", str(file), "--limit", "29", "--seed", seed, "--json"]) == 0
    first, second = (one for one in engine.computed if isinstance(one, IdentifyRequest))
    assert (first.plan.seed, first.plan.sampling.seed) == (0, 0)
    assert (second.plan.seed, second.plan.sampling.seed) == (7, 7)
    assert len(first.questions) == 29 and first.questions != second.questions


def test_a_file_s_questions_are_asked_as_shipped_ones_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *args, **named: engine)
    file = tmp_path / "q.csv"
    file.write_text("question,answer,kind\n" + "".join(f"Who is {n}?,A{n},{'abc'[n % 3]}\n" for n in range(1800)))
    words = ["identify", "run", "x", "--questions", str(file), "--json"]

    def asked(*more: str) -> IdentifyRequest:
        assert main([*words, *more]) == 0
        found = engine.computed[-1]
        assert isinstance(found, IdentifyRequest)
        return found

    whole = asked()
    assert len(whole.questions) == 1800, "what a plan says of shipped questions is not of these"
    assert whole.plan.source == QuestionSource(file="q.csv", per_relation=None)
    some = asked("--relations", "a, c", "--per-relation", "20")
    assert Counter(question.relation for question in some.questions) == {"a": 20, "c": 20}
    assert set(some.questions) < set(whole.questions)
    assert [
        question.id for question in asked("--relations", "a, c", "--per-relation", "20", "--seed", "1").questions
    ] != [question.id for question in some.questions]
    assert {question.relation for question in asked("--relations", "b", "--limit", "25").questions} == {"b"}
    assert len(asked("--relations", "b", "--limit", "25").questions) == 25
    capfd.readouterr()
    assert main([*words, "--relations", "a,d"]) == 2
    assert "'d' is not a relation of q.csv: its relations are a, b, c; name one of them." in capfd.readouterr().err


def test_the_command_takes_the_plan_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *args, **named: engine)
    plan = Plan(seed=7, source=QuestionSource(file="q.csv", relations=("a",), per_relation=23))
    folder = library.folder_of("mine")
    with runs.working(folder):
        runs.begin(folder, plan, ASKED, INFO, "")
    (tmp_path / "bare.json").write_text(plan.model_dump_json())
    (tmp_path / "q.csv").write_text("question,answer,kind\n" + "".join(f"Who is {n}?,A{n},a\n" for n in range(29)))
    for path in (folder / "plan.json", tmp_path / "bare.json"):
        told = ["--plan", str(path), "--questions", str(tmp_path / "q.csv")]
        assert main(["identify", "run", "again", *told, "--json"]) == 0
        request = engine.computed[-1]
        assert isinstance(request, IdentifyRequest) and request.plan == plan and len(request.questions) == 23


@pytest.mark.parametrize("name", ["CON", "nul.x", "a."])
def test_a_name_that_not_every_system_can_have_is_refused(
    name: str, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadInput, match="Windows can have no folder of that name; choose another name"):
        client.probes.add({"p.csv": b"layer,neuron,weight\n0,1,2.5\n"}, name)
    assert main(["identify", "run", name]) == 2
    assert f"'{name}' cannot name a run or a probe: Windows can have no folder of that name" in capfd.readouterr().err
    assert not library.runs_dir().exists()


def opened_with(monkeypatch: pytest.MonkeyPatch) -> list[IdentifyRequest]:
    """Let the command line's engine be a fake one; the runs that it is asked for."""
    engine = FakeEngine()
    monkeypatch.setattr("backend.serve.opening.open_engine", lambda *_, **__: engine)
    # The fake keeps every verb's requests; here it is asked for runs alone.
    return cast("list[IdentifyRequest]", engine.computed)


def test_a_run_is_resumed_as_it_was_begun_or_wider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = opened_with(monkeypatch)
    name = "smollm2-135m-instruct"
    plan = runs.begun(name)[0].plan
    assert main(["identify", "resume", name]) == 0
    assert asked[-1].plan == plan and len(asked[-1].questions) == runs.begun(name)[0].question_count
    wider = ["--per-relation", "500", "--samples", "12", "--all", "--filter", "greedy alone"]
    assert main(["identify", "resume", name, *wider]) == 0
    told = asked[-1].plan
    assert (told.source.per_relation, told.sampling.samples, told.screening) == (500, 12, None)
    assert told.filter == CONSISTENCIES["greedy alone"] and asked[-1].questions == ()
    assert told.training == plan.training and told.rule == plan.rule and told.words == plan.words


def test_a_run_on_a_person_s_file_is_widened_with_the_file_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = opened_with(monkeypatch)
    rows = [f"Who wrote book {n}?,A{n}" for n in range(40)]
    file = tmp_path / "mine.csv"
    file.write_text("question,answer\n" + "\n".join(rows[:24]) + "\n")
    plan = Plan(source=QuestionSource(file="mine.csv", per_relation=None))
    given = questions.read_path(file, plan.source, plan.seed).questions
    folder = library.folder_of("mine")
    with runs.working(folder):
        runs.begin(folder, plan, given, INFO, "as it was begun")
    assert main(["identify", "resume", "mine", "--limit", "30"]) == 2
    assert "name the file: --questions FILE" in capsys.readouterr().err
    file.write_text("question,answer\n" + "\n".join(rows) + "\n")
    assert main(["identify", "resume", "mine", "--questions", str(file)]) == 0
    assert len(asked[-1].questions) == 40 and asked[-1].questions[:24] == given
    assert asked[-1].command == "as it was begun"
    file.write_text("question,answer\n" + "\n".join(rows[5:]) + "\n")
    assert main(["identify", "resume", "mine", "--questions", str(file)]) == 2
    assert "its answers are never thrown away" in capsys.readouterr().err
