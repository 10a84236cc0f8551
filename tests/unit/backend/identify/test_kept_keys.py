"""What people have on disk is found again: the bytes that each key is made of are as they always were.

Every value below was worked out by an earlier version of the program, before keys had one rule. One that changes
throws away hours of somebody's computing without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.forward import reference
from backend.identify import context
from backend.identify.answers import llm, responses
from backend.identify.context import RunContext
from backend.identify.evaluation import effects
from backend.identify.evaluation.effects import Switch
from backend.identify.features import extract
from backend.identify.questions import questions
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.probes import library
from backend.runs import archive, runs
from backend.runs.folder import RunFolder, run_folders_in
from backend.serve import long_links, shelf
from backend.types import ExploreRequest, ModelInfo, figures, result_key
from backend.types.identify import Item, Question, RegionRule, Sampling
from backend.types.plan import LlmJudge
from cache import digests
from cache.journal import Journal
from cache.store import Store
from tests.unit.backend.identify.made import PLAN

INFO = ModelInfo(
    name="m", family="llama", fingerprint="f" * 64, n_layers=2, widths=(3, 4), d_model=2, n_vocab=5, parameters=9,
    context=64, dtype="float32", device="cuda:1", versions={"torch": "2.1", "transformers": "5"},
)  # fmt: skip
MODEL = cast("LoadedModel", SimpleNamespace(info=INFO))
ASKED = [
    Question(id="q1", text="Who wrote Emma?", answers=("Jane Austen",), relation="author", entity="Emma"),
    Question(id="q2", text="Wo liegt Köln?", answers=("am Rhein",), relation="river", entity="Köln"),
]
BY_ID = {question.id: question for question in ASKED}
ITEMS = [
    Item(question="q1", side="right", response="Jane Austen.", start=0, end=11),
    Item(question="q2", side="wrong", response="An der Spree – gewiß.", start=7, end=12),
]
ARMS = [Switch("H-neurons", 0.5, NeuronSet.of("L0:N1", "L1:N2")), Switch("random twin", 0.5, NeuronSet.of("L0:N2"))]
SAMPLING = Sampling(samples=3, max_new_tokens=7)
REQUEST = ExploreRequest(prompt="Wer schrieb „Emma“?")


def fingerprint(folder: Path) -> str:
    """Of a folder of two files, each as large as the other."""
    from backend.models.fingerprint import fingerprint

    (folder / "m").mkdir()
    (folder / "m" / "config.json").write_bytes(b"{}")
    (folder / "m" / "a.safetensors").write_bytes(b"x" * 3)
    return fingerprint(folder / "m", "float32")


def packed(folder: Path) -> str:
    (folder / "plan.json").write_bytes(b"{}")
    (folder / "greedy.jsonl.gz").write_bytes(b"z")
    return archive._hash_of_packed(folder)


def link(folder: Path) -> str:
    return long_links.keep(Store(folder / "links"), {"q": "Köln?", "a": "1"})


def probe_file(folder: Path) -> str:
    (folder / "probe.json").write_bytes(b"a probe")
    return digests.of_file(folder / "probe.json")


KEYS: dict[str, Callable[[Path], Any]] = {
    "request": lambda _: REQUEST.hash,
    "basis": lambda _: INFO.basis,
    "result": lambda _: result_key(REQUEST, INFO.basis),
    "fits": lambda folder: RunContext(MODEL, PLAN, BY_ID, folder).journal("null", "0.5", "x").path.name,
    "switched": lambda _: effects.answers_key(ASKED, ARMS, SAMPLING, figures(INFO.basis)),
    "features": lambda _: extract._key(MODEL, ITEMS, BY_ID, SAMPLING, RegionRule(pooling="max")),
    "lines of items": lambda _: digests.of_bytes("".join(one.model_dump_json() + "\n" for one in ITEMS).encode()),
    "questions": lambda _: questions.questions_key(ASKED),
    "a sample's seed": lambda _: responses.row_seed(7, "q1", 3),
    "an LLM's replies": lambda folder: llm.journal_of(folder, LlmJudge(model="gpt-x"), "judged").path.name,
    "what an LLM was asked": lambda _: llm._hash("Wer schrieb Emma? – sag"),
    "reference text": lambda _: reference.request().text_hash,
    "model": fingerprint,
    "packed answers": packed,
    "link": link,
    "probe's file": probe_file,
}
KNOWN: dict[str, Any] = {
    "request": "f2b335c0c35183cbd1646e74b901803f5723f4739d05e6c4a5bd68e71a97a4cf",
    "basis": "fc79aa9702ae4332ef1c5c7edd025535926aacfa993c271bf21c1a456af57721",
    "result": "ea4120e429b436b6fdcee73d013b91d2551f304de65e72bcd29e770bf459cf14",
    "fits": "null-976a12217ce44f1f.jsonl",
    "switched": "66ac3d4a1ea30739",
    "features": "e6b8ebafceff9c372ebaea67db44cb97fd1ea3ca192cf41196191ce3294b4eba",
    "lines of items": "5489431bf15e1bb6d15bc92594218cf0fec14d1ca2823f8cc902219c9b0e7c91",
    "questions": "16e6d1cbfc0d63dfa5935cd0f6bdc4f03ca2afeba79bb11c74559e495630eec9",
    "a sample's seed": 2535716003627974241,
    "an LLM's replies": "judged-14d9bc356aea0d26_cbff7260a780c934.jsonl",
    "what an LLM was asked": "4d0828c2791ac79a",
    "reference text": "e9fa03850a3a16b5362a6eb06c14f16c1bc6c139e4ac8157771ff135ad430d16",
    "model": "41e0cca78af2cdd37d18d4336922e412a41f5252bc18b0d53fa57315c69f6ea0",
    "packed answers": "a1f1537bc8021573a6a1a4aa496ad0d52cd79e9f637cf269af4ae16eb1b8d889",
    "link": "00dce1d59de4384b859dcd6d5e71faf7ec69c498ae287f9ed7ec3056bd6b17b6",
    "probe's file": "2f50953c9504b010783ec323b040df8bc99f906689fff4cbfaffb533da63e9ef",
}


@pytest.mark.parametrize("what", KEYS)
def test_what_was_kept_under_a_key_is_found_again(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(llm.ADDRESS, "http://me:secret@localhost:8000/v1?key=1")
    monkeypatch.setattr(context, "_SOLVERS", "numpy 2 scikit-learn 1 skglm 0")
    monkeypatch.setattr("backend.types.base.METRIC_VERSION", 2)
    assert KEYS[what](tmp_path) == KNOWN[what]


def test_the_run_that_ships_is_found_with_its_questions_its_answers_and_its_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    for folder in run_folders_in(library.SHIPPED):
        begun, asked = runs.begun(folder.name)
        probe, copy = library.read(folder.name), RunFolder(library.folder_of(folder.name))
        assert questions.questions_key(asked) == probe.questions and begun.question_count == len(asked)
        assert not archive.is_outdated(folder, copy.path), "a copy is that of what ships"
        seen = next(one for one in shelf.runs({}) if one.name == folder.name)
        assert seen.done and seen.sampled == len(Journal(copy.samples).read()) > 0
        assert probe.report is not None and probe.report.funnel.sampled == seen.sampled
        assert {one.verdict for one in shelf.answers(folder.name, limit=50)} >= {"right", "wrong"}
