"""What cannot open is refused before the loaded model is given away for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import ModelUnreadable, UnknownModel, UnsupportedModel
from backend.probes import library, standing
from backend.serve import opening
from backend.serve.opening import ModelSpec, check


def folder(path: Path, config: dict[str, object], *files: str) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config), "utf-8")
    for name in files:
        (path / name).write_bytes(b"{}")
    return path


def test_a_directory_without_a_whole_and_known_model_is_refused(tmp_path: Path) -> None:
    whole = ("model.safetensors", "tokenizer.json")
    with pytest.raises(UnsupportedModel, match="unknown architecture"):
        check(ModelSpec(str(folder(tmp_path / "a", {"model_type": "foobar"}, *whole))))
    with pytest.raises(ModelUnreadable, match="no weights"):
        check(ModelSpec(str(folder(tmp_path / "b", {"model_type": "llama"}, "tokenizer.json"))))
    with pytest.raises(ModelUnreadable, match="no tokenizer"):
        check(ModelSpec(str(folder(tmp_path / "c", {"model_type": "llama"}, "model.safetensors"))))
    check(ModelSpec(str(folder(tmp_path / "d", {"model_type": "llama"}, *whole))))


def test_a_name_of_nothing_is_refused() -> None:
    with pytest.raises(UnknownModel):
        check(ModelSpec("no-such-model"))


def test_what_the_first_score_of_an_answer_needs_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    info = next(probe.model for one in library.listed() if (probe := library.read(one.name)).model is not None)
    assert info is not None
    standing._read_items.cache_clear()
    opening._warm_scorer(info.model_copy(update={"fingerprint": "0" * 64}))
    assert standing._read_items.cache_info().currsize == 0
    opening._warm_scorer(info)
    assert standing._read_items.cache_info().currsize == 1
