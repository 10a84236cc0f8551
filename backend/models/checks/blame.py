"""Finds the field of a configuration that made reading it fail.

Owns the search, which runs only after reading has failed. It looks at what the family's class says of its fields, at
contradictions between fields, and, if neither explains the failure, for a field without which the others can be read.
An unknown name is reported as a limit of this program, since the file may be newer.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from transformers import CONFIG_MAPPING
from transformers.activations import ACT2FN
from transformers.configuration_utils import ALLOWED_ATTN_LAYER_TYPES, PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from backend.models import memory
from backend.models.checks.fault import FIELD, Fault, shown
from backend.models.checks.fields import (
    FRACTION,
    NAME,
    POSITIVE,
    ROTARY,
    ROTARY_RULES,
    check_value,
    is_number,
    parts,
    without_point,
)

_ACTIVATIONS = ("hidden_act", "activation_function", "hidden_activation", "activation", "act_fn")
_NEEDED = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
"""Fields that each kind of scaled positions needs."""
MOST_TRIED = 12
"""How many fields are tried; the model is built once without each."""
_WORDS: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", list: "a list", tuple: "a list",
    dict: "an object",
}  # fmt: skip


def field(config: Mapping[str, Any], error: Exception) -> Fault:
    """The fault in a configuration from which no model could be made; the attempt raised `error`."""
    blamed = _named_in_error(config, error)
    if blamed is None:
        try:
            for before, part in parts(config):
                _check_known_kinds(before, part)
                _check_rotary_sets(before, part)
                _check_contradictions(before, part, str(error))
        except Fault as fault:
            return fault
        # If the configuration itself can be read, building the model is what failed.
        blamed = _field_that_prevents_building(config) if _can_be_read(config) else culprit(config, _can_be_read)
    if blamed is not None:
        name, value = blamed
        expected = _expected(config, name, value)
        instead = without_point(value) if "a whole number" in expected else ""
        return Fault(f"its config.json says that {name} is {shown(value)}, {expected}", instead)
    suspect = min(
        (name for name in config if _is_odd(config, name)), key=lambda name: _oddity(config[name]), default=None
    )
    return Fault(
        f"no model of type {config.get('model_type')!r} can be built by its config.json, and Transformers, which tries "
        "it, names no field of it" + ("" if suspect is None else f" ({suspect} is {shown(config[suspect])} there)")
    )


def culprit(values: Mapping[str, Any], reads: Callable[[Mapping[str, Any]], bool]) -> tuple[str, Any] | None:
    """(name, value) of the first field without which the others can be read; None if there is no such field.

    Searches inside the field too, if it is an object.
    """
    for name, value in values.items():
        if not reads({key: field_value for key, field_value in values.items() if key != name}):
            continue
        if isinstance(value, dict):
            inner = culprit(value, partial(_reads_with, values, name, reads))
            if inner is not None:
                return f"{name}.{inner[0]}", inner[1]
        return name, value
    return None


def _config_of(values: Mapping[str, Any]) -> Any:
    """The configuration of the language model, as Transformers reads it from a file. May raise any error."""
    plain = PreTrainedConfig._decode_special_floats({**values})
    config = CONFIG_MAPPING[values["model_type"]].from_dict(plain).get_text_config()
    return config if config.model_type else None


def _reads_with(
    values: Mapping[str, Any], name: str, reads: Callable[[Mapping[str, Any]], bool], part: Mapping[str, Any]
) -> bool:
    """Whether the fields can be read if the field `name` is replaced by `part`."""
    return reads({**values, name: part})


def _can_be_read(values: Mapping[str, Any]) -> bool:
    try:
        _config_of(values)
    except Exception:  # a configuration class may refuse a value with any error
        return False
    return True


def _can_be_built(values: Mapping[str, Any]) -> bool:
    try:
        config = _config_of(values)
        memory.least_shape(config)
        memory.skeleton(config)
    except Exception:  # a model's class may refuse its configuration with any error
        return False
    return True


def _field_that_prevents_building(config: Mapping[str, Any]) -> tuple[str, Any] | None:
    """(name, value) of a field without which a model can be built, or None. Tries only the oddest: each takes time."""
    for before, part in parts(config):
        for name in sorted(part, key=lambda name: _oddity(part[name]))[:MOST_TRIED]:
            rest = {key: value for key, value in part.items() if key != name}
            if name != "model_type" and _can_be_built({**config, before.rstrip("."): rest} if before else rest):
                return f"{before}{name}", part[name]
    return None


def _oddity(value: Any) -> int:
    """How unusual the value of a field is; the lowest number is the oddest."""
    if type(value) is int:
        return 0 if value < 0 else 2 if value == 0 else 3
    return 0 if isinstance(value, (list, dict)) and not value else 1 if value is None else 4


def _check_known_kinds(before: str, part: Mapping[str, Any]) -> None:
    """Raises Fault for an unknown name of an activation, of scaled positions or of a kind of layer."""
    for name in _ACTIVATIONS:
        value = part.get(name)
        if isinstance(value, str) and value not in ACT2FN:
            raise _not_known(f"{before}{name}", value, "no activation")
    for name, rotary_set in _rotary_sets(part):
        key = "rope_type" if "rope_type" in rotary_set else "type"
        value = rotary_set.get(key)
        if isinstance(value, str) and value not in {"default", "axial", *ROPE_INIT_FUNCTIONS}:
            raise _not_known(f"{before}{name}.{key}", value, "no kind of rotary positions")
    kinds = part.get("layer_types")
    for value in kinds if isinstance(kinds, list) else ():
        if isinstance(value, str) and value not in ALLOWED_ATTN_LAYER_TYPES:
            raise _not_known(f"one of {before}layer_types", value, "no kind of layer")


def _not_known(name: str, value: str, what: str) -> Fault:
    return Fault(
        f"its config.json names {shown(value)} as {name}, and {what} of that name is known to this version of "
        "Transformers",
        "see whether the name is right, or choose a model of a known family",
        ours=True,
    )


def _rotary_sets(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, set) of every set of rotary parameters."""
    for name in ROTARY:
        setting = part.get(name)
        if isinstance(setting, dict):
            inner = {
                f"{name}.{key}": rotary_set
                for key, rotary_set in setting.items()
                if isinstance(rotary_set, dict) and key not in ROTARY_RULES
            }
            yield from inner.items() if inner else ((name, setting),)


