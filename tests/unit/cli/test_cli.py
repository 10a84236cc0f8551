"""The command line: one JSON object or a readable table, honest exit statuses, a clean standard output."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.models import ArgumentInfo

from backend.cli import running
from backend.cli.main import main, program
from backend.cli.tables import choices
from backend.errors import BackendUnavailable, ModelError
from backend.models import loading
from backend.models.registry import DEFAULT
from backend.neuron_files import write_csv
from backend.neurons import NeuronSet
from backend.probes import library
from backend.serve import opening
from backend.serve.local.client import LocalClient
from backend.serve.remote.models import HttpModels
from backend.types import CettFile, CompareRequest, Comparison, Exploration, Lens, ModelStatus, NeuronCard, Probe
from tests.doors import CHOICE, assert_error_shape, local, served
from tests.fakes import INFO, FakeEngine, probe

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def run(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs one command against the fake engine: exit status, standard output, standard error."""
    with local(engine) as client:
        monkeypatch.setattr(LocalClient, "start", lambda *args, **kwargs: client)
        monkeypatch.setattr(client, "close", lambda: None)

        def command(*words: str) -> tuple[int, str, str]:
            status = main(list(words))
            return status, *capfd.readouterr()

        yield command
        monkeypatch.undo()


COMPARE = ("compare", "--prompt", "Who?", "--neurons", "L1:N5,L2:N7", "--alphas", "0,2", "--controls", "1")


def test_compare_prints_one_json_object_with_its_rows(run: Run) -> None:
    status, out, err = run(*COMPARE, "--max-new-tokens", "16", "--json")
    assert status == 0 and out.count("\n") == 1
    body = json.loads(out)
    assert [(row["arm"], row["alpha"]) for row in body["rows"]] == [
        ("baseline", 1.0),
        ("chosen", 0.0),
        ("chosen", 2.0),
        ("control", 0.0),
    ]
    assert len(body["rows"][0]["token_ids"]) == 16 and isinstance(body["rows"][0]["text"], str)
    assert body["request"]["positions"] == "all"
    assert Comparison.model_validate_json(out).request.neurons == NeuronSet.of("L1:N5", "L2:N7")


