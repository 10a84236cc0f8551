"""Checks type and range of a configuration's fields, before a model is built from it.

Owns the rules for fields that all families share: counts, widths, epsilons, rotary positions, number formats.
A missing or null field is left to the family's class. Rejects values that no model can have, and, as a limit of this
program, number formats that it does not compute in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from backend.models.checks.fault import Fault, shown

Rule = tuple[Callable[[Any], bool], str]
MOST_LABELS = 100_000
"""Maximum number of classes of a classifier: Transformers makes two names for each, even if they are not used."""


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _each(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """`rule` for a single value or, if layers differ, for a list of values."""

    def fits(value: Any) -> bool:
        listed = value if isinstance(value, list) else [value]
        # Some layers may have none.
        return any(item is not None for item in listed) and all(item is None or rule(item) for item in listed)

    return fits


ONE_COUNT: Rule = (_is_count, "a whole number of at least 1")
COUNT: Rule = (_each(_is_count), ONE_COUNT[1])
_WHOLE = _each(_is_whole)
POSITIVE: Rule = (_each(lambda value: is_number(value) and value > 0), "a number above 0")
EPSILON: Rule = (_each(lambda value: is_number(value) and value >= 0), "a number of at least 0")
NUMBER: Rule = (_each(is_number), "a number")
FRACTION: Rule = (_each(lambda value: is_number(value) and 0 <= value <= 1), "a number from 0 to 1")
_ONE_POSITIVE: Rule = (lambda value: is_number(value) and value > 0, "a number above 0")
_ONE_NUMBER: Rule = (is_number, "a number")
_FACTORS: Rule = (lambda value: isinstance(value, list) and POSITIVE[0](value), "a list of numbers above 0")
_OBJECT: Rule = (lambda value: isinstance(value, dict), "an object")
_LABELS: Rule = (lambda value: type(value) is int and 0 <= value <= MOST_LABELS, f"a count of at most {MOST_LABELS:,}")
NAME: Rule = (lambda value: isinstance(value, str), "the name of a kind")

_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "vocab_size", "hidden_size", "n_embd", "d_model", "intermediate_size", "n_inner", "ffn_dim",
            "num_hidden_layers", "n_layer", "n_layers", "num_attention_heads", "n_head", "n_heads",
            "num_key_value_heads", "head_dim", "n_positions", "original_max_position_embeddings",
        ),
        COUNT,
    ),
    **dict.fromkeys(
        ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_eps", "norm_epsilon"),
        EPSILON,
    ),
    **dict.fromkeys(("rope_theta", "rotary_emb_base", "rope_local_base_freq", "query_pre_attn_scalar"), POSITIVE),
    **dict.fromkeys(("partial_rotary_factor", "rotary_pct"), FRACTION),
    "num_labels": _LABELS,
    "id2label": _OBJECT,
    "auto_map": _OBJECT,
}  # fmt: skip
ROTARY_RULES: dict[str, Rule] = {
    "rope_theta": POSITIVE,
    **dict.fromkeys(("factor", "low_freq_factor", "high_freq_factor"), _ONE_POSITIVE),
    **dict.fromkeys(("short_factor", "long_factor"), _FACTORS),
    "original_max_position_embeddings": _ONE_POSITIVE,
    **dict.fromkeys(("beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim"), _ONE_NUMBER),
    "partial_rotary_factor": FRACTION,
    "rope_type": NAME,
    "type": NAME,
}
ROTARY = ("rope_parameters", "rope_scaling")
_TEXT = ("text_config", "decoder", "generator", "language_config", "llm_config")
_FORMATS = ("dtype", "torch_dtype")
_WINDOWS = ("sliding_window", "attention_chunk_size", "layer_types")
"""The fields that choose the kind of Transformers' cache."""


