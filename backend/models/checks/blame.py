"""Which field of a configuration its reader stumbled over, after it did.

Owns the search: what the family's class says of its fields, what fields say of each other, and, where neither tells,
the field without which the rest is read. A name that is not known here is told as a limit of this program, for the file
may be newer. Nothing is searched in a configuration that could be read.
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
    hold,
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
"""What each kind of scaled positions cannot do without."""
MOST_TRIED = 12
"""Fields without which the model is built once each."""
_WORDS: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", list: "a list", tuple: "a list",
    dict: "an object",
}  # fmt: skip


def field(config: Mapping[str, Any], error: Exception) -> Fault:
    """The fault in a configuration of which nothing could be made, where `error` came of it."""
    found = _named(config, error)
    if found is None:
        try:
            for before, part in parts(config):
                _unknown(before, part)
                _lacking_rotary(before, part)
                _contradiction(before, part, str(error))
        except Fault as told:
            return told
        # Where the configuration alone is read, the model is what failed.
        found = _unbuilt(config) if _reads(config) else culprit(config, _reads)
    if found is not None:
        name, value = found
        expected = _expected(config, name, value)
        instead = without_point(value) if "a whole number" in expected else ""
        return Fault(f"its config.json says that {name} is {shown(value)}, {expected}", instead)
    odd = min((name for name in config if _is_odd(config, name)), key=lambda name: _oddity(config[name]), default=None)
    return Fault(
        f"no model of type {config.get('model_type')!r} can be built by its config.json, and Transformers, which tries "
        "it, names no field of it" + ("" if odd is None else f" ({odd} is {shown(config[odd])} there)")
    )


def culprit(values: Mapping[str, Any], reads: Callable[[Mapping[str, Any]], bool]) -> tuple[str, Any] | None:
    """(name, value) of the first field without which the others are read; deeper where it is an object with such a
    field. None where no single one is to blame."""
    for name, value in values.items():
        if not reads({key: held for key, held in values.items() if key != name}):
            continue
        if isinstance(value, dict):
            inner = culprit(value, partial(_reads_with, values, name, reads))
            if inner is not None:
                return f"{name}.{inner[0]}", inner[1]
        return name, value
    return None


def _made(values: Mapping[str, Any]) -> Any:
    """The configuration of the language model, as Transformers reads it from a file. Raises whatever it runs into."""
    plain = PreTrainedConfig._decode_special_floats({**values})
    config = CONFIG_MAPPING[values["model_type"]].from_dict(plain).get_text_config()
    return config if config.model_type else None


def _reads_with(
    values: Mapping[str, Any], name: str, reads: Callable[[Mapping[str, Any]], bool], part: Mapping[str, Any]
) -> bool:
    """Whether the fields are read with this part in the place of the one of that name."""
    return reads({**values, name: part})


def _reads(values: Mapping[str, Any]) -> bool:
    try:
        _made(values)
    except Exception:  # a configuration class may refuse a value with any error
        return False
    return True


def _builds(values: Mapping[str, Any]) -> bool:
    try:
        config = _made(values)
        memory.least(config)
        memory.skeleton(config)
    except Exception:  # a model's class may refuse its configuration with any error
        return False
    return True


def _unbuilt(config: Mapping[str, Any]) -> tuple[str, Any] | None:
    """(name, value) of the field without which a model is built; the oddest are tried, since each takes a moment."""
    for before, part in parts(config):
        for name in sorted(part, key=lambda name: _oddity(part[name]))[:MOST_TRIED]:
            rest = {key: value for key, value in part.items() if key != name}
            if name != "model_type" and _builds({**config, before.rstrip("."): rest} if before else rest):
                return f"{before}{name}", part[name]
    return None


def _oddity(value: Any) -> int:
    """How far from what a field usually holds; the lowest is the oddest."""
    if type(value) is int:
        return 0 if value < 0 else 2 if value == 0 else 3
    return 0 if isinstance(value, (list, dict)) and not value else 1 if value is None else 4


def _unknown(before: str, part: Mapping[str, Any]) -> None:
    """Raises Fault for the name of an activation, of scaled positions or of a layer that is not known here."""
    for name in _ACTIVATIONS:
        value = part.get(name)
        if isinstance(value, str) and value not in ACT2FN:
            raise _not_known(f"{before}{name}", value, "no activation")
    for name, held in _rotary(part):
        key = "rope_type" if "rope_type" in held else "type"
        value = held.get(key)
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


def _rotary(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every set of rotary positions with its name."""
    for name in ROTARY:
        held = part.get(name)
        if isinstance(held, dict):
            inner = {
                f"{name}.{key}": one for key, one in held.items() if isinstance(one, dict) and key not in ROTARY_RULES
            }
            yield from inner.items() if inner else ((name, held),)


