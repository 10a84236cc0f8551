"""A loaded model says what Transformers says: three trees, one set of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from backend.errors import UnsupportedModel
from backend.models.loaded import LoadedModel, wrap
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import CONTEXT, D_MLP, D_MODEL, FAMILIES, LAYERS, make_tiny, make_tokenizer

BRIDGE_TOLERANCE = FLOAT32


@pytest.mark.parametrize("family", FAMILIES)
def test_bridge_and_plain_tree_say_what_an_untouched_model_says(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Nothing is folded, centred or copied wrongly on the way in."""
    model, ids = tiny(family), some_ids(2, 24)
    expected = untouched(family).logits(ids)
    with torch.inference_mode():
        assert torch.equal(model.plain(ids).logits, expected)
        gap = relative_gap(model.bridge(ids), expected)
    assert gap <= BRIDGE_TOLERANCE, f"largest difference {gap:.1e}"


def test_a_model_with_a_vision_tower_is_refused_before_the_bridge_sees_it() -> None:
    """The bridge would install packages of the tower by itself."""
    whole: Any = SimpleNamespace(config=AutoConfig.for_model("gemma3"))
    tokenizer: Any = None
    with pytest.raises(UnsupportedModel, match="more than a language model"):
        wrap(whole, tokenizer, name="g", source="g", fingerprint="f", device="cpu", dtype="float32")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tolerance_tells_two_models_apart(family: str, tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    """Guard of the test above: another seed's model is thousands of tolerances away."""
    ids = some_ids(2, 24)
    other = Plain(make_tiny(family, tmp_path, seed=1), family).logits(ids)
    with torch.inference_mode():
        assert relative_gap(tiny(family).bridge(ids), other) > 1000 * BRIDGE_TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_both_trees_hold_the_very_same_weights(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    """A second copy would double the memory, and could drift. (The bridge holds fused QKV apart besides.)"""
    model = tiny(family)
    bridge = {parameter.data_ptr() for parameter in model.bridge.parameters()}
    assert {parameter.data_ptr() for parameter in model.plain.parameters()} <= bridge
    for out, bridged in zip(model.outs, model.bridge_outs, strict=True):
        assert out.weight is bridged.original_component.weight
        assert out is not bridged.original_component


@pytest.mark.parametrize("family", FAMILIES)
def test_output_directions_are_one_row_a_neuron(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Linear and Conv1D keep the weight in opposite orientations; a norm over the wrong axis is another number."""
    model, plain = tiny(family), untouched(family)
    for layer in range(LAYERS):
        expected = plain.directions(layer)
        assert expected.shape == (D_MLP, D_MODEL)
        assert relative_gap(model.w_out(layer), expected) == 0
        lengths = (expected.astype("float64") ** 2).sum(1) ** 0.5
        assert relative_gap(model.w_norms[layer], lengths) <= FLOAT32


@pytest.mark.parametrize("family", FAMILIES)
def test_info_tells_what_the_model_is(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    info, plain = tiny(family).info, untouched(family)
    assert (info.family, info.n_layers, info.d_model) == (family, LAYERS, D_MODEL)
    assert (info.widths, info.n_neurons) == ((D_MLP,) * LAYERS, LAYERS * D_MLP)
    assert info.context == CONTEXT
    assert info.n_vocab == plain.logits([[5]]).shape[-1]
    assert info.parameters == sum(parameter.numel() for parameter in plain.model.parameters())
    assert info.versions["transformers"] == transformers.__version__


@pytest.mark.parametrize("family", FAMILIES)
def test_the_end_of_turn_ends_an_answer(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny(family)
    assert model.tokenizer.eos_token_id in model.ends
    assert model.tokenizer.bos_token_id not in model.ends


def test_several_end_tokens_of_a_generation_config_all_end_an_answer(tiny_folder: Callable[[str], Path]) -> None:
    """Instruct models name the end of a turn beside the end of a text; stopping at one alone runs on."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder("llama"))
    hf_model = AutoModelForCausalLM.from_pretrained(tiny_folder("llama"), dtype=torch.float32)
    hf_model.generation_config.eos_token_id = [7, 9]
    named = {"name": "two-ends", "fingerprint": "e" * 64, "device": "cpu", "dtype": "float32"}
    model = wrap(hf_model, tokenizer, source=str(tiny_folder("llama")), **named)
    assert {7, 9, tokenizer.eos_token_id} <= model.ends


def test_routed_experts_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Their neurons have no name yet: a figure for them would be of something else."""
    config = AutoConfig.for_model(
        "mixtral", vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=4, max_position_embeddings=CONTEXT,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    hf_model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    named = {"name": "experts", "fingerprint": "e" * 64, "device": "cpu", "dtype": "float32"}
    with pytest.raises(UnsupportedModel, match=r"layer 0 .*mixture-of-experts.*choose a dense model"):
        wrap(hf_model, AutoTokenizer.from_pretrained(tmp_path), source=str(tmp_path), **named)