def parts(config: Mapping[str, Any], only: tuple[str, ...] = _TEXT) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(prefix of its fields' names, part) for the configuration itself and for the parts named `only`."""
    yield "", config
    for name in only:
        if isinstance(config.get(name), dict):
            yield f"{name}.", config[name]


def check(config: Mapping[str, Any]) -> None:
    """Check the fields of a configuration that all families share. Raises Fault."""
    for before, part in parts(config):
        for name, value in part.items():
            # With latent attention the widths have other names, and head_dim is 0.
            without = name == "head_dim" and value == 0 and "qk_nope_head_dim" in part
            if value is not None and name in _RULES and not without:
                check_value(f"{before}{name}", value, _RULES[name])
        for name in ROTARY:
            _check_rotary(f"{before}{name}", part.get(name))
        _check_context(before, part)
        if isinstance(part.get("sliding_window"), str):
            check_value(f"{before}sliding_window", part["sliding_window"], NUMBER)
        _check_format(before, part)


def check_value(name: str, value: Any, rule: Rule) -> None:
    """Check a value by a rule. Raises Fault; `name` is the field's name in the message."""
    fits, words = rule
    if not fits(value):
        says = f"its config.json says that {name} is {shown(value)}, where {words} belongs"
        raise Fault(says, without_point(value, fits))


def without_point(value: Any, fits: Callable[[Any], bool] = _WHOLE) -> str:
    """Advice for a value that would fit if whole numbers such as 1200.0 had no decimal point; else ''.

    Such a value is not accepted, since Transformers' configuration classes reject it.
    """
    listed = value if isinstance(value, list) else [value]
    meant = [int(item) if isinstance(item, float) and item.is_integer() else item for item in listed]
    alike = all(type(item) is type(original) for item, original in zip(meant, listed, strict=True))
    if alike or not fits(meant if isinstance(value, list) else meant[0]):
        return ""
    return f"write {shown(meant if isinstance(value, list) else meant[0])} there, without a decimal point"


def _check_rotary(name: str, value: Any) -> None:
    if not value:
        return
    if not isinstance(value, dict):
        check_value(name, value, _OBJECT)
    for key, setting in value.items():
        if isinstance(setting, dict) and key not in ROTARY_RULES:
            # There is one set of parameters for each kind of layer.
            _check_rotary(f"{name}.{key}", setting)
        elif setting is not None and key in ROTARY_RULES:
            check_value(f"{name}.{key}", setting, ROTARY_RULES[key])


def _check_context(before: str, part: Mapping[str, Any]) -> None:
    # XLNet's own files say -1, which means no limit.
    value = part.get("max_position_embeddings")
    if value is not None and part.get("model_type") != "xlnet":
        check_value(f"{before}max_position_embeddings", value, COUNT)


def settle_window(config: Any) -> None:
    """Check the sliding window of a configuration as its class read it. Raises Fault for a window without a token.

    If no layer uses a window, some files say 0 or -1, and only the class knows whether one does. A window that the
    family does not have is removed: its forward pass would use every token, but its cache would drop some.
    """
    default_config = type(config)()
    for name in _WINDOWS:
        if name in vars(config) and not hasattr(default_config, name):
            setattr(config, name, None)
    value, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None)
    if value is None or (kinds is not None and "sliding_attention" not in kinds) or ONE_COUNT[0](value):
        return
    raise Fault(
        f"its config.json says that sliding_window is {shown(value)}, where {ONE_COUNT[1]} belongs",
        without_point(value, _is_count) or "write how many tokens a layer looks back there, or null where none slides",
    )


def _check_format(before: str, part: Mapping[str, Any]) -> None:
    """Check the number format that a configuration names; if it names two, Transformers reads only the first."""
    name = next((name for name in _FORMATS if part.get(name) is not None), None)
    if name is None:
        return
    value = part[name]
    if not isinstance(value, str) or not value:
        raise Fault(f"its config.json says that {before}{name} is {shown(value)}, where the name of a format belongs")
    known = getattr(torch, value, None)
    if not isinstance(known, torch.dtype):
        raise Fault(
            f"its config.json says that {before}{name} is {shown(value)}, and no number format of that name is known",
            "see whether the name is right, or choose a copy in bfloat16",
            ours=True,
        )
    if not known.is_floating_point or known.itemsize < 2:
        raise Fault(
            f"its config.json says that {before}{name} is {shown(value)}, and models run here in float32, bfloat16 "
            "or float16 alone",
            "choose its copy in bfloat16, or a GGUF file, which is unpacked here",
            ours=True,
        )