def _lacking_rotary(before: str, part: Mapping[str, Any]) -> None:
    for name, held in _rotary(part):
        for key, rule in (("rope_theta", POSITIVE), ("rope_type", NAME), ("partial_rotary_factor", FRACTION)):
            if key in held and (held[key] is None or isinstance(held[key], list)):
                says = f"its config.json says that {before}{name}.{key} is {shown(held[key])}"
                raise Fault(f"{says}, where {rule[1]} belongs")
        kind = held.get("rope_type", held.get("type"))
        absent = [key for key in _NEEDED.get(str(kind), ()) if held.get(key) is None]
        if absent:
            raise Fault(f"its config.json sets {before}{name} of type {shown(kind)} without {' and '.join(absent)}")


def _contradiction(before: str, part: Mapping[str, Any], said: str) -> None:
    """Raises Fault for two fields that cannot both be right, and for shares that are none."""
    layers = next((part[name] for name in ("num_hidden_layers", "n_layer") if type(part.get(name)) is int), None)
    kinds = part.get("layer_types")
    if isinstance(kinds, list) and layers is not None and len(kinds) != layers:
        raise Fault(f"its config.json says {layers} layers and lists {before}layer_types for {len(kinds)}")
    head = part.get("head_dim")
    if "even" in said and type(head) is int and head % 2:
        raise Fault(f"its config.json says that {before}head_dim is {head}, and rotary positions turn pairs of numbers")
    for width, heads in (("hidden_size", "num_attention_heads"), ("n_embd", "n_head")):
        wide, many = part.get(width), part.get(heads)
        # Where a head has a width of its own, the two need not fit: only where that was the error.
        fits = "multiple" not in said and "divisible" not in said
        if not fits and type(wide) is int and type(many) is int and wide % max(1, many):
            raise Fault(
                f"its config.json says that {before}{width} is {wide} and {before}{heads} is {many}, and the first is "
                "no multiple of the second"
            )
    for name, value in part.items():
        if name.endswith(("dropout", "pdrop")) and is_number(value):
            hold(f"{before}{name}", value, FRACTION)


def _is_odd(config: Mapping[str, Any], name: str) -> bool:
    """Whether a field is null, 0 or less where it is a positive number by default."""
    other = _class(config, "")
    own = getattr(other, "attribute_map", {}).get(name, name)
    usual = getattr(getattr(other, "__dataclass_fields__", {}).get(own), "default", None)
    counts = type(usual) is int and usual > 0 and not name.endswith("_token_id")
    return counts and _oddity(config[name]) < 3


def _named(config: Mapping[str, Any], error: Exception) -> tuple[str, Any] | None:
    """The field that Transformers names itself, where it is one of the file's."""
    found = FIELD.match(str(error))
    if found is None:
        return None
    for before, part in parts(config, tuple(config)):
        other = _class(config, before)
        for name, value in part.items():
            if getattr(other, "attribute_map", {}).get(name, name) == found[1]:
                return f"{before}{name}", value
    return None


def _class(config: Mapping[str, Any], before: str) -> Any:
    """The class of the configuration, or of the part of it whose name stands in `before`."""
    kind = config.get("model_type")
    whole = CONFIG_MAPPING[kind] if isinstance(kind, str) and kind in CONFIG_MAPPING else None
    if not before:
        return whole
    part = config.get(before.rstrip("."))
    kind = part.get("model_type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in CONFIG_MAPPING:
        return CONFIG_MAPPING[kind]
    return getattr(whole, "sub_configs", {}).get(before.rstrip("."))


def _expected(config: Mapping[str, Any], name: str, value: Any) -> str:
    """What belongs there instead, as far as the family's class says."""
    cannot = f"which a model of type {config.get('model_type')!r} cannot have"
    before, _, own = name.rpartition(".")
    other = _class(config, before)
    own = getattr(other, "attribute_map", {}).get(own, own)
    told = {one.name: one.type for one in getattr(other, "__dataclass_fields__", {}).values()}
    if other is not None and own not in told:
        return f"and a model of type {config.get('model_type')!r} has no such field"
    if other is None:
        # Of the fields of a plain object no class tells.
        return cannot
    plain = list(_plain(told[own]))
    words = list(dict.fromkeys(_WORDS[one] for one in plain if one in _WORDS))
    # JSON knows whole numbers and others, and a whole one will do for any.
    taken = {type(value), float} if type(value) is int else {type(value)}
    if not words or taken & set(plain):
        return cannot
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    return f"where {' or '.join(words)} belongs"


def _plain(told: Any) -> Iterator[Any]:
    """The plain types that an annotation allows."""
    origin = typing.get_origin(told)
    if origin in (typing.Union, types.UnionType):
        for one in typing.get_args(told):
            yield from _plain(one)
    elif origin is typing.Annotated:
        yield from _plain(typing.get_args(told)[0])
    elif origin is typing.Literal:
        yield from (type(one) for one in typing.get_args(told))
    else:
        yield origin or told
