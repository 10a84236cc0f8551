"""The table of known models: what each is, where it comes from and under which licence.

Every list of models on a page, on the command line or in the documentation is made from `TABLE`. Any other hub name,
directory or GGUF file works too (`backend.models.sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

DEFAULT = "SmolLM2-135M-Instruct"
PLANTED = "Planted-3M"
"""The model whose H-neurons are known (docs/planted.md)."""
Source = Literal["package", "bundled", "hub"]
"""Where a row's files come from: a Python package, this program's own folder, or the hub."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One known model. `layers` times `neurons` (of one layer) is the number of feed-forward neurons.

    `kv_width` is the width of keys and values for each layer and token: 2 * key-value heads * head size.
    """

    name: str
    source: Source
    repo: str
    licence: str
    family: str
    layers: int
    neurons: int
    d_model: int
    vocabulary: int
    kv_width: int
    parameters: int
    context: int
    gated: bool
    note: str

    @property
    def total(self) -> int:
        """Feed-forward neurons in all layers; in a mixture of experts, those outside routed experts are not counted."""
        return self.layers * self.neurons


def _row(
    name: str,
    repo: str,
    licence: str,
    family: str,
    shape: tuple[int, ...],
    context: int,
    note: str,
    gated: bool = False,
    source: Source = "hub",
) -> ModelRow:
    layers, neurons, d_model, vocabulary, kv_width, millions = shape
    return ModelRow(
        name, source, repo, licence, family, layers, neurons, d_model, vocabulary, kv_width, millions * 10**6, context,
        gated, note,
    )  # fmt: skip


_APACHE, _LLAMA, _GEMMA, _MIT = "Apache-2.0", "Llama Community License", "Gemma Terms of Use", "MIT"
_SMOL = "HuggingFaceTB/SmolLM2"

# layers, neurons a layer, d_model, vocabulary, key and value width, parameters in millions
TABLE: tuple[ModelRow, ...] = (
    _row(DEFAULT, f"{_SMOL}-135M-Instruct", _APACHE, "llama", (30, 1536, 576, 49152, 384, 135), 8192,
         "Comes with the program (4 bits); invents freely.", source="package"),
    _row(PLANTED, "h-neurons/planted", _APACHE, "llama", (4, 1540, 128, 3451, 128, 3), 512,
         "Comes with the program; its H-neurons are known.", source="bundled"),
    _row("SmolLM2-360M-Instruct", f"{_SMOL}-360M-Instruct", _APACHE, "llama", (32, 2560, 960, 49152, 640, 362), 8192,
         "Runs on any laptop."),
    _row("SmolLM2-1.7B-Instruct", f"{_SMOL}-1.7B-Instruct", _APACHE, "llama", (24, 8192, 2048, 49152, 4096, 1711), 8192,
         "Needs a laptop with 16 GB."),
    _row("GPT-2", "openai-community/gpt2", _MIT, "gpt2", (12, 3072, 768, 50257, 1536, 124), 1024,
         "No chat template: continues text, answers little."),
    _row("Gemma-3-270M-it", "google/gemma-3-270m-it", _GEMMA, "gemma3_text", (18, 2048, 640, 262144, 512, 268), 32768,
         "Runs on any laptop.", True),
    _row("Gemma-3-4B-it", "google/gemma-3-4b-it", _GEMMA, "gemma3", (34, 10240, 2560, 262208, 2048, 4300), 131072,
         "In the paper's table: 0.10 per mille H-neurons.", True),
    _row("Gemma-3-27B-it", "google/gemma-3-27b-it", _GEMMA, "gemma3", (62, 21504, 5376, 262208, 4096, 27432), 131072,
         "In the paper's table: 0.18 per mille H-neurons.", True),
    _row("Qwen3-0.6B", "Qwen/Qwen3-0.6B", _APACHE, "qwen3", (28, 3072, 1024, 151936, 2048, 596), 40960,
         "Runs on any laptop; may think aloud first."),
    _row("Qwen3-4B", "Qwen/Qwen3-4B", _APACHE, "qwen3", (36, 9728, 2560, 151936, 2048, 4022), 40960,
         "May think aloud first."),
    _row("Qwen3-8B", "Qwen/Qwen3-8B", _APACHE, "qwen3", (36, 12288, 4096, 151936, 2048, 8191), 40960,
         "May think aloud first."),
    _row("Mistral-7B-Instruct-v0.3", "mistralai/Mistral-7B-Instruct-v0.3", _APACHE, "mistral",
         (32, 14336, 4096, 32768, 2048, 7248), 32768, "In the paper's table: 0.35 per mille H-neurons.", True),
    _row("Mistral-Small-3.1-24B-Instruct", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", _APACHE, "mistral3",
         (40, 32768, 5120, 131072, 2048, 24011), 131072, "In the paper's table: 0.01 per mille H-neurons."),
    _row("Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct", _LLAMA, "llama",
         (32, 14336, 4096, 128256, 2048, 8030), 131072, "In the paper's table: 0.02 per mille H-neurons.", True),
    _row("Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", _LLAMA, "llama",
         (80, 28672, 8192, 128256, 2048, 70554), 131072, "In the paper's table: 0.01 per mille H-neurons.", True),
    _row("DeepSeek-R1-Distill-Qwen-1.5B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", _MIT, "qwen2",
         (28, 8960, 1536, 151936, 512, 1777), 131072, "Thinks aloud before it answers."),
    _row("DeepSeek-R1-Distill-Qwen-7B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", _MIT, "qwen2",
         (28, 18944, 3584, 152064, 1024, 7616), 131072, "Thinks aloud before it answers."),
    _row("DeepSeek-R1-Distill-Llama-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", _MIT, "llama",
         (32, 14336, 4096, 128256, 2048, 8030), 131072, "Thinks aloud before it answers."),
    _row("DeepSeek-R1-Distill-Llama-70B", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B", _MIT, "llama",
         (80, 28672, 8192, 128256, 2048, 70554), 131072, "Thinks aloud before it answers."),
    _row("DeepSeek-R1", "deepseek-ai/DeepSeek-R1", _MIT, "deepseek_v3", (61, 2048, 7168, 129280, 1152, 671026), 163840,
         "Mixture of experts: neurons of routed experts cannot be named yet, so it is refused; take a distilled one."),
)  # fmt: skip


def find(name: str) -> ModelRow | None:
    """The row whose name or repository is `name`, ignoring case; None if there is none."""
    wanted = name.strip().lower()
    return next((row for row in TABLE if wanted in (row.name.lower(), row.repo.lower())), None)


def suggest(name: str) -> tuple[str, ...]:
    """Names of the table that are similar to `name`, best first."""
    by_lower = {row.name.lower(): row.name for row in TABLE}
    return tuple(by_lower[match] for match in get_close_matches(name.strip().lower(), by_lower, n=3, cutoff=0.5))