@pytest.fixture
def shelved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """A probe of the fake's model with one negative weight, in a data folder of its own."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    made = probe("mine")
    folder = library.folder_of("mine")
    folder.mkdir(parents=True)
    library.write(folder, made, {})
    return made


def test_a_probe_s_neurons_are_compared_and_followed_by_its_name(run: Run, shelved: Probe) -> None:
    status, out, _ = run("compare", "--prompt", "Who?", "--probe", "mine", "--against", "--json")
    asked = Comparison.model_validate_json(out).request
    assert status == 0 and asked.neurons == shelved.h_neurons and asked.against == shelved.against
    status, out, _ = run("compare", "--prompt", "Who?", "--probe", "mine", "--foremost", "1", "--json")
    assert Comparison.model_validate_json(out).request.neurons == shelved.top(1, "weight")
    status, out, _ = run("explore", "--prompt", "Who?", "--probe", "mine", "--json")
    told = Exploration.model_validate_json(out)
    assert status == 0 and told.request.neurons == shelved.all
    assert told.request.probe is not None and told.request.probe.name == "mine" and told.score is not None
    chances = told.score.chances
    status, out, _ = run("explore", "--prompt", "Who?", "--probe", "mine")
    assert "Where the score of mine changes" in out and f"{chances[-1]:.3f}" in out
    assert "What a score of this probe is worth is not known" in " ".join(out.split())


def test_a_probe_of_another_model_is_refused_and_forced_with_its_mark(run: Run, shelved: Probe) -> None:
    assert shelved.model is not None
    theirs = shelved.model_copy(update={"model": shelved.model.model_copy(update={"fingerprint": "0" * 64})})
    library.write(library.folder_of("mine"), theirs, {})
    status, out, err = run("compare", "--prompt", "Who?", "--probe", "mine", "--json")
    assert status == 2 and "was made for another model" in err
    assert_error_shape(json.loads(out))
    assert "a fake-model with other weights" in json.loads(out)["error"]["why"]
    assert run("compare", "--prompt", "Who?", "--probe", "mine", "--force", "--json")[0] == 0
    status, out, _ = run("explore", "--prompt", "Who?", "--probe", "mine", "--force")
    assert status == 0 and "was made for another model: its score means nothing here" in " ".join(out.split())
    status, _, err = run("explore", "--prompt", "Who?", "--probe", "nobody", "--json")
    assert status == 2 and "no probe" in err
    status, _, err = run("compare", "--prompt", "Who?", "--probe", "mine", "--force", "--foremost", "1", "--by", "luck")
    assert status == 2 and "cannot be ranked by" in err


def test_explore_and_neuron_print_their_results(run: Run) -> None:
    status, out, _ = run("explore", "--prompt", "Who?", "--json")
    assert status == 0 and Exploration.model_validate_json(out).request.prompt == "Who?"
    status, out, _ = run("neuron", "l1:n2", "--top", "3", "--json")
    assert status == 0 and len(NeuronCard.model_validate_json(out).promotes) == 3


def test_cett_refuses_to_write_over_what_it_did_not_write(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    (tmp_path / "a.txt").write_text("Who?", "utf-8")
    status, _, err = run("cett", "--text-file", str(tmp_path / "a.txt"), "--out", str(tmp_path / "config.npy"))
    assert status == 2 and "config.json would be overwritten" in err and "holds something else" in err
    assert (tmp_path / "config.json").read_text("utf-8") == '{"model_type": "llama"}'


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_at_the_head_of_a_text_is_no_part_of_it(run: Run, tmp_path: Path, before: bytes) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes(before + "Who? \ufeffShe".encode())
    status, out, _ = run("cett", "--text-file", str(text), "--out", str(tmp_path / "a.npy"), "--json")
    assert status == 0 and CettFile.model_validate_json(out).tokens[0] == "Who"
    text.write_bytes(b"\xef\xbb\xbf \n")
    status, _, err = run("cett", "--text-file", str(text), "--out", str(tmp_path / "a.npy"))
    assert status == 2 and "is empty" in err


def test_cett_refuses_to_write_over_its_own_text(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "notes.json"
    text.write_text("My lesson notes", "utf-8")
    status, _, err = run("cett", "--text-file", str(text), "--out", str(tmp_path / "notes.npy"))
    assert status == 2 and "would be overwritten" in err and text.read_text("utf-8") == "My lesson notes"
    (tmp_path / "d.npy").mkdir()
    status, _, err = run("cett", "--text-file", str(text), "--out", str(tmp_path / "d.npy"))
    assert status == 2 and "is a folder" in err


def test_a_narrow_window_cuts_no_name_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    name = "Mistral-Small-3.1-24B-Instruct-with-a-long-name"
    choices(Console(width=80, color_system=None), [CHOICE.model_copy(update={"name": name})])
    assert name in capsys.readouterr().out


def test_lens_tells_each_neuron_in_order(run: Run) -> None:
    status, out, _ = run("lens", "--neurons", "l2:n3,L1:N2", "--top", "3", "--json")
    assert status == 0 and [str(one.neuron) for one in Lens.model_validate_json(out).pushed] == ["L1:N2", "L2:N3"]
    status, out, _ = run("lens", "--neurons", "L2:N3,L1:N2", "--top", "3")
    assert status == 0 and "L2:N3" in out and "t0 t1 t2" in out


def test_every_option_reaches_the_request(run: Run, engine: FakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "set.csv"
    file.write_bytes(write_csv(NeuronSet.of("L2:N9")))
    status, _, err = run(
        *COMPARE,
        *("--neurons-file", str(file), "--own", "L0:N1=0.5,L0:N2=3", "--positions", "answer"),
        *("--control-kind", "free", "--control-kind", "layer", "--control-arms", "0,2", "--control-seed", "7"),
        *("--system", "Be brief."),
        *("--max-new-tokens", "5", "--temperature", "0.7", "--top-k", "9", "--top-p", "0.9", "--seed", "3"),
        *("--stop", "\n", "--stop", "END", "--json"),
    )
    assert status == 0, err
    assert engine.computed[-1] == CompareRequest.model_validate(
        {
            "prompt": "Who?",
            "neurons": ["L1:N5", "L2:N7", "L2:N9"],
            "alphas": [0, 2],
            "own": [{"neuron": "L0:N1", "alpha": 0.5}, {"neuron": "L0:N2", "alpha": 3}],
            "controls": 1,
            "control_kinds": ["free", "layer"],
            "control_arms": [0, 2],
            "control_seed": 7,
            "positions": "answer",
            "system": "Be brief.",
            "decoding": {
                **{"max_new_tokens": 5, "temperature": 0.7, "top_k": 9, "top_p": 0.9, "seed": 3},
                "stop": ["\n", "END"],
            },
        }
    )
    assert run(*COMPARE, "--no-chat", "--json")[0] == 0
    bare = engine.computed[-1]
    assert isinstance(bare, CompareRequest) and not bare.chat


def test_a_kind_of_control_that_is_named_twice_draws_its_twins_once(run: Run) -> None:
    twice = ("--control-kind", "layer", "--control-kind", "layer", "--control-arms", "0,0")
    status, out, _ = run(*COMPARE, *twice, "--json")
    assert status == 0 and [row["arm"] for row in json.loads(out)["rows"]].count("control") == 1


def test_two_files_of_one_name_are_no_probe(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second would stand in the place of the first."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "n.csv").write_text("L1:N2,0.5\n", "utf-8")
    status, _, err = run("identify", "import", str(tmp_path / "n.csv"), str(tmp_path / "other/n.csv"), "--name", "a")
    assert status == 2 and err.startswith("n.csv is named twice: ")


def test_tables_show_the_answers_and_never_obey_them(run: Run, engine: FakeEngine) -> None:
    status, out, _ = run("explore", "--prompt", "Who?", "--answer", "[red]bold[/red] \x1b[31mred")
    assert status == 0 and "[red]bold[/red]" in out and "\x1b" not in out
    status, out, _ = run(*COMPARE)
    assert status == 0 and "baseline" in out and "control (layer)" in out
    status, out, _ = run("neuron", "L1:N2")
    assert status == 0 and "L1:N2" in out


BAD = [
    (),
    ("models",),
    ("explore",),
    ("nonsense",),
    ("explore", "--prompt", "Who?", "--surprise"),
    ("explore", "--prompt", "  "),
    ("explore", "--prompt", "x" * 50_000),
    ("explore", "--prompt", "Who?", "--max-new-tokens", "many"),
    ("explore", "--prompt", "Who?", "--max-new-tokens", "0"),
    ("explore", "--prompt", "Who?", "--temperature", "nan"),
    ("explore", "--prompt", "Who?", "--population", "planet"),
    ("explore", "--prompt", "Who?", "--neurons", "L1"),
    ("explore", "--prompt", "Who?", "--neurons-file", "/nowhere/at/all.csv"),
    ("explore", "--prompt", "Who?", "--backend", "not an address"),
    ("explore", "--prompt", "Who?", "--backend", "http://127.0.0.1:9", "--model", "other"),
    ("compare", "--prompt", "Who?"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "1e9"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "nan"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "inf"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "-1"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "half"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--control-kind", "moon"),
    ("compare", "--prompt", "Who?", "--own", "L1:N5"),
    ("compare", "--prompt", "Who?", "--own", "L1:N5=", "--neurons", "L1:N5"),
    ("neuron", "L99:N2"),
    ("neuron", "x"),
    ("lens",),
    ("lens", "--neurons", "L99:N2"),
    ("cett", "--text-file", "/nowhere/at/all.txt", "--out", "x.npy"),
    ("cett", "--text-file", __file__, "--out", "x.csv"),
    ("cett", "--text-file", __file__, "--out", "n" * 300 + ".npy"),
    ("cett", "--text-file", __file__, "--out", "/nowhere/at/all/x.npy"),
    ("cett", "--text-file", __file__, "--out", "/proc/x.npy"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--against"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--foremost", "3"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--by", "weight"),
    ("explore", "--prompt", "Who?", "--force"),
    ("compare", "--prompt", "Who?", "--probe", "smollm2-135m-instruct", "--foremost", "0"),
    ("identify", "run", "a", "--limit", "3"),
    ("identify", "run", "a", "--at-most", "5"),
    ("identify", "run", "a", "--all", "--at-most", "500"),
    ("identify", "run", "a", "--judge", "m"),
    ("identify", "run", "a", "--judge-words"),
    ("identify", "run", "a", "--plan", __file__, "--answers-of", "smollm2-135m-instruct"),
    ("identify", "resume", "smollm2-135m-instruct", "--relations", "nothing"),
    ("identify", "resume", "smollm2-135m-instruct", "--filter", "11,11"),
    ("identify", "export", "smollm2-135m-instruct", "--out", "-"),
    ("identify", "fit", "a", "--ids", "/nowhere/at/all.json", "--answers", __file__),
]


@pytest.mark.parametrize("words", BAD, ids=[" ".join(words)[-60:] for words in BAD])
def test_bad_input_exits_2_with_the_error_as_json_and_in_words(
    run: Run, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    monkeypatch.delenv("HNEURONS_JUDGE_URL", raising=False)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: pytest.fail("a model was loaded"))
    status, out, err = run(*words, "--json")
    assert status == 2
    assert_error_shape(json.loads(out))
    assert json.loads(out)["error"]["what"] in err
    status, out, _ = run(*words)
    assert (status, out) == (2, "")


MINE = ("compare", "--prompt", "Who?", "--probe", "mine")
EARLY = [
    (*MINE, "--foremost", "3", "--by", "foo"),
    (*MINE, "--by", "foo"),
    (*MINE, "--by", "weight"),
    (*MINE, "--alphas", "9"),
    (*MINE, "--alphas", "0,0"),
    (*MINE, "--alphas", ","),
    (*MINE, "--control-kind", "moon"),
    (*MINE, "--control-arms", "7"),
    (*MINE, "--temperature", "9"),
    (*MINE, "--positions", "moon"),
    ("compare", "--prompt", " ", "--probe", "mine"),
    ("compare", "--prompt", "Who?", "--probe", "nobody"),
    ("compare", "--prompt", "Who?", "--probe", "without", "--against"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--by", "foo"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", ""),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--controls", "99"),
    ("compare", "--prompt", "Who?", "--own", "L1:N5=0.5", "--alphas", "0,2"),
    ("compare", "--prompt", "Who?", "--own", "L1:N5=0.5", "--alphas", "0"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--control-arms", ","),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--controls", "0", "--control-seed", "3"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--controls", "0", "--control-kind", "free"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--stop", ""),
    ("explore", "--prompt", "Who?", "--answer", "Cairo.", "--seed", "3"),
    ("neuron", "L1:N2", "--prompt", "Who?", "--answer", "Cairo.", "--max-new-tokens", "5"),
    ("explore", "--prompt", "Who?", "--probe", "nobody"),
    ("explore", "--prompt", "Who?", "--top", "0"),
    ("explore", "--prompt", "Who?", "--no-chat", "--system", "Be brief."),
    ("neuron", "L1:N2", "--answer", "It is Cairo."),
    ("neuron", "L1:N2", "--system", "Be brief."),
    ("neuron", "L1:N2", "--no-chat"),
    ("neuron", "L1:N2", "--max-new-tokens", "5"),
    ("lens", "--neurons", "L1:N2", "--top", "0"),
    ("identify", "export", "mine", "--out", "x.csv", "--format", "csv", "--model", "other"),
    ("identify", "import", __file__, "--name", "theirs", "--model", "SmolLM2-135M-Instruct"),
    ("identify", "fit", "a", "--ids", "IDS", "--features", "/nowhere", "--model", "SmolLM2-135M-Instruct"),
    ("identify", "run", "a", "--words", "foo"),
    ("identify", "run", "a", "--choice", "fixed"),
    ("identify", "run", "a", "--answers-of", "nobody"),
    ("identify", "resume", "nobody"),
    # What a shell makes of a variable that is not set is not "by default".
    *(("explore", "--prompt", "Who?", option, "") for option in ("--model", "--device", "--dtype", "--backend")),
    ("models", "path", ""),
    ("models", "list", "--backend", " "),
    ("explore", "--prompt", "Who?", "--backend", "http://127.0.0.1:99999"),
    ("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "none"),
]


@pytest.mark.parametrize("words", EARLY, ids=[" ".join(words)[-60:] for words in EARLY])
def test_an_option_that_is_wrong_is_refused_before_a_model_is_loaded(
    words: tuple[str, ...],
    shelved: Probe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also where a probe is named, whose neurons only the command knows."""
    (tmp_path / "ids.json").write_text('{"t": ["a"], "f": ["b"]}')
    without = shelved.model_copy(update={"neurons": shelved.of_sign(1)})
    library.folder_of("without").mkdir()
    library.write(library.folder_of("without"), without, {})
    for place, name in ((LocalClient, "start"), (opening, "open_engine"), (loading, "load")):
        monkeypatch.setattr(place, name, lambda *_, **__: pytest.fail("a model was loaded"))
    assert main([str(tmp_path / "ids.json") if word == "IDS" else word for word in words] + ["--json"]) == 2
    assert_error_shape(json.loads(capfd.readouterr().out))


