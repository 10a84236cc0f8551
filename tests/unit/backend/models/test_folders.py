"""A folder that cannot be a model is refused before anything is read from it, and the sentence names what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ModelUnreadable, UnsupportedModel
from backend.models import folders


def _set(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def test_a_whole_folder_passes(folder: Path) -> None:
    assert folders.inspect(folder)["model_type"] == "llama"


@pytest.mark.parametrize(
    ("name", "says"),
    [("config.json", "no config.json"), ("model.safetensors", "no weights"), ("tokenizer.json", "no tokenizer")],
)
def test_a_missing_part_is_named(folder: Path, name: str, says: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(folder)
    assert says in refused.value.why


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_configuration_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(folder)
    assert "config.json" in refused.value.why


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_pickled_weights_alone_are_refused_with_the_remedy(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(folder)
    assert name in refused.value.why
    assert "safetensors" in refused.value.instead


def test_pickled_weights_beside_safetensors_do_no_harm(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    folders.inspect(folder)


def test_an_unknown_architecture_is_refused_and_its_own_code_is_named(folder: Path) -> None:
    _set(folder, model_type="my_own", architectures=["MyOwn"], auto_map={"AutoModelForCausalLM": "code.MyOwn"})
    with pytest.raises(UnsupportedModel) as refused:
        folders.inspect(folder)
    assert "my_own" in refused.value.why
    assert "code of its own" in refused.value.why


@pytest.mark.parametrize("kind", ["vit", "t5_encoder_only", None, 7])
def test_what_does_not_continue_text_is_refused(folder: Path, kind: object) -> None:
    _set(folder, model_type=kind)
    with pytest.raises(UnsupportedModel):
        folders.inspect(folder)


def test_quantised_weights_are_refused_by_their_method(folder: Path) -> None:
    _set(folder, quantization_config={"quant_method": "fp8"})
    with pytest.raises(UnsupportedModel) as refused:
        folders.inspect(folder)
    assert "fp8" in refused.value.why


def _shard(folder: Path, names: dict[str, str]) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / folders.WEIGHTS_INDEX).write_text(json.dumps({"weight_map": names}), "utf-8")


def test_a_missing_shard_is_named_and_the_whole_set_passes(folder: Path) -> None:
    _shard(folder, {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"})
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(folder)
    assert "model-00002-of-00002.safetensors" in refused.value.why
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert len(folders.weight_files(folder)) == 2


@pytest.mark.parametrize("name", ["../elsewhere.safetensors", "{outside}", "weights.bin", 3])
def test_an_index_may_not_point_outside_its_folder_or_at_a_pickle(folder: Path, name: Any) -> None:
    outside = folder.parent / "elsewhere.safetensors"
    outside.write_bytes(b"it is there, so only its place can be what is refused")
    (folder / "weights.bin").write_bytes(b"a pickle")
    _shard(folder, {"a": str(outside) if name == "{outside}" else name})
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(folder)
    assert folders.WEIGHTS_INDEX in refused.value.why


def test_a_folder_that_only_holds_a_gguf_file_says_which(tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(tmp_path)
    assert "some.gguf" in refused.value.why


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelUnreadable) as refused:
        folders.inspect(tmp_path)
    assert "adapter" in refused.value.why
