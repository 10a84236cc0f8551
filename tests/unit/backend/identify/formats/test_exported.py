"""What a run exports comes back through the authors' way of reading, item by item; what would not is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.cli.main import main
from backend.errors import BadInput, StoreError
from backend.identify.features.extract import read_features_of_run
from backend.identify.fit import fitted
from backend.identify.formats import exported, thunlp
from backend.identify.pipeline import run
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs import runs
from backend.statistics import intervals
from backend.types.identify import RegionRule
from tests.unit.backend.identify.made import PLAN, questions

ROUNDING = 64 * float(np.finfo(np.float32).eps)
"""Of the largest figure of an item: sums over some hundred tokens and neurons in another order, batched or alone."""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    return tmp_path


@dataclass(frozen=True)
class Read:
    """What the other program reads of one item: [layer, neuron] of both regions."""

    answer: np.ndarray
    other: np.ndarray
    span: tuple[int, int]


class Theirs:
    """The authors' reading, written anew from its description: one answered turn, the answer sought by its texts.

    Source: thunlp/H-Neurons, extract_activations.py, as it was on 2026-01-14; in float32, where theirs is bfloat16.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.downs = [module for name, module in self.model.named_modules() if name.endswith("down_proj")]

    def ids(self, *turns: tuple[str, str]) -> list[int]:
        messages = [{"role": role, "content": content} for role, content in turns]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @contextmanager
    def watched(self, found: list[np.ndarray]) -> Iterator[None]:
        def take(module: Any, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            size = given[0][0].abs() * module.weight.norm(dim=0)
            found.append((size / (out[0].norm(dim=-1, keepdim=True) + 1e-8)).numpy())

        hooks = [module.register_forward_hook(take) for module in self.downs]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def read(self, row: dict[str, Any], occurrence: int = 0) -> Read | None:
        """None where the answer is not found. `occurrence` 0 is the one that they take."""
        asked, told = ("user", row["question"]), ("assistant", row["response"])
        whole, before = self.ids(asked, told), len(self.ids(asked))
        texts = [self.tokenizer.decode([token]) for token in whole]
        wanted = [text.replace("\u2581", " ").replace("\u0120", " ") for text in row["answer_tokens"]]
        size = len(wanted)
        places = [n for n in range(before, len(texts) - size + 1) if size and texts[n : n + size] == wanted]
        if len(places) <= occurrence:
            return None
        start = places[occurrence]
        found: list[np.ndarray] = []
        with torch.inference_mode(), self.watched(found):
            self.model(torch.tensor([whole]))
        cett = np.stack(found)
        other = np.concatenate([cett[:, :start], cett[:, start + size :]], axis=1)
        return Read(cett[:, start : start + size].mean(1), other.mean(1), (start, start + size))


def made(tiny: Callable[[str], LoadedModel]) -> LoadedModel:
    """A finished run of the name a."""
    model = tiny("llama")
    run(model, PLAN, questions(model), library.folder_of("a"), "a")
    return model


def rows(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    lines = (folder / f"answer_tokens_{part}.jsonl").read_text("utf-8").split("\n")
    return {key: row for line in lines if line for key, row in json.loads(line).items()}


def gap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


def test_every_item_comes_back_through_the_authors_reading(
    data: Path, tiny: Callable[[str], LoadedModel], tiny_folder: Callable[[str], Path]
) -> None:
    model, out = made(tiny), data / "out"
    finished = exported.read_finished("a")
    with thunlp.created_folders(out):
        written = exported.write(model, finished, out)
    assert written.train > 5 and written.test > 2
    assert written.items + written.elsewhere + written.otherwise == len(finished.items)
    theirs = Theirs(tiny_folder("llama"))
    items, answer, _ = read_features_of_run(library.folder_of("a") / "features")
    mine = {item.question: row for item, row in zip(items, answer, strict=True)}
    seen = 0
    for part, count in (("train", written.train), ("test", written.test)):
        ids = thunlp.read_ids(out / f"{part}_qids.json")
        told = rows(out, part)
        assert set(told) == {id for side in ids.values() for id in side} and len(told) == count
        for id, row in told.items():
            read = theirs.read(row)
            assert read is not None
            saved = [np.load(out / folder / f"act_{id}.npy") for folder in (thunlp.ANSWER, thunlp.OTHER)]
            assert gap(saved[0], read.answer) < ROUNDING and gap(saved[1], read.other) < ROUNDING
            assert np.array_equal(saved[0].ravel(), mine[id]), "the run's own figures, under the question's own id"
            seen += 1
    assert seen == written.items
    held_out = dict(zip((item.question for item in finished.items), finished.held_out, strict=True))
    assert all(held_out[id] == (part == "test") for part in ("train", "test") for id in rows(out, part))


def test_the_comparison_can_fail(
    data: Path, tiny: Callable[[str], LoadedModel], tiny_folder: Callable[[str], Path]
) -> None:
    """Without the closing tokens, or at the second place of the same tokens, the figures are others."""
    model, out = made(tiny), data / "out"
    with thunlp.created_folders(out):
        exported.write(model, exported.read_finished("a"), out)
    theirs, (id, row) = Theirs(tiny_folder("llama")), next(iter(rows(out, "train").items()))
    items, _, other = read_features_of_run(library.folder_of("a") / "features")
    read = theirs.read(row)
    assert read is not None
    before_the_end = other[[item.question for item in items].index(id)].reshape(read.other.shape)
    assert gap(before_the_end, read.other) > 100 * ROUNDING
    twice = {**row, "response": f"{row['response']} {row['response']}", "answer_tokens": row["answer_tokens"]}
    first, second = theirs.read(twice), theirs.read(twice, 1)
    assert first is not None
    if second is not None:
        assert gap(second.answer, first.answer) > 100 * ROUNDING


def test_an_item_that_their_search_finds_elsewhere_is_left_out_and_told(
    data: Path, tiny: Callable[[str], LoadedModel]
) -> None:
    model, out = made(tiny), data / "out"
    finished = exported.read_finished("a")
    spaced = finished.items[0].model_copy(update={"response": " Cairo or Cairo", "start": 10, "end": 15})
    with thunlp.created_folders(out):
        written = exported.write(model, replace(finished, items=(spaced, *finished.items[1:])), out)
    told = [row["response"] for part in ("train", "test") for row in rows(out, part).values()]
    assert spaced.response not in told and written.elsewhere >= 1
    assert "whose answer occurs earlier in the response too" in written.sentence
    with pytest.raises(BadInput, match=r"No item can be written for the authors' code: of 1, it would read 1 at anoth"):
        exported.write(model, replace(finished, items=(spaced,), held_out=(False,)), out)


def test_a_template_that_writes_an_answered_turn_otherwise_gives_no_item_other_figures(
    data: Path, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a family that thinks: its template puts empty thoughts before an answer that is there."""
    model = made(tiny)
    finished = exported.read_finished("a")
    template = model.tokenizer.chat_template.replace(
        "{{ message['content'] }}",
        "{% if message['role'] == 'assistant' %}(thought) {% endif %}{{ message['content'] }}",
    )
    monkeypatch.setattr(model.tokenizer, "chat_template", template)
    with pytest.raises(BadInput, match=f"writes {len(finished.items)} with other tokens once they are answered"):
        exported.write(model, finished, data / "out")


def test_what_cannot_be_exported_is_refused_before_the_model_loads_and_leaves_nothing(
    data: Path, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = made(tiny)

    def load(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("backend.models.loading.load", load)
    folder = library.folder_of("a")
    command = ["identify", "export", "a", "--format", "thunlp", "--out", str(data / "new" / "out")]
    with pytest.raises(StoreError, match="items.parquet of a is damaged: .*; resume it"):
        saved = (folder / "items.parquet").read_bytes()
        (folder / "items.parquet").write_bytes(b"PAR1")
        exported.read_finished("a")
    assert main(command) == 1 and not (data / "new").exists()
    (folder / "items.parquet").write_bytes(saved)
    begun = runs.begun("a")
    rule = RegionRule(position="predicting")
    other = replace(begun[0], plan=begun[0].plan.model_copy(update={"rule": rule}))
    monkeypatch.setattr(runs, "begun", lambda name: (other, begun[1]))
    assert main(command) == 2 and not (data / "new").exists()
    assert "was read where each token of the answer is predicted" in capfd.readouterr().err
    monkeypatch.setattr(runs, "begun", lambda name: begun)
    monkeypatch.setattr("backend.models.loading.load", lambda *_, **__: model_of_another_run(model))
    assert main(command) == 2 and not (data / "new").exists(), "nor where it turns out behind the load"
    assert "a was made on another model" in capfd.readouterr().err
    (folder / "features" / "items.jsonl").unlink()
    with pytest.raises(StoreError, match="features of this run are not here"):
        exported.read_finished("a")


def model_of_another_run(model: LoadedModel) -> LoadedModel:
    return replace(model, info=model.info.model_copy(update={"fingerprint": "0" * 64}))


def test_the_command_tells_what_it_wrote_and_its_own_fit_reads_it(
    data: Path, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model, out = made(tiny), data / "out"
    monkeypatch.setattr("backend.models.loading.load", lambda *_, **__: model)
    command = ["identify", "export", "a", "--format", "thunlp", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["items"] == told["train"] + told["test"] and set(told["left_out"]) == {"elsewhere", "otherwise"}
    assert main(command) == 0
    assert f"{told['items']} items with their features" in capfd.readouterr().out
    training = PLAN.training.model_copy(update={"held_out": 2, "labels": "3-vs-1"})
    found = fitted.fit(out, out / "train_qids.json", training, "again", model.info)
    assert found.probe.neurons
