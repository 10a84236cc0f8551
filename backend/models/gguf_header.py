"""Compares the header of a GGUF file with the configuration that Transformers makes from it, and completes the latter.

Transformers reads some keys of each architecture and silently ignores the others: the base of StarCoder2's rotary
positions, Phi-3's window. A model without them still answers, but it is not the same model. If the configuration has
a field for an ignored key, the field is set; if it has none, the file is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backend.errors import UnsupportedModel

_EPSILONS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
_PLACES: dict[str, tuple[str, ...]] = {
    "attention.layer_norm_rms_epsilon": _EPSILONS,
    "attention.layer_norm_epsilon": _EPSILONS,
    "attention.sliding_window": ("sliding_window",),
    "attention.clamp_kqv": ("clip_qkv",),
    "attention.scale": ("attention_multiplier",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "logit_scale": ("logit_scale",),
    "embedding_scale": ("embedding_multiplier",),
    "residual_scale": ("residual_multiplier",),
    "use_parallel_residual": ("use_parallel_residual", "parallel_attn"),
}
"""Keys without the prefix of the architecture, and the configuration fields of the same meaning."""
_OFF: dict[str, bool | float] = {
    "use_parallel_residual": False, "logit_scale": 1.0, "embedding_scale": 1.0, "residual_scale": 1.0,
}  # fmt: skip
"""The value of a setting that has no effect, if it is not None."""


def apply_header(name: str, header: Mapping[str, Any], config: Any) -> bool:
    """Set the fields of `config` from the keys of `header`, in which None stands for a list; whether any was changed.

    Raises UnsupportedModel for a key that changes the forward pass and has no field in this configuration.
    """
    before = config.to_dict()
    for key in (*_PLACES, "rope.freq_base", "rope.dimension_count"):
        if key in header and header[key] is None:
            raise _unsupported_key(name, key, "a list", config)
    for key, places in _PLACES.items():
        value = header.get(key)
        place = next((place for place in places if hasattr(config, place)), None)
        if value is None:
            continue
        if _is_inactive(key, value, header):
            if place is not None:
                _switch_off(key, place, header, config)
            continue
        if place is None or (place == "sliding_window" and not _has_sliding_layers(config)):
            raise _unsupported_key(name, key, value, config)
        if not _equal_value(getattr(config, place), value):
            setattr(config, place, value)
    if config.model_type == "mistral" and "attention.sliding_window" not in header:
        config.sliding_window = None
    _apply_rotary(name, header, config)
    return bool(config.to_dict() != before)


def _is_inactive(key: str, value: Any, header: Mapping[str, Any]) -> bool:
    if key == "attention.sliding_window":
        return not value or value >= header.get("context_length", math.inf)
    return value in (0, False) or (key.endswith("scale") and value == 1)


def _switch_off(key: str, place: str, header: Mapping[str, Any], config: Any) -> None:
    """Switch off what a configuration has by default and the model does not have according to the header."""
    current = getattr(config, place)
    if place in _EPSILONS or current is None or (current and _is_inactive(key, current, header)):
        return
    off = _OFF.get(key)
    if key == "attention.sliding_window" and getattr(config, "layer_types", None):
        # These layers need some window: one as long as the context has no effect.
        off = header.get("context_length", config.max_position_embeddings)
    setattr(config, place, off)


def _has_sliding_layers(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    return kinds is None or "sliding_attention" in kinds


def _apply_rotary(name: str, header: Mapping[str, Any], config: Any) -> None:
    """Set base and number of rotated dimensions, if the configuration has a single set of rotary parameters."""
    rotary = getattr(config, "rope_parameters", None) or {}
    sets = [rope_set for rope_set in rotary.values() if isinstance(rope_set, dict)] or ([rotary] if rotary else [])
    base, rotated = header.get("rope.freq_base"), header.get("rope.dimension_count")
    if base and sets and not any(_equal_value(rope_set.get("rope_theta"), base) for rope_set in sets):
        if len(sets) > 1:
            raise _unsupported_key(name, "rope.freq_base", base, config)
        sets[0]["rope_theta"] = float(base)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if rotated and len(sets) == 1 and int(head * sets[0].get("partial_rotary_factor", 1.0)) != rotated:
        if rotated > head:
            raise _unsupported_key(name, "rope.dimension_count", rotated, config)
        sets[0]["partial_rotary_factor"] = rotated / head


def _equal_value(ours: Any, given: Any) -> bool:
    numbers = isinstance(ours, (int, float)) and isinstance(given, (int, float))
    # The header stores numbers as float32.
    return math.isclose(ours, given, rel_tol=1e-6) if numbers else bool(ours == given)


def _unsupported_key(name: str, key: str, value: Any, config: Any) -> UnsupportedModel:
    return UnsupportedModel(
        f"{name} cannot be converted",
        f"its header sets {key} to {value}, which Transformers does not read for models of type {config.model_type!r}",
        "choose the same model as safetensors",
    )
