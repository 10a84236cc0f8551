"""Files and configuration must describe one model: neither is believed alone, and what does not fit is named."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from backend.errors import ModelError, ModelTooLarge, ModelUnreadable, UnsupportedModel
from backend.forward.prompting import encode
from backend.models import devices, folders, loading, memory, weights
from backend.types import Asked
from tests.tiny import CHAT_TEMPLATE, LAYERS, make_tiny, make_tokenizer

pytestmark = pytest.mark.usefixtures("home")


def put(folder: Path, name: str = "config.json", /, **values: Any) -> None:
    path = folder / name
    held = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(held | values), "utf-8")


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    held = load_file(folder / "model.safetensors")
    edit(held)
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = loading.load(str(folder)).plain(torch.tensor([[5, 6, 7]])).logits
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma3_text"])
@pytest.mark.parametrize("says", [LAYERS - 1, LAYERS + 1])
def test_a_configuration_with_another_number_of_layers_than_the_files_is_refused(
    family: str, says: int, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """With fewer it would load as another model, without a word."""
    folder = Path(shutil.copytree(tiny_folder(family), tmp_path / "model"))
    kinds: dict[str, Any] = {"layer_types": ["full_attention"] * says} if family == "gemma3_text" else {}
    put(folder, "config.json", **{"n_layer" if family == "gpt2" else "num_hidden_layers": says}, **kinds)
    with pytest.raises(ModelUnreadable, match=rf"says {says} layers and (they|its files) hold {LAYERS}"):
        loading.load(str(folder))


def test_a_configuration_that_lies_about_its_size_is_refused_before_it_is_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "skeleton", lambda _config: pytest.fail("it was built"))
    started = time.monotonic()
    put(folder, num_hidden_layers=10**9)
    with pytest.raises(UnsupportedModel, match="1,000,000,000"):
        loading.load(str(folder))
    put(folder, num_hidden_layers=900, intermediate_size=10**9)
    with pytest.raises(ModelTooLarge):
        loading.load(str(folder))
    assert time.monotonic() - started < 5


def test_memory_is_worked_out_from_the_larger_of_configuration_and_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loading.describe(folder).shape
    put(folder, num_hidden_layers=200)
    claimed = loading.describe(folder).shape
    assert claimed.parameters > 30 * real.parameters
    room = memory.estimate(real, "float32").total + 10**6
    monkeypatch.setattr(devices, "free_bytes", lambda _device: room)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: room)
    monkeypatch.setattr(loading, "_read_weights", lambda *_arguments: pytest.fail("weights were read"))
    with pytest.raises(ModelTooLarge):
        loading.load(str(folder))
    put(folder, num_hidden_layers=1)
    assert loading.describe(folder).shape.parameters == real.parameters


@pytest.mark.parametrize(
    ("name", "value"), [("hidden_size", 64), ("intermediate_size", 96), ("vocab_size", 400), ("head_dim", 16)]
)
def test_a_width_that_is_not_that_of_the_files_is_named_with_both(folder: Path, name: str, value: int) -> None:
    put(folder, "config.json", **{name: value})
    with pytest.raises(ModelUnreadable, match=r"is \d+( x \d+)? in its files and \d+( x \d+)? by its config.json"):
        loading.load(str(folder))


@pytest.mark.parametrize(
    "name", ["model.layers.1.self_attn.q_proj.bias", "model.layers.0.extra.weight", "model.embed_tokens.bias"]
)
def test_a_weight_inside_the_network_without_a_place_is_refused(folder: Path, name: str) -> None:
    change(folder, lambda held: held.update({name: torch.ones(32)}))
    with pytest.raises(ModelUnreadable, match=f"no place for.*{name}"):
        loading.load(str(folder))


@pytest.mark.parametrize("name", ["score.weight", "v_head.summary.weight", "model.vision_tower.patch.weight"])
def test_a_weight_beside_the_network_is_named(folder: Path, name: str) -> None:
    change(folder, lambda held: held.update({name: torch.ones(1, 32)}))
    (note,) = loading.load(str(folder)).info.notes
    assert name in note


@pytest.mark.parametrize(
    ("family", "name", "shape"),
    [
        ("llama", "model.layers.1.self_attn.rotary_emb.inv_freq", (4,)),
        ("llama", "model.layers.1.self_attn.k_scale", ()),
        ("gpt2", "transformer.h.1.attn.bias", (1, 1, 8, 8)),
        ("gpt2", "h.1.attn.masked_bias", ()),
        ("gpt_neox", "gpt_neox.layers.1.attention.bias", (1, 1, 8, 8)),
        ("gpt_neox", "gpt_neox.layers.1.attention.masked_bias", ()),
    ],
)
def test_buffers_that_old_files_keep_do_no_harm(
    family: str, name: str, shape: tuple[int, ...], tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder(family), tmp_path / "model"))
    before = logits(folder)
    change(folder, lambda held: held.update({name: torch.ones(shape)}))
    assert loading.load(str(folder)).info.notes == ()
    assert torch.equal(logits(folder), before)


def test_files_without_the_prefix_of_the_network_are_read_as_with_it(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """As the first files of GPT-2 are."""
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "model"))
    before = logits(folder)
    short = {name.removeprefix("transformer."): held for name, held in load_file(folder / "model.safetensors").items()}
    save_file(short, folder / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(logits(folder), before)
    put(folder, n_layer=2)
    with pytest.raises(ModelUnreadable, match="says 2 layers and they hold 3"):
        loading.load(str(folder))


def test_a_head_of_its_own_is_used_even_where_the_configuration_says_that_there_is_none(folder: Path) -> None:
    before = logits(folder)
    put(folder, tie_word_embeddings=True)
    assert torch.equal(logits(folder), before)
    change(folder, lambda held: held.pop("lm_head.weight"))
    assert not torch.equal(logits(folder), before)
    put(folder, tie_word_embeddings=False)
    with pytest.raises(ModelUnreadable, match="lm_head.weight"):
        loading.load(str(folder))


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.uint8])
def test_packed_weights_are_refused_though_no_configuration_tells(folder: Path, dtype: torch.dtype) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    change(folder, lambda held: held.update({name: held[name].to(dtype)}))
    with pytest.raises(UnsupportedModel, match=name):
        loading.load(str(folder))


@pytest.mark.parametrize("kept", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("run", ["float32", "bfloat16"])
def test_whatever_format_the_files_keep_the_one_that_is_asked_for_is_computed_in(
    folder: Path, kept: torch.dtype, run: str
) -> None:
    change(folder, lambda held: held.update({name: weight.to(kept) for name, weight in held.items()}))
    model = loading.load(str(folder), dtype=run)
    assert {weight.dtype for weight in model.plain.parameters()} == {getattr(torch, run)}


def shards(folder: Path, second: Callable[[str], bool]) -> dict[str, str]:
    held = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = [f"model-0000{place}-of-00002.safetensors" for place in (1, 2)]
    for place, file in enumerate(files):
        part = {name: weight for name, weight in held.items() if second(name) == bool(place)}
        save_file(part, folder / file, metadata={"format": "pt"})
    index = {name: files[second(name)] for name in held}
    write_index(folder, index)
    return index


def write_index(folder: Path, index: dict[str, str]) -> None:
    (folder / folders.WEIGHTS_INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}), "utf-8")


def test_shards_are_read_as_one_file_and_what_the_index_does_not_name_is_not_counted(folder: Path) -> None:
    before, whole = logits(folder), loading.describe(folder).shape
    shards(folder, lambda name: "layers.2" in name)
    save_file({"model.layers.9.x": torch.ones(9, 9)}, folder / "other.safetensors", metadata={"format": "pt"})
    assert torch.equal(logits(folder), before)
    assert loading.describe(folder).shape == whole


def test_an_index_that_lies_about_its_files_is_refused(folder: Path) -> None:
    index = shards(folder, lambda name: "layers.2" in name)
    name = "model.layers.0.mlp.up_proj.weight"
    write_index(folder, index | {name: index["model.layers.2.mlp.up_proj.weight"]})
    with pytest.raises(ModelUnreadable, match=f"names {name} in model-00002"):
        loading.load(str(folder))
    write_index(folder, index)
    second = folder / "model-00002-of-00002.safetensors"
    save_file(load_file(second) | {name: torch.ones(48, 32)}, second, metadata={"format": "pt"})
    with pytest.raises(ModelUnreadable, match=f"{name} is in two of its files"):
        loading.load(str(folder))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
             "model.safetensors", "vocab.txt"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_what_never_ends_is_not_read(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink(missing_ok=True)
    if kind == "device":
        (folder / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(folder / name)
    with pytest.raises(ModelUnreadable, match="device"):
        loading.load(str(folder))


def test_a_file_that_no_tokenizer_has_the_size_of_is_not_read(folder: Path) -> None:
    with (folder / "tokenizer_config.json").open("ab") as stream:
        stream.truncate(folders.MAX_TEXT + 1)
    with pytest.raises(ModelUnreadable, match="at most"):
        loading.load(str(folder))


def test_links_to_files_elsewhere_are_read_as_the_hubs_cache_has_them(folder: Path, tmp_path: Path) -> None:
    before = logits(folder)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for path in list(folder.iterdir()):
        (folder / path.name).rename(blobs / path.name)
        (folder / path.name).symlink_to(blobs / path.name)
    assert torch.equal(logits(folder), before)


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer.json", "[]"), ("tokenizer_config.json", "[]"), ("generation_config.json", "[1]"),
     ("special_tokens_map.json", "7"), ("generation_config.json", "{"), ("added_tokens.json", "null")],
)  # fmt: skip
def test_a_file_that_is_no_object_is_named(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(ModelUnreadable, match=f"its {name} (is not a JSON object|breaks off in line 1)"):
        loading.load(str(folder))


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_beside_a_model_is_not_left_out_without_a_word(folder: Path, name: str) -> None:
    (folder / name).write_text("{}", "utf-8")
    with pytest.raises(UnsupportedModel, match=f"what {name} changes in the weights is not applied"):
        loading.load(str(folder))


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    put(folder, vocab_size=250)
    change(folder, lambda held: held.update({n: w[:250].clone() for n, w in held.items() if w.shape[0] == 300}))
    with pytest.raises(ModelUnreadable, match="50 of its tokens lie beyond the 250"):
        loading.load(str(folder))


def test_an_added_token_beyond_the_embedding_harms_nobody_who_does_not_type_it(folder: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<|padding|>"})
    assert tokenizer.pad_token_id == 300
    tokenizer.save_pretrained(folder)
    model = loading.load(str(folder))
    assert model.tokenizer.pad_token_id == model.tokenizer.eos_token_id
    assert encode(model, Asked(prompt="Hi"))


@pytest.mark.parametrize("place", ["config.json", "generation_config.json"])
@pytest.mark.parametrize(("ends", "left"), [([1, 5000], {1}), (5000, {1}), ([-3, 1], {1})])
def test_an_end_that_no_answer_can_reach_is_dropped_with_a_word(
    folder: Path, place: str, ends: Any, left: set[int]
) -> None:
    put(folder, place, eos_token_id=ends)
    model = loading.load(str(folder))
    assert model.ends == left
    assert any("should end an answer is none of the model's 300" in note for note in model.info.notes)


def test_settings_of_generation_that_are_not_applied_are_told_and_neutral_ones_are_not(folder: Path) -> None:
    put(
        folder,
        "generation_config.json",
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        temperature=0.6,
        do_sample=True,
    )
    assert loading.load(str(folder)).info.notes == ()
    put(folder, "generation_config.json", repetition_penalty=1.3, suppress_tokens=[7, 8], min_length=4)
    (note,) = loading.load(str(folder)).info.notes
    assert "repetition_penalty 1.3, suppress_tokens [7, 8], min_length 4: not applied here" in note


def test_a_template_in_a_file_of_its_own_is_used_and_one_that_is_no_text_is_refused(folder: Path) -> None:
    before = encode(loading.load(str(folder)), Asked(prompt="Who?"))
    (folder / "chat_template.jinja").unlink()
    assert loading.load(str(folder)).tokenizer.chat_template is None
    put(folder, "chat_template.json", chat_template=CHAT_TEMPLATE)
    assert encode(loading.load(str(folder)), Asked(prompt="Who?")) == before
    put(folder, "chat_template.json", chat_template=[1])
    with pytest.raises(ModelUnreadable, match="chat template is no text"):
        loading.load(str(folder))
    (folder / "chat_template.json").unlink()
    put(folder, "tokenizer_config.json", chat_template=[{"name": "default", "template": CHAT_TEMPLATE}])
    assert encode(loading.load(str(folder)), Asked(prompt="Who?")) == before
    put(folder, "tokenizer_config.json", chat_template=None)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "default.jinja").write_text(CHAT_TEMPLATE, "utf-8")
    assert encode(loading.load(str(folder)), Asked(prompt="Who?")) == before


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "mamba": ({"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}, "of another kind than a transformer"),
    "rwkv": ({"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}, "of another kind"),
    "bert": ({"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
             "reads forwards and backwards"),
    "mixtral": ({"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "intermediate_size": 48, "num_local_experts": 2}, "mixture-of-experts"),
    # Its class says that its context is -1, which means that there is no limit.
    "xlnet": ({"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
              "TransformerLens does not know this form of XLNetLMHeadModel"),
    "biogpt": ({"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
               "TransformerLens does not know this form of BioGptForCausalLM"),
    "blenderbot": ({"d_model": 32, "decoder_layers": 2, "encoder_layers": 1, "decoder_attention_heads": 4,
                    "decoder_ffn_dim": 48, "encoder_attention_heads": 4, "encoder_ffn_dim": 48},
                   "TransformerLens does not know this form of BlenderbotForCausalLM"),
}  # fmt: skip


@pytest.mark.parametrize("family", OTHERS)
def test_a_family_beyond_this_programs_reach_is_its_limit_and_no_damage(family: str, tmp_path: Path) -> None:
    settings, says = OTHERS[family]
    config = AutoConfig.for_model(family, vocab_size=300, **settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / family)
    make_tokenizer().save_pretrained(tmp_path / family)
    with pytest.raises(UnsupportedModel) as refused:
        loading.load(str(tmp_path / family))
    assert says in refused.value.why
    assert "fetch" not in refused.value.instead


def test_parts_that_lie_otherwise_than_they_are_followed_are_a_limit_and_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follows_none(*_: Any, **__: Any) -> None:
        raise AttributeError("'Block' object has no attribute 'mlp'")

    monkeypatch.setattr(loading, "wrap", follows_none)
    with pytest.raises(UnsupportedModel, match="parts of LlamaForCausalLM are not laid out as this program follows"):
        loading.load(str(folder))


REACHED: dict[str, dict[str, Any]] = {
    "gemma2": {"head_dim": 8},
    "qwen2": {},
    "olmo2": {},
    "starcoder2": {},
    "stablelm": {},
    "granite": {},
    "smollm3": {},
    "phi": {"num_key_value_heads": 4},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {},
}


@pytest.mark.parametrize("family", REACHED)
def test_a_family_within_reach_is_loaded_with_the_logits_of_transformers(family: str, tmp_path: Path) -> None:
    common = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
              "num_hidden_layers": 2, "n_layer": 2, "n_head": 4, "max_position_embeddings": 64}  # fmt: skip
    ids = {"vocab_size": 300, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1}
    config = AutoConfig.for_model(family, **(common | ids | REACHED[family]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    whole.save_pretrained(tmp_path / family)
    make_tokenizer().save_pretrained(tmp_path / family)
    with torch.no_grad():
        assert torch.equal(logits(tmp_path / family), whole(torch.tensor([[5, 6, 7]])).logits)


@pytest.mark.parametrize("place", ["", "model.", "language_model.model.", "model.text_model.", "a.b.c."])
def test_the_language_model_is_found_wherever_it_lies_in_the_files(
    place: str, tiny_folder: Callable[[str], Path]
) -> None:
    skeleton = memory.skeleton(AutoConfig.from_pretrained(tiny_folder("llama")))
    own = [name.removeprefix("model.") for name in skeleton.state_dict() if name.startswith("model.")]
    other = [f"vision.tower.layers.{layer}.mlp.down_proj.weight" for layer in range(2)]
    found = weights.key_mapping(
        [*(f"{place}{name}" for name in own), *other, "language_model.lm_head.weight"], skeleton
    )
    renamed = {value for key, value in found.items()}
    assert "lm_head.weight" in renamed
    assert ("model." in renamed) == (place not in ("", "model."))


@pytest.mark.parametrize(("vocabulary", "tied"), [(300, False), (20_000, True), (20_000, False)])
def test_the_estimate_covers_what_the_weights_take(vocabulary: int, tied: bool, tmp_path: Path) -> None:
    config = AutoConfig.for_model(
        "llama", vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    model = loading.load(str(tmp_path / "model"))
    held = sum(one.numel() * one.element_size() for one in {id(p): p for p in model.plain.parameters()}.values())
    held += sum(norm.numel() * norm.element_size() for norm in model.w_norms)
    estimate = memory.estimate(loading.describe(tmp_path / "model").shape, "float32")
    assert held <= estimate.weights
    assert np.isclose(estimate.weights, held, rtol=0.15)


@pytest.mark.parametrize(
    ("file", "name", "value", "says"),
    [
        ("config.json", "text_config", 5, "text_config is 5, and a model of type 'llama' has no such field"),
        ("config.json", "max_position_embeddings", -1, "max_position_embeddings is -1"),
        ("config.json", "hidden_size", 1.5, "hidden_size is 1.5, where a whole number"),
        ("tokenizer_config.json", "model_max_length", "x", "model_max_length is x"),
    ],
)
def test_a_value_that_means_nothing_is_named(folder: Path, file: str, name: str, value: Any, says: str) -> None:
    put(folder, file, **{name: value})
    with pytest.raises(ModelUnreadable, match=says):
        loading.load(str(folder))


@pytest.mark.parametrize("named", [5, [], ["MistralForCausalLM"], ["NoSuchModel"]])
def test_the_class_that_is_loaded_is_taken_apart_whatever_name_the_configuration_gives_it(
    folder: Path, named: Any
) -> None:
    before = logits(folder)
    put(folder, architectures=named)
    assert torch.equal(logits(folder), before)


LORA = "layers.0.mlp.down_proj.lora_A.weight"


@pytest.mark.parametrize("name", [f"model.{LORA}", f"base_model.model.model.{LORA}", "text_model.lora_down.weight"])
@pytest.mark.parametrize("file", ["model.safetensors", "adapters.safetensors"])
def test_weights_of_an_adapter_are_never_left_out_whatever_their_file_is_called(
    folder: Path, name: str, file: str
) -> None:
    held = load_file(folder / file) if (folder / file).exists() else {}
    save_file(held | {name: torch.zeros(2, 48)}, folder / file, metadata={"format": "pt"})
    with pytest.raises(UnsupportedModel, match="an adapter beside it.*answers would be another model's"):
        loading.load(str(folder))


def test_an_adapter_in_a_folder_of_its_own_is_told(folder: Path) -> None:
    (folder / "checkpoint-500").mkdir()
    (folder / "checkpoint-500" / "adapter_config.json").write_text("{}")
    (folder / "consolidated.safetensors").write_text("another copy, whose form is not known here")
    assert loading.load(str(folder)).info.notes == (
        "The adapter in its folder checkpoint-500 is not applied: answers are the bare model's.",
    )


@pytest.mark.parametrize("prefix", ["_orig_mod.", "base_model.model.", "module."])
def test_weights_under_other_names_are_not_told_as_missing(folder: Path, prefix: str) -> None:
    """As torch.compile, PEFT and DataParallel name them."""
    change(folder, lambda held: [held.update({f"{prefix}{name}": held.pop(name)}) for name in list(held)])
    with pytest.raises(ModelUnreadable, match=rf"other names .*{prefix}lm_head.weight instead of lm_head.weight"):
        loading.load(str(folder))


@pytest.mark.parametrize(
    "asked",
    [
        {"output_attentions": True, "output_hidden_states": True},
        {"return_dict": False},
        {"use_cache": False},
        {"attn_implementation": "flash_attention_2"},
        {"attn_implementation": "somebody/some-kernel"},
    ],
)
def test_what_a_configuration_asks_of_the_forward_changes_no_figure(folder: Path, asked: dict[str, Any]) -> None:
    """Nor is a kernel fetched, nor its absence told as damage to the files."""
    before = logits(folder)
    put(folder, **asked)
    assert torch.equal(logits(folder), before)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"hidden_act": "nope"}, 'config.json names "nope" as hidden_act, and no activation of that name is known'),
        (
            {"rope_parameters": {"rope_type": "bogus", "rope_theta": 1e4}},
            'names "bogus" as rope_parameters.rope_type, and no kind of rotary',
        ),
        ({"quantization_config": {}}, "quantised weights"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, r"quantised weights.*\(awq\)"),
    ],
)
def test_what_a_configuration_asks_for_and_is_not_there_is_named(
    folder: Path, asked: dict[str, Any], says: str
) -> None:
    put(folder, **asked)
    with pytest.raises(ModelError, match=says):
        loading.load(str(folder))


def test_a_tokenizer_that_is_a_program_is_not_told_as_damage(folder: Path) -> None:
    own = {"AutoTokenizer": ["tokenization_own.OwnTokenizer", None]}
    put(folder, "tokenizer_config.json", auto_map=own, tokenizer_class="OwnTokenizer")
    with pytest.raises(UnsupportedModel, match="brings code of its own"):
        loading.load(str(folder))


def test_every_refusal_of_a_folder_is_one_sentence(folder: Path) -> None:
    put(folder, num_hidden_layers=2)
    with pytest.raises(ModelError) as refused:
        loading.load(str(folder))
    assert refused.value.sentence.count("; ") == 1


def test_a_model_of_more_layers_than_usual_is_still_read(tmp_path: Path) -> None:
    assert loading.load(str(make_tiny("llama", tmp_path, layers=12))).info.n_layers == 12
