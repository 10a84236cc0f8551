"""From a name to a loaded model; whatever is wrong with the files, one of our errors and no half model."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import normalizers
from transformers import AutoConfig, AutoModelForImageTextToText

from backend.errors import ModelTooLarge, ModelUnreadable, UnsupportedModel
from backend.forward import prompting
from backend.models import devices, gguf, loading
from backend.models.loaded import LoadedModel
from backend.models.registry import TABLE
from backend.types import Asked
from tests.plain import FLOAT32, Plain, relative_gap
from tests.tiny import CONTEXT, D_MLP, D_MODEL, FAMILIES, LAYERS, make_tiny, make_tokenizer
from tests.tiny_gguf import make_gguf

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_every_family_is_loaded_as_it_is(
    family: str, tiny_folder: Callable[[str], Path], untouched: Callable[[str], Plain]
) -> None:
    model = loading.load(str(tiny_folder(family)), device="cpu")
    assert (model.info.family, model.info.widths, model.info.d_model) == (family, (D_MLP,) * LAYERS, D_MODEL)
    assert (model.info.device, model.info.dtype, model.info.context) == ("cpu", "float32", CONTEXT)
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(model.plain(ids).logits, untouched(family).model(ids).logits)
    assert not any(weight.requires_grad for weight in model.plain.parameters())


def test_the_number_format_that_is_asked_for_is_the_one_that_is_loaded(folder: Path) -> None:
    full, half = loading.load(str(folder)), loading.load(str(folder), dtype="bfloat16")
    assert half.plain.dtype == torch.bfloat16
    assert half.info.dtype == "bfloat16"
    assert half.info.fingerprint != full.info.fingerprint


def test_a_gguf_file_answers_as_the_folder_it_was_made_from(
    tiny_folder: Callable[[str], Path], tmp_path: Path, untouched: Callable[[str], Plain]
) -> None:
    model = loading.load(str(make_gguf(tiny_folder("llama"), tmp_path / "tiny.gguf")))
    ids = torch.tensor([[5, 6, 7, 8]])
    assert model.info.name == "tiny"
    assert relative_gap(model.plain(ids).logits.detach(), untouched("llama").logits(ids)) <= FLOAT32


def test_progress_rises_to_the_end(folder: Path) -> None:
    heard: list[float] = []
    loading.load(str(folder), progress=lambda _stage, fraction: heard.append(fraction))
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_a_tokenizer_without_padding_pads_with_its_end(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    del settings["pad_token"]
    path.write_text(json.dumps(settings), "utf-8")
    tokenizer = loading.load(str(folder)).tokenizer
    assert tokenizer.pad_token == tokenizer.eos_token


def test_weights_that_the_files_lack_are_not_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnreadable) as refused:
        loading.load(str(folder))
    assert "model.layers.1.mlp.down_proj.weight" in refused.value.why


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b""), ("model.safetensors", b"\xff" * 64), ("tokenizer.json", b"{"),
     ("tokenizer.json", b"{}"), ("tokenizer_config.json", b"[")],
)  # fmt: skip
def test_a_damaged_file_is_unreadable_and_never_a_traceback(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ModelUnreadable):
        loading.load(str(folder))


def test_weights_cut_in_half_are_unreadable(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnreadable):
        loading.load(str(folder))


@pytest.mark.parametrize("value", [-1, "many", None])
def test_a_configuration_with_impossible_values_is_unreadable(folder: Path, value: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"num_attention_heads": value}), "utf-8")
    with pytest.raises(ModelUnreadable):
        loading.load(str(folder))


def test_what_cannot_fit_is_refused_before_a_weight_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_container_free_bytes", lambda: [1000])
    monkeypatch.setattr(loading, "_read_weights", lambda *_arguments: pytest.fail("weights were read"))
    with pytest.raises(ModelTooLarge):
        loading.load(str(folder))


def test_a_gguf_file_that_cannot_fit_is_refused_before_it_is_converted(
    tiny_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_gguf(tiny_folder("llama"), tmp_path / "tiny.gguf")
    monkeypatch.setattr(devices, "_container_free_bytes", lambda: [1000])
    monkeypatch.setattr(gguf, "convert", lambda *_arguments: pytest.fail("it was converted"))
    with pytest.raises(ModelTooLarge):
        loading.load(str(file))


def test_code_that_comes_with_a_model_never_runs(folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "it-ran"
    (folder / "code.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    path = folder / "config.json"
    auto = {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M", "AutoTokenizer": ["code.T", None]}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"auto_map": auto}), "utf-8")
    loading.load(str(folder))
    assert not witness.exists()
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"model_type": "my_own"}), "utf-8")
    with pytest.raises(UnsupportedModel):
        loading.load(str(folder))
    assert not witness.exists()


def test_an_architecture_that_cannot_be_taken_apart_is_unsupported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: Any, **_named: Any) -> LoadedModel:
        raise ValueError("Could not determine supported architecture from config.")

    monkeypatch.setattr(loading, "wrap", unknown)
    with pytest.raises(UnsupportedModel) as refused:
        loading.load(str(folder))
    assert "LlamaForCausalLM" in refused.value.why


TEXT: dict[str, Any] = {"num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}  # fmt: skip
EYES: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "patch_size": 14, "image_size": 28}  # fmt: skip
WITH_EYES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "gemma3": ({}, {"vision_use_head": False}, True),
    "mistral3": (
        {"model_type": "mistral", "tie_word_embeddings": False},
        {"model_type": "pixtral", "head_dim": 16},
        False,
    ),
    "smolvlm": ({"model_type": "llama"}, {}, False),
    "idefics3": ({"model_type": "llama"}, {}, False),
    "llava": ({"model_type": "llama"}, {"model_type": "clip_vision_model"}, False),
    "aya_vision": ({"model_type": "llama"}, {"model_type": "siglip_vision_model"}, True),
    "internvl": ({"model_type": "qwen2"}, {"image_size": [28, 28], "patch_size": [14, 14]}, False),
}


@pytest.mark.parametrize("family", WITH_EYES)
def test_of_a_model_with_a_vision_tower_only_the_language_model_is_loaded_and_nothing_is_installed(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TransformerLens runs pip for a whole one: a door that must stay shut."""
    tokenizer = make_tokenizer()
    text, eyes, tied = WITH_EYES[family]
    config = AutoConfig.for_model(
        family,
        text_config=TEXT | {"vocab_size": len(tokenizer)} | text,
        vision_config=EYES | eyes,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = AutoModelForImageTextToText.from_config(config).eval()
    folder = tmp_path / f"whole-{family}"
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    asked: list[Any] = []
    for name in ("check_call", "call", "run", "Popen", "check_output"):
        monkeypatch.setattr(subprocess, name, lambda *command, **_settings: asked.append(command))
    monkeypatch.setattr(os, "system", asked.append)

    model = loading.load(str(folder))

    assert asked == []
    assert model.info.widths == (48, 48, 48)
    assert not any("vision" in name for name, _ in model.plain.named_parameters())
    ids = torch.tensor([[5, 6, 7]])
    want = whole(input_ids=ids).logits
    assert torch.equal(model.plain(ids).logits, want)
    assert relative_gap(model.bridge(ids).detach(), want.detach()) <= FLOAT32


def test_every_row_is_listed_with_what_it_needs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda _device: 8 * 10**9)
    listed = {choice.name: choice for choice in loading.choices()}
    assert len(listed) == len(TABLE)
    assert all(choice.fits == (choice.needs <= 8 * 10**9) for choice in listed.values())
    assert listed["SmolLM2-135M-Instruct"].fits
    assert not listed["Llama-3.3-70B-Instruct"].fits


