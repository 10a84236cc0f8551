"""Changing real models: what cannot open leaves the loaded one, and what fails on the way brings it back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.errors import HNeuronsError, ModelTooLarge, ModelUnreadable
from backend.models import devices, memory
from backend.serve import opening
from backend.serve.client import Client
from backend.serve.local.client import LocalClient
from backend.serve.opening import ModelSpec
from backend.serve.remote.client import HttpClient
from backend.types import Decoding, ExploreRequest, ModelStatus
from tests.doors import ended, served

ASKED = ExploreRequest(prompt="Who?", decoding=Decoding(max_new_tokens=2))
PATIENCE = 120.0


@pytest.fixture
def llama(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder("llama"), tmp_path / "llama"))


@pytest.fixture
def client(llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalClient]:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    opened = LocalClient.start(str(llama), "cpu", "float32", keep=False)
    settled(opened)
    yield opened
    opened.close()


def settled(client: Client) -> ModelStatus:
    """The status once nothing is on its way."""
    until = time.monotonic() + PATIENCE
    while (now := client.models.status()).state == "loading" or (now.change is not None and now.change.error is None):
        assert time.monotonic() < until, f"still {now}"
        time.sleep(0.02)
    return now


def damaged(folder: Path, tmp_path: Path, how: str) -> str:
    """A name that no model opens under, broken in this way."""
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    weights = broken / "model.safetensors"
    if how == "cut off":
        weights.write_bytes(weights.read_bytes()[:-64])
    elif how == "no weights":
        weights.unlink()
    elif how == "foreign":
        config = json.loads((broken / "config.json").read_text())
        (broken / "config.json").write_text(json.dumps({**config, "model_type": "foobar"}))
    elif how == "widths":
        config = json.loads((broken / "config.json").read_text())
        (broken / "config.json").write_text(json.dumps({**config, "intermediate_size": 56}))
    elif how == "tokenizer":
        (broken / "tokenizer.json").write_text("[]")
    else:
        shutil.rmtree(broken)
    return str(broken)


@pytest.mark.parametrize("how", ["gone", "no weights", "foreign", "cut off", "widths", "tokenizer"])
@pytest.mark.parametrize("far", [False, True], ids=["here", "over HTTP"])
def test_a_model_that_cannot_be_loaded_takes_the_loaded_one_from_nobody(
    how: str, far: bool, client: LocalClient, llama: Path, tmp_path: Path
) -> None:
    """Whether it is seen at once, while it is checked, or only when its weights are read."""
    before = client.models.status().info
    assert before is not None
    with served(client) as address:
        door: Client = HttpClient(address) if far else client
        refusal: HNeuronsError | None = None
        try:
            door.models.load(damaged(llama, tmp_path, how), confirm=True)
        except HNeuronsError as error:
            refusal = error
        now = settled(door)
        assert now.state == "ready" and now.info == before
        if refusal is None:
            assert now.change is not None and now.change.state == "failed"
            refusal = HNeuronsError.from_json(now.change.error or {})
        assert refusal.code in {"unknown_model", "model_unreadable", "unsupported_model"}, refusal.sentence
        view = ended(door, door.jobs.submit("explore", ASKED, "ann"))
        assert view.state == "done", view.error
        if far:
            door.close()


def test_the_memory_of_the_loaded_model_counts_as_free_where_it_is(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = 60_000_000
    for module in (devices, memory):
        monkeypatch.setattr(module, "free_bytes", lambda device: 1_000)
    spec = ModelSpec(str(llama), "cpu", "float32")
    opening.prepare(spec, lambda stage, fraction: None, needs, "cpu")
    for freed, where in ((0, "cpu"), (needs, "cuda:0")):
        with pytest.raises(ModelTooLarge):
            opening.prepare(spec, lambda stage, fraction: None, freed, where)


def test_weights_that_are_cut_off_are_seen_before_the_loaded_model_goes(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable):
        opening.prepare(ModelSpec(damaged(llama, tmp_path, "cut off")), lambda stage, fraction: None)


def test_the_model_before_is_loaded_as_it_was(client: LocalClient, llama: Path, tmp_path: Path) -> None:
    before = client.models.status().info
    other = Path(shutil.copytree(llama, tmp_path / "other"))
    client.models.load(str(other), "cpu", "bfloat16", confirm=True)
    now = settled(client)
    assert now.info is not None and (now.info.name, now.info.dtype) == ("other", "bfloat16")
    assert now.previous is not None
    client.models.load(now.previous.name, now.previous.device, now.previous.dtype, confirm=True)
    assert settled(client).info == before
