"""The table says what the published configurations say, and finds rows by either name."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig

from backend import bundled
from backend.models.memory import count_parameters, shape_of
from backend.models.registry import DEFAULT, PLANTED, TABLE, find, suggest

LLAMA_8B = {"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256}
LLAMA_70B = {"hidden_size": 8192, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256}
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "SmolLM2-135M-Instruct": ("llama", {"num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True}),
    "SmolLM2-360M-Instruct": ("llama", {"num_hidden_layers": 32, "hidden_size": 960, "intermediate_size": 2560,
        "num_attention_heads": 15, "num_key_value_heads": 5, "vocab_size": 49152, "tie_word_embeddings": True}),
    "SmolLM2-1.7B-Instruct": ("llama", {"num_hidden_layers": 24, "hidden_size": 2048, "intermediate_size": 8192,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 49152, "tie_word_embeddings": True}),
    "GPT-2": ("gpt2", {}),
    "Gemma-3-270M-it": ("gemma3_text", {"num_hidden_layers": 18, "hidden_size": 640, "intermediate_size": 2048,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144}),
    "Qwen3-0.6B": ("qwen3", {"num_hidden_layers": 28, "hidden_size": 1024, "intermediate_size": 3072,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "tie_word_embeddings": True}),
    "Mistral-7B-Instruct-v0.3": ("mistral", {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32768}),
    "Llama-3.1-8B-Instruct": ("llama", {"num_hidden_layers": 32, "intermediate_size": 14336, **LLAMA_8B}),
    "Llama-3.3-70B-Instruct": ("llama", {"num_hidden_layers": 80, "intermediate_size": 28672, **LLAMA_70B}),
    "DeepSeek-R1-Distill-Qwen-1.5B": ("qwen2", {"num_hidden_layers": 28, "hidden_size": 1536,
        "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936}),
}  # fmt: skip


def test_the_row_of_the_planted_model_agrees_with_its_files() -> None:
    row = find(PLANTED)
    assert row is not None
    config = AutoConfig.from_pretrained(bundled.PLANTED)
    shape = shape_of(config, count_parameters(config))
    assert (row.family, row.layers, row.neurons) == (config.model_type, shape.layers, shape.neurons)
    assert (row.d_model, row.vocabulary, row.kv_width) == (shape.d_model, shape.vocabulary, shape.kv_width)
    assert row.parameters == pytest.approx(shape.parameters, abs=500_000)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_row_agrees_with_the_model_built_from_the_published_configuration(name: str) -> None:
    row = find(name)
    assert row is not None
    family, settings = PUBLISHED[name]
    config = AutoConfig.for_model(family, **settings)
    shape = shape_of(config, count_parameters(config))
    assert (row.family, row.layers, row.neurons) == (family, shape.layers, shape.neurons)
    assert (row.d_model, row.vocabulary, row.kv_width) == (shape.d_model, shape.vocabulary, shape.kv_width)
    assert row.parameters == pytest.approx(shape.parameters, abs=500_000)


@pytest.mark.parametrize(
    ("name", "neurons"),
    [
        ("SmolLM2-135M-Instruct", 46_080),
        ("GPT-2", 36_864),
        ("Gemma-3-4B-it", 348_160),
        ("Mistral-7B-Instruct-v0.3", 458_752),
        ("Llama-3.3-70B-Instruct", 2_293_760),
    ],
)
def test_layers_times_neurons_is_the_count_that_is_published(name: str, neurons: int) -> None:
    row = find(name)
    assert row is not None
    assert row.total == neurons


def test_names_and_repositories_are_unique_and_the_default_alone_ships() -> None:
    names = [row.name.lower() for row in TABLE] + [row.repo.lower() for row in TABLE]
    assert len(set(names)) == len(names)
    assert [row.name for row in TABLE if row.source == "package"] == [DEFAULT]
    assert [row.name for row in TABLE if row.source == "bundled"] == [PLANTED]
    assert all(row.licence and row.note and row.context > 0 for row in TABLE)


@pytest.mark.parametrize("name", ["gpt-2", "GPT-2", " openai-community/GPT2 "])
def test_a_row_is_found_by_either_name_whatever_its_case(name: str) -> None:
    row = find(name)
    assert row is not None
    assert row.name == "GPT-2"


def test_what_is_not_in_the_table_is_not_found_but_its_likeness_is_suggested() -> None:
    assert find("SmolLM2-135M-Instrct") is None
    assert suggest("SmolLM2-135M-Instrct")[0] == DEFAULT
    assert suggest("zzzzzzzzzzzz") == ()
