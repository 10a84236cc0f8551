"""Tiny random models on disk: real directories that Transformers loads, made in a moment.

Owns `make_tiny` and the byte-level tokenizer the models share. Every weight is seeded, so the same
family and seed give the same model each time. Nothing here is meant to answer sensibly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

FAMILIES = ("llama", "mistral", "gemma3_text", "qwen3", "phi3", "gpt2", "gpt_neox")
LAYERS, D_MODEL, D_MLP, CONTEXT = 3, 32, 48, 128
SEAM = 24
"""Length beyond which `phi3_longrope` reads with its other rotary factors."""
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    # The MLP's output is added to in place.
    "falcon": ("falcon", {"parallel_attn": True, "new_decoder_architecture": False, "ffn_hidden_size": D_MLP}),
    # TransformerLens leaves out ALiBi here.
    "falcon_alibi": ("falcon", {"alibi": True, "parallel_attn": True, "ffn_hidden_size": D_MLP}),
    # Tokens of a batch in one line before the MLP; the second form TransformerLens cannot run.
    "opt": ("opt", {"ffn_dim": D_MLP, "word_embed_proj_dim": D_MODEL}),
    "opt_after": ("opt", {"ffn_dim": D_MLP, "word_embed_proj_dim": D_MODEL, "do_layer_norm_before": False}),
    # Rotary factors that change with the length of the batch.
    "phi3_longrope": (
        "phi3",
        {
            "original_max_position_embeddings": SEAM,
            "rope_parameters": {
                "rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 1.0, "factor": 4.0,
                "original_max_position_embeddings": SEAM, "short_factor": [1.0] * 4, "long_factor": [4.0, 6, 8, 9],
            },
        },
    ),
    # Layers with a recurrent state, whose cache cannot be copied by row, or not go on with several tokens.
    "lfm2": ("lfm2", {"block_auto_adjust_ff_dim": False, "layer_types": ["conv", "full_attention", "conv"]}),
    "falcon_h1": (
        "falcon_h1",
        {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8},
    ),
    "jamba": (
        "jamba",
        {
            "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 1, "num_experts_per_tok": 1,
            "mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False,
        },
    ),
    "bloom": ("bloom", {"n_head": 4}),
    "mpt": ("mpt", {"d_model": D_MODEL, "n_heads": 4, "n_layers": LAYERS, "max_seq_len": CONTEXT}),
    "gptj": ("gptj", {"n_embd": D_MODEL, "n_head": 4, "n_layer": LAYERS, "n_inner": D_MLP, "rotary_dim": 4}),
    "cohere": ("cohere", {}),
    "gemma2": ("gemma2", {"sliding_window": 16, "query_pre_attn_scalar": 8}),
    "stablelm": ("stablelm", {}),
    # Layers that use the keys and values of others, and read the last position alone where no other logits are asked.
    "gemma4_shared": (
        "gemma4_text",
        {
            "global_head_dim": 8, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 300,
            "num_kv_shared_layers": 1, "sliding_window": 16,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        },
    ),
}  # fmt: skip
"""Other forms of models, each with what is special about it: a `model_type` and its settings."""
VOCABULARY = 300
BOS, EOS, PAD, START = "<s>", "<|im_end|>", "<pad>", "<|im_start|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CORPUS = (
    "What is the capital of Egypt? The capital of Egypt is Cairo.",
    "Who wrote this book? The author of this book is not known to me.",
    "The neuron of the layer fires for the token, and the other neurons are quiet.",
    "user assistant system",
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 300 tokens with bos, eos, pad and a chat template. It prepends nothing."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS, PAD, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_CORPUS * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[START],
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )


def make_tiny(family: str, tmp_path: Path, *, seed: int = 0, layers: int = LAYERS) -> Path:
    """Save a tiny random model of `family` below `tmp_path`.

    Args:
        family: a member of `FAMILIES`, a Transformers `model_type`, or of `FORMS`.
        tmp_path: where its folder is made.
        seed: of the weights.
        layers: how many blocks, each of 48 neurons on a width of 32.

    Returns:
        The folder: config, safetensors, tokenizer and chat template.
    """
    tokenizer = make_tokenizer()
    kind, own = FORMS.get(family, (family, {}))
    settings = _settings(kind, layers, tokenizer) | own
    config = AutoConfig.for_model(kind, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        _spread(model)
    folder = tmp_path / f"tiny-{family}-{seed}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _spread(model: torch.nn.Module) -> None:
    """Widen the initial weights (0.02) and move the norms off 1, so that a mistake in any of them shows."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("A_log", "dt_bias")):
                weight.copy_(weight.abs().clamp(0.05, 1.0))
            elif weight.ndim > 1:
                weight.normal_(0.0, 0.15)
            elif name.endswith("bias"):
                weight.normal_(0.0, 0.05)
            else:
                weight.add_(torch.randn_like(weight) * 0.1)


def _settings(family: str, layers: int, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    ids = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if family == "gpt2":
        return ids | {"n_layer": layers, "n_embd": D_MODEL, "n_inner": D_MLP, "n_head": 4, "n_positions": CONTEXT}
    common = ids | {
        "num_hidden_layers": layers,
        "hidden_size": D_MODEL,
        "intermediate_size": D_MLP,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
    }
    if family == "gpt_neox":
        return common
    common |= {"num_key_value_heads": 2}
    if family in ("phi3", "falcon"):
        return common
    common |= {"head_dim": 8}
    if family == "gemma3_text":
        pattern = ["sliding_attention", "sliding_attention", "full_attention"]
        return common | {
            "sliding_window": 16,
            "query_pre_attn_scalar": 8,
            "layer_types": [pattern[i % len(pattern)] for i in range(layers)],
        }
    return common
