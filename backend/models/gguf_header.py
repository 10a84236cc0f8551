"""What the header of a GGUF file says of the forward, held to the configuration that Transformers makes of it.

Owns the comparison. Transformers reads some keys of each architecture and passes over the others without a word: the
base of StarCoder2's rotary positions, Phi-3's window. A model without them answers, and is another one. Where the
configuration has a place for what was passed over, it is put there; where it has none, the file is refused.
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
"""Keys, without the architecture before them, and what configurations call the same."""
_OFF: dict[str, bool | float] = {
    "use_parallel_residual": False, "logit_scale": 1.0, "embedding_scale": 1.0, "residual_scale": 1.0,
}  # fmt: skip
"""What a setting is where it does not act, unless it is None."""


def follow(name: str, told: Mapping[str, Any], config: Any) -> bool:
    """Bring `config` in line with the keys `told` of a header, None for a list; whether anything had to be changed.

    Raises UnsupportedModel for a key that changes the forward and has no place in this configuration.
    """
    before = config.to_dict()
    for key in (*_PLACES, "rope.freq_base", "rope.dimension_count"):
        if key in told and told[key] is None:
            raise _unknown(name, key, "a list", config)
    for key, places in _PLACES.items():
        value = told.get(key)
        place = next((place for place in places if hasattr(config, place)), None)
        if value is None:
            continue
        if _acts_not(key, value, told):
            if place is not None:
                _switch_off(key, place, told, config)
            continue
        if place is None or (place == "sliding_window" and not _slides(config)):
            raise _unknown(name, key, value, config)
        if not _same(getattr(config, place), value):
            setattr(config, place, value)
    if config.model_type == "mistral" and "attention.sliding_window" not in told:
        config.sliding_window = None
    _follow_rotary(name, told, config)
    return bool(config.to_dict() != before)


def _acts_not(key: str, value: Any, told: Mapping[str, Any]) -> bool:
    if key == "attention.sliding_window":
        return not value or value >= told.get("context_length", math.inf)
    return value in (0, False) or (key.endswith("scale") and value == 1)


def _switch_off(key: str, place: str, told: Mapping[str, Any], config: Any) -> None:
    """Take back what a configuration has by default, and the header says that the model has not."""
    held = getattr(config, place)
    if place in _EPSILONS or held is None or (held and _acts_not(key, held, told)):
        return
    off = _OFF.get(key)
    if key == "attention.sliding_window" and getattr(config, "layer_types", None):
        # Its layers are made with a window: one as long as every text changes nothing.
        off = told.get("context_length", config.max_position_embeddings)
    setattr(config, place, off)


def _slides(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    return kinds is None or "sliding_attention" in kinds


def _follow_rotary(name: str, told: Mapping[str, Any], config: Any) -> None:
    """Base and number of rotated dimensions, where the configuration has one set of them."""
    rotary = getattr(config, "rope_parameters", None) or {}
    sets = [one for one in rotary.values() if isinstance(one, dict)] or ([rotary] if rotary else [])
    base, turned = told.get("rope.freq_base"), told.get("rope.dimension_count")
    if base and sets and not any(_same(one.get("rope_theta"), base) for one in sets):
        if len(sets) > 1:
            raise _unknown(name, "rope.freq_base", base, config)
        sets[0]["rope_theta"] = float(base)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if turned and len(sets) == 1 and int(head * sets[0].get("partial_rotary_factor", 1.0)) != turned:
        if turned > head:
            raise _unknown(name, "rope.dimension_count", turned, config)
        sets[0]["partial_rotary_factor"] = turned / head


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    # The header keeps numbers in 32 bits.
    return math.isclose(one, other, rel_tol=1e-6) if numbers else bool(one == other)


def _unknown(name: str, key: str, value: Any, config: Any) -> UnsupportedModel:
    return UnsupportedModel(
        f"{name} cannot be converted",
        f"its header sets {key} to {value}, which Transformers does not read for models of type {config.model_type!r}",
        "choose the same model as safetensors",
    )
