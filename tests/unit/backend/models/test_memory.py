"""Memory is worked out before loading, and what cannot fit is refused with what would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from transformers import AutoConfig

from backend.errors import ModelTooLarge
from backend.models import memory
from backend.models.registry import TABLE, find
from backend.types.numbers import byte_size
from tests.tiny import FAMILIES


def _needs(name: str, dtype: str) -> memory.MemoryEstimate:
    row = find(name)
    assert row is not None
    return memory.estimate(memory.row_shape(row), dtype)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_counted_without_memory_are_those_of_the_files(
    family: str, tiny_folder: Callable[[str], Path]
) -> None:
    folder = tiny_folder(family)
    stored = load_file(folder / "model.safetensors")
    assert memory.count_parameters(AutoConfig.from_pretrained(folder)) == sum(w.size for w in stored.values())


def test_a_nested_text_configuration_is_found() -> None:
    text = {"num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 300}  # fmt: skip
    whole, alone = AutoConfig.for_model("gemma3", text_config=text), AutoConfig.for_model("gemma3_text", **text)
    assert memory.shape_of(whole, 1) == memory.shape_of(alone, 1)
    assert memory.count_parameters(whole) == memory.count_parameters(alone)


def test_weights_and_cache_halve_with_the_format_and_the_cache_grows_with_the_work() -> None:
    full, half = _needs("Qwen3-4B", "float32"), _needs("Qwen3-4B", "bfloat16")
    assert half.weights == pytest.approx(full.weights / 2, rel=1e-6)
    assert half.kv_cache * 2 == full.kv_cache
    row = find("Qwen3-4B")
    assert row is not None
    twice = memory.estimate(memory.row_shape(row), "float32", tokens=2 * memory.TOKENS)
    assert (twice.weights, twice.kv_cache) == (full.weights, 2 * full.kv_cache)
    assert twice.capture > full.capture


def test_what_fits_to_the_last_byte_passes_and_one_byte_less_does_not() -> None:
    needs = _needs("GPT-2", "float32")
    memory.check_fits("GPT-2", needs, "cpu", free=needs.total)
    with pytest.raises(ModelTooLarge):
        memory.check_fits("GPT-2", needs, "cpu", free=needs.total - 1)


def test_the_refusal_names_the_figures_and_the_largest_model_that_would_fit() -> None:
    needs = _needs("Llama-3.3-70B-Instruct", "float32")
    with pytest.raises(ModelTooLarge) as refused:
        memory.check_fits("Llama-3.3-70B-Instruct", needs, "cpu", free=8 * 10**9)
    fitting = [row for row in TABLE if memory.estimate(memory.row_shape(row), "float32").total <= 8 * 10**9]
    assert max(fitting, key=lambda row: row.parameters).name in refused.value.instead
    assert byte_size(needs.total) in refused.value.why
    assert "8.0 GB are free on cpu" in refused.value.why


def test_a_smaller_format_of_the_same_model_is_offered_first_where_it_fits() -> None:
    full, half = _needs("Qwen3-4B", "float32"), _needs("Qwen3-4B", "bfloat16")
    with pytest.raises(ModelTooLarge) as refused:
        memory.check_fits("Qwen3-4B", full, "cpu", free=half.total, half=half)
    assert "bfloat16" in refused.value.instead
    with pytest.raises(ModelTooLarge) as still:
        memory.check_fits("Qwen3-4B", full, "cpu", free=half.total - 1, half=half)
    assert "bfloat16" not in still.value.instead


def test_where_nothing_fits_no_model_is_named() -> None:
    with pytest.raises(ModelTooLarge) as refused:
        memory.check_fits("GPT-2", _needs("GPT-2", "float32"), "cpu", free=1)
    assert not any(row.name in refused.value.instead for row in TABLE)