def _check_rotary_sets(before: str, part: Mapping[str, Any]) -> None:
    for name, rotary_set in _rotary_sets(part):
        for key, rule in (("rope_theta", POSITIVE), ("rope_type", NAME), ("partial_rotary_factor", FRACTION)):
            if key in rotary_set and (rotary_set[key] is None or isinstance(rotary_set[key], list)):
                says = f"its config.json says that {before}{name}.{key} is {shown(rotary_set[key])}"
                raise Fault(f"{says}, where {rule[1]} belongs")
        kind = rotary_set.get("rope_type", rotary_set.get("type"))
        absent = [key for key in _NEEDED.get(str(kind), ()) if rotary_set.get(key) is None]
        if absent:
            raise Fault(f"its config.json sets {before}{name} of type {shown(kind)} without {' and '.join(absent)}")


def _check_contradictions(before: str, part: Mapping[str, Any], message: str) -> None:
    """Raises Fault for two fields that contradict each other, and for a dropout outside 0..1."""
    layers = next((part[name] for name in ("num_hidden_layers", "n_layer") if type(part.get(name)) is int), None)
    kinds = part.get("layer_types")
    if isinstance(kinds, list) and layers is not None and len(kinds) != layers:
        raise Fault(f"its config.json says {layers} layers and lists {before}layer_types for {len(kinds)}")
    head = part.get("head_dim")
    if "even" in message and type(head) is int and head % 2:
        raise Fault(f"its config.json says that {before}head_dim is {head}, and rotary positions turn pairs of numbers")
    for width_name, heads_name in (("hidden_size", "num_attention_heads"), ("n_embd", "n_head")):
        width, heads = part.get(width_name), part.get(heads_name)
        # If heads have a width of their own, this is no error: so only if the message says so.
        fits = "multiple" not in message and "divisible" not in message
        if not fits and type(width) is int and type(heads) is int and width % max(1, heads):
            raise Fault(
                f"its config.json says that {before}{width_name} is {width} and {before}{heads_name} is {heads}, and "
                "the first is no multiple of the second"
            )
    for name, value in part.items():
        if name.endswith(("dropout", "pdrop")) and is_number(value):
            check_value(f"{before}{name}", value, FRACTION)


def _is_odd(config: Mapping[str, Any], name: str) -> bool:
    """Whether a field that is a positive number by default is null, 0 or negative."""
    config_class = _config_class(config, "")
    own = getattr(config_class, "attribute_map", {}).get(name, name)
    default = getattr(getattr(config_class, "__dataclass_fields__", {}).get(own), "default", None)
    counts = type(default) is int and default > 0 and not name.endswith("_token_id")
    return counts and _oddity(config[name]) < 3


def _named_in_error(config: Mapping[str, Any], error: Exception) -> tuple[str, Any] | None:
    """(name, value) of the field that Transformers' error names, if it is in the file; else None."""
    match = FIELD.match(str(error))
    if match is None:
        return None
    for before, part in parts(config, tuple(config)):
        config_class = _config_class(config, before)
        for name, value in part.items():
            if getattr(config_class, "attribute_map", {}).get(name, name) == match[1]:
                return f"{before}{name}", value
    return None


def _config_class(config: Mapping[str, Any], before: str) -> Any:
    """The class of the configuration, or of the part that `before` names; None if it is unknown."""
    kind = config.get("model_type")
    config_class = CONFIG_MAPPING[kind] if isinstance(kind, str) and kind in CONFIG_MAPPING else None
    if not before:
        return config_class
    part = config.get(before.rstrip("."))
    kind = part.get("model_type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in CONFIG_MAPPING:
        return CONFIG_MAPPING[kind]
    return getattr(config_class, "sub_configs", {}).get(before.rstrip("."))


def _expected(config: Mapping[str, Any], name: str, value: Any) -> str:
    """The end of the message: what value belongs there, as far as the family's class says."""
    cannot = f"which a model of type {config.get('model_type')!r} cannot have"
    before, _, own = name.rpartition(".")
    config_class = _config_class(config, before)
    own = getattr(config_class, "attribute_map", {}).get(own, own)
    field_types = {
        declared.name: declared.type for declared in getattr(config_class, "__dataclass_fields__", {}).values()
    }
    if config_class is not None and own not in field_types:
        return f"and a model of type {config.get('model_type')!r} has no such field"
    if config_class is None:
        # No class describes the fields of a plain object.
        return cannot
    plain = list(_plain_types(field_types[own]))
    words = list(dict.fromkeys(_WORDS[kind] for kind in plain if kind in _WORDS))
    # A whole number in JSON is accepted for a float field.
    accepted = {type(value), float} if type(value) is int else {type(value)}
    if not words or accepted & set(plain):
        return cannot
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    return f"where {' or '.join(words)} belongs"


def _plain_types(annotation: Any) -> Iterator[Any]:
    """The plain types that an annotation allows."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _plain_types(member)
    elif origin is typing.Annotated:
        yield from _plain_types(typing.get_args(annotation)[0])
    elif origin is typing.Literal:
        yield from (type(literal) for literal in typing.get_args(annotation))
    else:
        yield origin or annotation
