"""A published list needs no model: its own shape, a row of the table or a configuration say whether it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.cli.main import main
from backend.errors import BadInput, BadNeurons, ModelTooLarge
from backend.identify.formats import probes
from backend.models import loading
from backend.neurons import NeuronId
from backend.probes import library
from backend.probes.scoring import Scorer
from backend.serve import opening
from backend.types.names import ProbeRef
from backend.types.probe import Said
from tests.places import SHARED, needs_shared
from tests.tiny import make_tiny

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    return tmp_path


def entry(layer: int, neuron: int, kind: str, coefficient: Any) -> dict[str, Any]:
    return {"layer": layer, "neuron": neuron, "feature_type": kind, "coefficient": coefficient}


def clinical(**given: Any) -> bytes:
    rows = [entry(23, 7855, "prompt", 0.25), entry(11, 8633, "answer", 0.2), entry(23, 7855, "answer", 0.1)]
    told = {"model": LLAMA, "n_layers": 32, "intermediate_size": 14336, "cv_auc_mean": 0.89, "h_neurons": rows}
    return json.dumps({**told, **given}).encode()


def test_two_features_of_a_neuron_are_kept_apart_and_the_answers_alone_is_scored() -> None:
    probe = probes.read({"c.json": clinical()}, "c", None)
    assert {str(one.neuron): one.weight for one in probe.neurons} == {"L11:N8633": 0.2, "L23:N7855": 0.1}
    assert [(str(one.neuron), one.weight, one.kind) for one in probe.aside] == [("L23:N7855", 0.25, "prompt")]
    assert "1 further weights of the file are on other features (prompt)" in probe.aside_note
    assert probe.said == Said(name=LLAMA, widths=(14336,) * 32) and probe.model is None
    along = Scorer(ProbeRef(name="c", digest="0" * 64), probe, Path()).running()
    along.read(np.ones((1, 2)))
    assert along.along == pytest.approx([0.3]), "the weight on the prompt is not added"
    again = probes.read({"p.json": probe.model_dump_json().encode()}, "again", None)
    assert again.aside == probe.aside, "nothing is lost in our own file"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_layers": "32"}, "no proper shape"),
        ({"n_layers": True}, "no proper shape"),
        ({"intermediate_size": 14336.0}, "no proper shape"),
        ({"n_layers": 10**9}, "no proper shape"),
        ({"n_layers": 20}, "contradicts itself: L23:N7855 is not in this model"),
        ({"h_neurons": [entry(1, 1, "answer", "0.5")]}, "no proper weight"),
        ({"h_neurons": [entry(1, 1, "answer", 0.5), entry(1, 1, "answer", 0.4)]}, "gives L1:N1 two weights"),
        ({"h_neurons": [entry(1, 1, "prompt", 0.5), entry(1, 1, "prompt", 0.4)]}, "two weights: both are on prompt"),
        ({"h_neurons": [entry(1, 1, "prompt", 0.5)]}, "names no neuron: its 1 weights are on other features"),
        ({"h_neurons": [{**entry(1, 1, "answer", 0.5), "feature_type": 3}]}, "no proper feature_type"),
        ({"h_neurons": [{**entry(1, 1, "answer", 0.5), "weight": 0.4}]}, "weight and coefficient mean the same"),
        ({"h_neurons": [{**entry(1, 1, "answer", 0.5), "index": 2}]}, "mean the same and differ"),
        ({"h_neurons": [entry(1, 1, "answer", 0.5), entry(1, 2, "answer", None)]}, "gives only some neurons a weight"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises((BadInput, BadNeurons), match=said):
        probes.read({"c.json": clinical(**given)}, "c", None)


def test_a_table_has_the_same_columns_as_a_list() -> None:
    text = b"layer,neuron,feature_type,coefficient\n1,2,answer,0.5\n1,2,prompt,-0.3\n3,4,answer,-1\n"
    probe = probes.read({"c.csv": text}, "c", None)
    assert [(str(one.neuron), one.weight) for one in probe.neurons] == [("L1:N2", 0.5), ("L3:N4", -1.0)]
    assert [(str(one.neuron), one.weight, one.kind) for one in probe.aside] == [("L1:N2", -0.3, "prompt")]


@pytest.mark.parametrize(
    "files",
    [
        {"p.csv": b"layer,neuron,coef\n1,2,0.5\n(Intercept),,0.3\n"},
        {"p.csv": b"layer\tneuron\tweight\n1\t2\t0.5\nintercept\t\t0.3\n"},
        {"p.csv": b'"layer","neuron","weight"\n1,2,0.5\n"intercept","",0.3\n'},
        {"p.json": b'{"neurons": [{"layer": 1, "neuron": 2, "coef": 0.5}], "bias": 0.3}'},
        {"p.json": b'{"neurons": [[1, 2, 0.5]], "intercept_": [0.3]}'},
    ],
)
def test_weights_and_intercept_are_found_under_the_names_that_solvers_give_them(files: dict[str, bytes]) -> None:
    probe = probes.read(files, "p", None)
    assert ([one.weight for one in probe.neurons], probe.intercept) == ([0.5], 0.3)


@needs_shared
@pytest.mark.parametrize(("size", "answer", "prompt", "layers"), [("8b", 103, 110, 32), ("70b", 313, 257, 80)])
def test_the_published_clinical_lists_are_read(size: str, answer: int, prompt: int, layers: int) -> None:
    file = SHARED / f"clinical_llama31_{size}_h_neurons.json"
    probe = probes.read({file.name: file.read_bytes()}, size, None)
    assert (len(probe.neurons), len(probe.aside), len(probe.said.widths)) == (answer, prompt, layers)


def imported(home: Path, payload: bytes, *words: str) -> int:
    (home / "c.json").write_bytes(payload)
    return main(["identify", "import", str(home / "c.json"), "--name", "c", *words])


@pytest.mark.parametrize("model", ["Llama-3.1-8B-Instruct", LLAMA, None])
def test_a_list_for_a_model_that_is_not_here_is_imported_and_listed_as_its(
    model: str | None, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("backend.models.sources.is_here", lambda source: False)
    monkeypatch.setattr(opening, "open_engine", load)
    assert imported(home, clinical(), *(["--model", model] if model else [])) == 0
    assert "further weights of the file are on other features" in capfd.readouterr().out
    held = library.read("c")
    assert held.model is None and held.forced == "" and held.said.widths == (14336,) * 32
    assert next(one for one in library.listed() if one.name == "c").model == LLAMA


def test_where_the_model_is_here_and_too_large_its_shape_is_enough(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def large(*_: object, **__: object) -> None:
        raise ModelTooLarge("It does not fit", "it needs 16 GB", "choose a smaller one")

    monkeypatch.setattr("backend.models.sources.is_here", lambda source: True)
    monkeypatch.setattr(opening, "open_engine", large)
    assert imported(home, b'[{"layer": 31, "neuron": 14335, "weight": 1}]', "--model", "Llama-3.1-8B-Instruct") == 0
    assert library.read("c").said == Said(name="Llama-3.1-8B-Instruct", widths=(14336,) * 32)


def test_a_list_that_is_not_of_the_named_model_is_refused_or_marked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("backend.models.sources.is_here", lambda source: False)
    assert imported(home, clinical(), "--model", "Llama-3.3-70B-Instruct") == 2
    assert "was made for another model: it belongs to meta-llama/Llama-3.1-8B-Instruct" in capfd.readouterr().err
    assert imported(home, b'[{"layer": 32, "neuron": 1}]', "--model", "Llama-3.1-8B-Instruct") == 2
    assert "L32:N1 is not in this model: it has layers 0 to 31" in capfd.readouterr().err
    assert imported(home, clinical(), "--model", "Llama-3.3-70B-Instruct", "--force") == 0
    assert library.read("c").forced == "Llama-3.3-70B-Instruct"


def test_weights_without_addresses_take_the_shape_of_a_model_that_is_not_here(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.models.sources.is_here", lambda source: False)
    coef = np.zeros((1, 32 * 14336))
    coef[0, 14336 * 3 + 7] = 0.5
    np.savez_compressed(home / "p.npz", coef=coef, intercept=np.zeros(1))
    command = ["identify", "import", str(home / "p.npz"), "--name", "p", "--model", "Llama-3.1-8B-Instruct"]
    assert main(command) == 0
    assert [one.neuron for one in library.read("p").neurons] == [NeuronId(3, 7)]


def test_a_folders_configuration_is_a_shape(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_tiny("llama", home)
    assert loading.shape_alone(str(folder))[1].layers == 3
    monkeypatch.setattr("backend.models.sources.is_here", lambda source: True)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: (_ for _ in ()).throw(ModelTooLarge("a", "b", "c")))
    assert imported(home, b'[{"layer": 2, "neuron": 47}]', "--model", str(folder)) == 0
    assert library.read("c").said.widths == (48,) * 3