JUDGED = {"prompt", "answer", "system", "stop", "suffix", "alphas", "control_arms"}
"""Texts that are asked, which may be empty or are refused by their request, and lists of numbers: none is one, too."""


def options_that_name_something(app: typer.Typer, *before: str) -> Iterator[list[str]]:
    """The words of each command with each option of it that is given as a text or a path; an empty one is to follow."""
    for group in app.registered_groups:
        assert group.typer_instance is not None and isinstance(group.name, str)
        yield from options_that_name_something(group.typer_instance, *before, group.name)
    for command in app.registered_commands:
        assert command.callback is not None and command.name is not None
        for option in inspect.signature(command.callback, eval_str=True).parameters.values():
            kind, told = get_args(option.annotation)
            of = {one for part in (kind, *get_args(kind)) for one in (part, *get_args(part))}
            if of & {str, Path} and option.name not in JUDGED:
                # In `Annotated` the first flag stands where a default would.
                flags = [flag for flag in (told.default, *(told.param_decls or ())) if str(flag).startswith("--")]
                flags = flags or [f"--{option.name.replace('_', '-')}"]
                yield [*before, command.name, *([] if isinstance(told, ArgumentInfo) else flags[:1])]


NAMING = list(options_that_name_something(program()))


@pytest.mark.parametrize("words", NAMING, ids=" ".join)
@pytest.mark.parametrize("empty", ["", " "])
def test_every_option_that_names_something_refuses_to_name_nothing(
    words: list[str], empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    for where, name in ((LocalClient, "start"), (opening, "open_engine"), (opening, "choices"), (loading, "load")):
        monkeypatch.setattr(where, name, lambda *_, **__: pytest.fail("it was begun"))
    assert main([*words, empty]) == 2
    captured = capfd.readouterr()
    assert captured.out == "" and "it names nothing" in captured.err


def test_the_walk_over_the_commands_meets_all_kinds_of_options() -> None:
    met = {" ".join(words) for words in NAMING}
    assert {
        "explore --model", "explore --neurons-file", "compare --control-kind", "neuron", "cett --text-file",
        "identify run", "identify run --plan", "identify resume --filter", "identify import", "identify import --model",
        "identify export --model", "identify fit --ids", "models list --backend", "models path", "serve --host",
    } <= met  # fmt: skip


THEIRS = ("unexpected", "Invalid value", "Missing ", "Input should", "unable to parse", "requires an", "No such")
"""Words of the library that reads a command's words."""
COMMANDS = sorted({" ".join(word for word in words if not word.startswith("--")) for words in NAMING})


@pytest.mark.parametrize("command", [*COMMANDS, "", "identify", "models", "identify list"])
@pytest.mark.parametrize("more", ["", " ", "a b c", "--nothing", "--json=3", "--neurns", "--top=x", "--model"])
def test_words_that_make_no_command_are_told_in_words_of_ours(
    command: str, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    for where, name in ((LocalClient, "start"), (opening, "open_engine"), (opening, "model_folder"), (loading, "load")):
        monkeypatch.setattr(where, name, lambda *_, **__: pytest.fail("it was begun"))
    asking = ["--prompt", "Who?"]
    needed = {"explore": asking, "compare": asking, "cett": ["--text-file", "x", "--out", "y"], "neuron": ["word"]}
    needed |= {"models path": ["word"], "models fetch": ["word"]}
    assert main([*command.split(), *needed.get(command, ()), more]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1 and not [words for words in THEIRS if words in told], told
    assert "()" not in told and ": " in told and "; " in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["explore", "--prompt"], "--prompt has no value: it needs one; see hneurons explore --help."),
        (["models", "list", "--json=1"], "--json has a value: it takes none; see hneurons models list --help."),
        (["identify", "run", "x", "--limit"], "--limit has no value: it needs one; see hneurons identify run"),
        (["lens", ""], "The command has an empty argument: it takes no such argument; see hneurons lens --help."),
        (["neuron", "L1:N2", "b"], "'b' is not expected: it is one argument too many; see hneurons neuron --help."),
        (["lens", "--top", ""], "--top is not understood: its value is no whole number; see hneurons lens --help."),
        (["lens", "--neurns", "x"], "There is no option --neurns: similar options are --neurons, --neurons-file; see "),
        (["identify", "foo"], "There is no command 'foo': unknown commands are not ignored; see "),
        (["explore"], "The option --prompt is missing: the command needs it; see hneurons explore --help."),
        (["identify", "run"], "The argument name is missing: the command needs it; see hneurons identify run --help."),
        (["serve", "--port", "70000"], "--port is not understood: its value should be less than or equal to 65535; "),
        (["lens", "--neurons", ","], "--neurons is not understood: it names nothing; see hneurons lens --help."),
        (["identify", "run", "a", "--relations", ", ,"], "--relations is not understood: it names nothing; "),
        (["compare", "--prompt", "Who?", "--own", ","], "--own is not understood: it names nothing; "),
    ],
)  # fmt: skip
def test_a_command_that_is_not_understood_says_what_why_and_whose_help(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for where, name in ((LocalClient, "start"), (opening, "open_engine")):
        monkeypatch.setattr(where, name, lambda *_, **__: pytest.fail("it was begun"))
    assert main(words) == 2
    assert capfd.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    ("option", "words", "told"),
    [
        (
            "--alphas",
            "1,x",
            "--alphas '1,x' is no list of numbers: 'x' is no number; write numbers separated by commas",
        ),
        ("--control-arms", "1,x", "is no list of whole numbers: 'x' is no whole number; write whole numbers separated"),
        ("--control-arms", "0, 1.5 ,x", "'1.5' is no whole number"),
        ("--own", "L1:N2=half", "--own 'half' is no list of numbers: 'half' is no number"),
    ],
)
def test_numbers_that_are_none_are_told_in_words_of_ours(run: Run, option: str, words: str, told: str) -> None:
    status, _, err = run("compare", "--prompt", "Who?", "--neurons", "L1:N5", option, words)
    assert status == 2 and told in err
    assert "float" not in err and "int()" not in err


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], ((None, None, None), {"keep": True})),
        (["--no-store", "--dtype", "float32"], ((None, None, "float32"), {"keep": False})),
        (["--model", "other", "--device", "cpu"], (("other", "cpu", None), {"keep": True})),
    ],
)
@pytest.mark.parametrize("verb", [["explore", "--prompt", "Who?"], ["lens", "--neurons", "L1:N2"]])
def test_the_options_of_the_door_reach_the_client(
    verb: list[str], words: list[str], given: object, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    with local(engine) as client:

        def start(*args: object, **named: object) -> LocalClient:
            started.append((args, named))
            return client

        monkeypatch.setattr(LocalClient, "start", start)
        assert main([*verb, *words, "--json"]) == 0
    assert started == [given]


def test_a_service_that_does_not_answer_exits_1(run: Run) -> None:
    status, out, err = run("explore", "--prompt", "Who?", "--json", "--backend", "http://127.0.0.1:9")
    assert status == 1
    assert_error_shape(json.loads(out), "backend_unavailable")
    assert "http://127.0.0.1:9" in err and "--backend" in err


def test_a_bug_exits_1_with_its_traceback_on_standard_error(run: Run, engine: FakeEngine) -> None:
    def explode(index: int) -> None:
        raise ZeroDivisionError("a bug")

    engine.on_token = explode
    status, out, err = run("explore", "--prompt", "Who?", "--json")
    assert status == 1
    assert_error_shape(json.loads(out), "internal")
    assert "ZeroDivisionError" in err


def test_ctrl_c_stops_the_run(run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_follow", interrupt)
    status, out, err = run("explore", "--prompt", "Who?", "--max-new-tokens", "64", "--json")
    assert (status, out) == (130, "")
    assert err.endswith("Stopped.\n")


def test_a_file_that_ends_too_early_is_no_person_who_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*args: object) -> None:
        raise EOFError("No data left in file")

    monkeypatch.setattr(running, "_follow", cut)
    status, out, err = run("explore", "--prompt", "Who?", "--json")
    assert status == 1 and "Stopped" not in err
    assert_error_shape(json.loads(out), "internal")
    assert "No data left in file" in json.loads(out)["error"]["why"]


def test_what_libraries_print_never_reaches_standard_output(run: Run, engine: FakeEngine) -> None:
    def chatter(index: int) -> None:
        print("loading 100%")
        os.write(1, b"from C code\n")

    engine.on_token = chatter
    status, out, err = run("explore", "--prompt", "Who?", "--max-new-tokens", "2", "--json")
    assert status == 0 and json.loads(out)
    assert "loading 100%" in err and "from C code" in err


def test_cett_writes_the_array_and_its_axes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_engine", lambda spec, store, progress: FakeEngine())
    text, out_file = tmp_path / "text.txt", tmp_path / "x.npy"
    text.write_text("the text as it stands")
    status, out, _ = run("cett", "--text-file", str(text), "--out", str(out_file), "--json")
    assert status == 0 and json.loads(out)["shape"] == [3, 5, 16]
    assert np.load(out_file).shape == (3, 5, 16)
    assert json.loads((tmp_path / "x.json").read_text())["token_ids"] == [0, 1, 2, 3, 4]


def test_models_list_path_and_fetch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(name: str | None, progress: opening.Progress) -> Path:
        progress("converting", 0.5)
        return Path("/models") / str(name)

    monkeypatch.setattr(opening, "choices", lambda: (CHOICE,))
    monkeypatch.setattr(opening, "model_folder", folder)
    monkeypatch.delenv("HNEURONS_MODEL", raising=False)
    assert [row["name"] for row in json.loads(run("models", "list", "--json")[1])["models"]] == ["fake-model"]
    assert "fake-model" in run("models", "list")[1]
    assert run("models", "path") == (0, f"/models/{DEFAULT}\n", "converting\n")
    assert run("models", "path", "other")[1] == "/models/other\n"
    assert json.loads(run("models", "fetch", "other", "--json")[1]) == {"path": "/models/other"}


def test_what_is_to_be_known_of_a_service_s_model_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(INFO.model_copy(update={"notes": ("its penalties are not used [bold]",)}))
    with local(engine) as client, served(client) as address:
        assert main(["models", "list", "--backend", address]) == 0
        assert "its penalties are not used [bold]" in capfd.readouterr().out
        assert main(["models", "list", "--backend", address, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["loaded"]["notes"] == ["its penalties are not used [bold]"]
        assert main(["explore", "--prompt", "Who?", "--backend", address, "--json"]) == 0
        told = capfd.readouterr()
        assert "its penalties are not used [bold]" in told.err and json.loads(told.out)


@pytest.mark.parametrize(
    "words",
    [
        (*COMPARE, "--neurons", "L1:N6"),
        (*COMPARE, "--alphas=3"),
        ("explore", "--prompt", "Who?", "--prompt", "Where?"),
        ("explore", "--prompt", "Who?", "--chat", "--no-chat"),
        ("identify", "fit", "x", "--ids", "a.json", "--ids", "b.json"),
        ("models", "list", "--backend", "http://a", "--backend", "http://b"),
    ],
)
def test_an_option_that_is_given_twice_is_refused_and_not_taken_from_its_last_place(
    run: Run, words: tuple[str, ...]
) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "") and "is given 2 times" in err


def test_what_may_be_repeated_is_and_a_flag_says_no_more_the_second_time(run: Run) -> None:
    status, out, _ = run(*COMPARE, "--stop", "a", "--stop", "b", "--json", "--json")
    assert status == 0 and json.loads(out)["request"]["decoding"]["stop"] == ["a", "b"]


def test_a_service_that_goes_away_behind_the_answer_does_not_take_it_along(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: HttpModels) -> ModelStatus:
        raise BackendUnavailable("The engine does not answer", "it has ended", "start it")

    with local(FakeEngine()) as client, served(client) as address:
        monkeypatch.setattr(HttpModels, "status", gone)
        assert main(["lens", "--neurons", "L1:N2", "--backend", address, "--json"]) == 0
        assert Lens.model_validate_json(capfd.readouterr().out).pushed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("identify list > /dev/full", 1, "The result could not be written to standard output: No space left on device"),
        ("identify list --json > /dev/full", 1, "The result could not be written to standard output"),
        ("identify list >&-", 0, ""),
        ("identify list --json >&-", 0, ""),
        ("identify list <&- 2>&-", 0, ""),
        ("identify report nobody 2>&-", 2, ""),
    ],
)
def test_an_output_that_takes_nothing_ends_in_words_and_not_in_a_traceback(
    words: str, status: int, said: str, tmp_path: Path
) -> None:
    told = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m backend {words}"],
        capture_output=True, text=True, env={**os.environ, "HNEURONS_HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert told.returncode == status and said in told.stderr
    assert "Traceback" not in told.stderr and "Exception" not in told.stderr


def test_a_model_that_cannot_be_had_exits_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str | None, progress: opening.Progress) -> Path:
        raise ModelError("There is no such model", "nothing has that name", "see hneurons models list")

    monkeypatch.setattr(opening, "model_folder", none)
    status, out, _ = run("models", "path", "nonsense", "--json")
    assert status == 2
    assert_error_shape(json.loads(out), "model")


