"""A tiny GGUF file with the very weights of a tiny Llama folder, so that converting it can be checked to the last bit.

Owns `make_gguf`. Weights are stored as float32: unpacking them must give back what went in.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def make_gguf(
    folder: Path,
    path: Path,
    *,
    architecture: str = "llama",
    leave_out: str = "",
    blocks: int | None = None,
    extra: dict[str, np.ndarray] | None = None,
    scaling: str = "",
    keys: dict[str, float | int | bool] | None = None,
) -> Path:
    """Write the Llama model of `folder` as one GGUF file.

    Args:
        folder: from `tests.tiny.make_tiny("llama", ...)`.
        path: the file to write.
        architecture: the name the file gives itself.
        leave_out: a tensor, by its GGUF name, that the file is to lack.
        blocks: how many its header is to say that it has.
        extra: tensors that it is to hold besides.
        scaling: how its header is to say that positions are scaled.
        keys: what its header is to say besides, without the architecture's name.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config["num_hidden_layers"] if blocks is None else blocks)
    if scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType(scaling))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    told = {
        "rope.freq_base": config["rope_parameters"]["rope_theta"], "rope.dimension_count": config["head_dim"],
    } | (keys or {})  # fmt: skip
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    for key, value in told.items():
        add[type(value)](f"{architecture}.{key}", value)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_tokenizer(writer, folder, config)
    for name, weight in load_file(folder / "model.safetensors").items():
        stem = _gguf_name(name.removesuffix(".weight"))
        if stem != leave_out:
            heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
            count = heads.get(stem.split(".")[-1])
            writer.add_tensor(f"{stem}.weight", _turned(weight, count) if count else weight)
    for name, tensor in (extra or {}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: dict[str, int]) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary: dict[str, int] = stored["model"]["vocab"]
    special = {token["content"] for token in stored["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in stored["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_chat_template((folder / "chat_template.jinja").read_text("utf-8"))


def _gguf_name(name: str) -> str:
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    _model, _layers, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_NAMES[rest]}"


def _turned(weight: np.ndarray, heads: int) -> np.ndarray:
    """Queries and keys as GGUF keeps them: the two halves of each rotary pair side by side."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, columns))
