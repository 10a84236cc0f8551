"""The engine keeps what it computed, computes anew what was damaged, and loses no result to a full disk."""

from __future__ import annotations

import copy
import dataclasses
import errno
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.engine import Engine
from backend.errors import BadNeurons, BadPrompt, StoreError
from backend.forward import reference
from backend.forward.templating import at
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import (
    CettRequest,
    CompareRequest,
    Decoding,
    Exploration,
    ExploreRequest,
    Frozen,
    LensRequest,
    NeuronRequest,
    Request,
    Verb,
)
from backend.types.refusal import read_stored
from backend.verbs import table
from backend.watch import SILENT
from cache.errors import StoreProblem
from cache.store import Store
from tests.plain import FLOAT32, Plain, largest_gap
from tests.tiny import D_MLP, FAMILIES, LAYERS

SHORT = Decoding(max_new_tokens=4)
EXPLORE = ExploreRequest(prompt="Who wrote this?", decoding=SHORT)
COMPARE = CompareRequest(prompt="Who wrote this?", neurons=NeuronSet.of("L1:N5"), decoding=SHORT)
NEURON = NeuronRequest.model_validate({"neuron": "L1:N5", "text": EXPLORE})
LENS = LensRequest(neurons=NeuronSet.of("L1:N5", "L0:N2"))
VERBS: list[tuple[Verb, Request]] = [("explore", EXPLORE), ("compare", COMPARE), ("neuron", NEURON), ("lens", LENS)]
TEXT = "The capital of Egypt is Cairo."


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def engine(tiny: Callable[[str], LoadedModel], store: Store) -> Engine:
    return Engine(tiny("llama"), store)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing may be computed."""

    def computed(*_: Any) -> None:
        pytest.fail("computed again what the store had")

    monkeypatch.setattr(Engine, "_compute", computed)


def entry_file(store: Store, engine: Engine, request: Frozen) -> Path:
    key = engine.key(request)
    return store.root / key[:2] / f"{key}.entry"


@pytest.mark.parametrize(("verb", "request_"), VERBS)
def test_the_same_request_again_comes_from_the_store_byte_for_byte(
    verb: Verb, request_: Request, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.lookup(verb, request_) is None
    first = engine.run(verb, request_)
    forbid(monkeypatch)
    assert engine.run(verb, request_).to_bytes() == first.to_bytes()
    assert Engine(engine.model, Store(store.root)).run(verb, request_).to_bytes() == first.to_bytes()


def test_a_figure_kept_on_one_day_is_not_that_of_another_where_the_template_writes_the_date(
    engine: Engine, store: Store
) -> None:
    tokenizer = copy.deepcopy(engine.model.tokenizer)
    tokenizer.chat_template = "{{ strftime_now('%d') }}" + str(tokenizer.chat_template)
    dated = Engine(dataclasses.replace(engine.model, tokenizer=tokenizer, extras={}), store)
    found: dict[int, Exploration] = {}
    for day in (1, 2, 1):
        with at(datetime(2024, 5, day)):
            found[day] = dated.ask(table.EXPLORE, EXPLORE)
            assert dated.key(NEURON) != engine.key(NEURON)
            assert dated.key(LENS) == engine.key(LENS), "no template around it"
            kept = dated.lookup("explore", EXPLORE)
            assert kept is not None and kept.to_bytes() == found[day].to_bytes()
    assert [token.id for token in found[1].tokens] != [token.id for token in found[2].tokens]
    assert len(store.entries()) == 3, "two explorations and what is usual"


def test_what_is_kept_names_its_request_and_its_model(engine: Engine, store: Store) -> None:
    engine.ask(table.EXPLORE, EXPLORE)
    entry = store.entry(engine.key(EXPLORE))
    assert entry is not None
    assert entry.kind == "explore"
    assert ExploreRequest.model_validate(entry.meta["request"]) == EXPLORE
    assert entry.meta["model"] == engine.info.name


def test_another_models_result_is_not_taken_for_this_ones(
    engine: Engine, tiny: Callable[[str], LoadedModel], store: Store
) -> None:
    one = engine.ask(table.EXPLORE, EXPLORE)
    other = Engine(tiny("qwen3"), store).ask(table.EXPLORE, EXPLORE)
    assert other.model.fingerprint != one.model.fingerprint
    assert other.answer_mean.tobytes() != one.answer_mean.tobytes()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _edited(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _edited, _emptied])
def test_a_damaged_entry_is_computed_again_and_mended(
    damage: Callable[[Path], None], engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine.ask(table.COMPARE, COMPARE).to_bytes()
    damage(entry_file(store, engine, COMPARE))
    assert engine.lookup("compare", COMPARE) is None
    assert engine.ask(table.COMPARE, COMPARE).to_bytes() == first
    forbid(monkeypatch)
    assert engine.ask(table.COMPARE, COMPARE).to_bytes() == first


@pytest.mark.parametrize("payload", [b"{}", b"not JSON", b'{"answer": "of another version"}'])
def test_an_entry_of_another_version_is_computed_again(payload: bytes, engine: Engine, store: Store) -> None:
    """Whole and with a right checksum, but not what this version writes: results and reference figures alike."""
    first = engine.ask(table.EXPLORE, EXPLORE).to_bytes()
    for request in (EXPLORE, reference.request()):
        store.put(engine.key(request), payload, "explore", {})
    again = Engine(engine.model, store)
    assert again.ask(table.EXPLORE, EXPLORE).to_bytes() == first
    assert store.get(engine.key(reference.request())) == again.usual().to_bytes()
    assert read_stored(Exploration, payload) is None


def test_an_entry_that_cannot_be_opened_counts_as_missing(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine.ask(table.EXPLORE, EXPLORE).to_bytes()

    def refused(key: str) -> bytes:
        raise StoreProblem("A kept result could not be read", "permission denied", "make it readable")

    monkeypatch.setattr(store, "get", refused)
    assert Engine(engine.model, store).ask(table.EXPLORE, EXPLORE).to_bytes() == first


@pytest.mark.parametrize(("verb", "request_"), VERBS)
def test_a_full_disk_loses_nothing_but_the_keeping(
    verb: Verb,
    request_: Request,
    engine: Engine,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = Engine(engine.model).run(verb, request_).to_bytes()
    with monkeypatch.context() as disk:
        disk.setattr("cache.atomic.os.replace", full)
        assert engine.run(verb, request_).to_bytes() == expected
    assert "result not kept" in caplog.text
    assert engine.lookup(verb, request_) is None
    assert not [path for path in store.root.rglob("*") if path.is_file()], "nothing half-written may stay"


def test_without_a_store_every_request_is_computed(tiny: Callable[[str], LoadedModel]) -> None:
    engine = Engine(tiny("llama"))
    assert engine.ask(table.EXPLORE, EXPLORE).to_bytes() == engine.ask(table.EXPLORE, EXPLORE).to_bytes()
    assert engine.lookup("explore", EXPLORE) is None


def test_what_is_usual_is_measured_once_and_then_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine.usual()
    assert engine.usual() is first
    monkeypatch.setattr(reference, "measure", lambda *_: pytest.fail("measured again"))
    assert Engine(engine.model, engine.store).usual().to_bytes() == first.to_bytes()


def test_a_card_shows_its_own_neuron_along_the_text_whatever_was_asked_before(
    engine: Engine, untouched: Callable[[str], Plain]
) -> None:
    """The text's own exploration is stored under its own key; asking for its hash first must not mix the two."""
    base = engine.ask(table.EXPLORE, EXPLORE)
    full = untouched("llama").cett([token.id for token in base.tokens])
    for index in (5, 6):
        asked = NeuronRequest.model_validate({"neuron": f"L1:N{index}", "text": EXPLORE})
        told = engine.ask(table.NEURON, asked)
        assert told.cett is not None
        assert largest_gap(told.cett, full[1, :, index]) <= FLOAT32 * full.max()
        assert [token.id for token in told.tokens] == [token.id for token in base.tokens]
    assert engine.ask(table.EXPLORE, EXPLORE).set_cett.shape[1] == 0