@pytest.mark.model
def test_the_model_that_ships_is_what_the_table_says(smol: LoadedModel) -> None:
    assert smol.info.widths == (1536,) * 30
    assert (smol.info.d_model, smol.info.n_vocab, smol.info.context) == (576, 49152, 8192)
    assert smol.info.parameters == 134_515_008
    assert smol.tokenizer.eos_token == "<|im_end|>"
    assert smol.tokenizer.eos_token_id in smol.ends


def test_a_tokenizer_that_its_library_cannot_go_on_from_is_refused_in_words(tmp_path: Path) -> None:
    """What Rust raises then is no `Exception`: whoever loads would end with it, and the model be loading for ever."""
    folder = make_tiny("llama", tmp_path)
    file = folder / "tokenizer.json"
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": []}
    told = {**json.loads(file.read_text()), "post_processor": {**template, "special_tokens": {}}}
    file.write_text(json.dumps(told))
    with pytest.raises(
        ModelUnreadable, match=r"tokenizer of .* cannot be used: it fails at plain text; fetch its files"
    ):
        loading.load(str(folder))


def test_one_that_breaks_at_a_text_is_told_there_and_the_next_text_is_read(folder: Path) -> None:
    model = loading.load(str(folder))
    # A table of characters whose entries lead out of it.
    table = struct.pack("<9I", 32, *[2**31 - 1] * 8)
    core = model.tokenizer.backend_tokenizer
    core.normalizer = normalizers.Precompiled(table)
    with pytest.raises(ModelUnreadable, match=r"tokenizer cannot be used: the parts of its files contradict"):
        prompting.encode(model, Asked(prompt="Who?"))
    core.normalizer = None
    assert len(prompting.encode(model, Asked(prompt="Who?")))