def test_python_m_backend_helps_on_standard_output_and_refuses_without_torch() -> None:
    def program(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "backend", *words], capture_output=True, text=True, check=False)

    helped = program("--help")
    assert helped.returncode == 0
    assert all(
        command in helped.stdout for command in ("explore", "compare", "neuron", "lens", "models", "cett", "serve")
    )
    refused = program("compare", "--prompt", "Who?", "--neurons", "L1:N5", "--alphas", "9", "--json")
    assert refused.returncode == 2
    assert_error_shape(json.loads(refused.stdout), "bad_settings")


@pytest.mark.model
def test_the_real_model_gives_the_same_through_command_line_and_client() -> None:
    words = ["compare", "--prompt", "What is the capital of Egypt?", "--neurons", "L3:N5,L4:N7", "--alphas", "0,2"]
    done = subprocess.run(
        [sys.executable, "-m", "backend", *words, "--controls", "1", "--max-new-tokens", "8", "--no-store", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    request = CompareRequest.model_validate(
        {
            "prompt": "What is the capital of Egypt?",
            "neurons": ["L3:N5", "L4:N7"],
            "alphas": [0, 2],
            "decoding": {"max_new_tokens": 8},
        }
    )
    here = running.answer("compare", lambda client: request, running.Door(keep=False))
    assert isinstance(here, Comparison)
    assert done.stdout == here.model_dump_json() + "\n"
    assert [row.arm for row in here.rows] == ["baseline", "chosen", "chosen", "control"]