def test_a_failed_request_keeps_nothing_and_the_next_one_works(engine: Engine, store: Store) -> None:
    bad = COMPARE.model_copy(update={"neurons": NeuronSet.of("L9:N1")})
    other = NeuronRequest.model_validate({"neuron": "L9:N1"})
    verbs: list[tuple[Verb, Request]] = [("compare", bad), ("neuron", other)]
    for verb, wrong in verbs:
        with pytest.raises(BadNeurons):
            engine.run(verb, wrong, SILENT)
        assert store.get(engine.key(wrong)) is None
    assert engine.ask(table.COMPARE, COMPARE).rows[0].arm == "baseline"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_full_array_is_brute_forces_with_its_axes_beside_it(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain], tmp_path: Path
) -> None:
    """Through the bridge, against plain hooks on another model; the file is NumPy's own, without pickle."""
    out = tmp_path / "x.npy"
    told = Engine(tiny(family)).cett(CettRequest(text=TEXT), out)
    ids = untouched(family).tokenizer(TEXT)["input_ids"]
    array = np.load(out, allow_pickle=False)
    expected = untouched(family).cett(ids)
    assert array.dtype == np.float32
    assert array.shape == told.shape == (LAYERS, len(ids), D_MLP)
    assert largest_gap(array, expected) <= FLOAT32 * expected.max()
    beside = json.loads((tmp_path / "x.json").read_text("utf-8"))
    assert beside["token_ids"] == ids == list(told.token_ids)
    assert beside["shape"] == list(array.shape)
    assert len(beside["tokens"]) == len(ids)
    assert beside["model"]["fingerprint"] == tiny(family).info.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npy"]


def test_a_text_is_put_into_the_template_only_when_asked(engine: Engine, tmp_path: Path) -> None:
    bare = engine.cett(CettRequest(text=TEXT), tmp_path / "bare.npy")
    chat = engine.cett(CettRequest(text=TEXT, chat=True), tmp_path / "chat.npy")
    assert "".join(bare.tokens) == TEXT.replace(" ", "·")
    assert "".join(chat.tokens).startswith("<s><|im_start|>user⏎" + TEXT.replace(" ", "·"))


def test_a_text_of_blanks_or_longer_than_a_prompt_may_be_is_read_as_it_stands(engine: Engine, tmp_path: Path) -> None:
    """What is typed into the page is bounded by characters; a text is bounded by the model's context alone."""
    assert engine.cett(CettRequest(text=" \n"), tmp_path / "blank.npy").shape[1] >= 1
    with pytest.raises(BadPrompt, match=r"too long by [\d,]+ tokens"):
        engine.cett(CettRequest(text="a b " * 6_000), tmp_path / "long.npy")
    assert not (tmp_path / "long.npy").exists()


def test_a_file_that_cannot_be_written_is_an_error_and_nothing_stays(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        engine.cett(CettRequest(text=TEXT), tmp_path / "missing" / "x.npy")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cache.atomic.os.replace", full)
    with pytest.raises(StoreError, match="No space left"):
        engine.cett(CettRequest(text=TEXT), tmp_path / "x.npy")
    assert list(tmp_path.rglob("*.npy")) == []
