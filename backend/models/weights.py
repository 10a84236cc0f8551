"""Compares the weights in a model's files, by their headers, with the model that its configuration describes.

Owns the names of weights: the prefix of the language model in a larger one, and weights that belong nowhere. It reads
headers, never weights. Rejects weights that are missing, have another shape, or belong to the network but have no
place in it: without some of its weights it would be another model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from backend.errors import ModelError, ModelUnreadable, UnsupportedModel
from backend.models import folders
from backend.models.checks import tensors

_FORMATS = {"F64", "F32", "F16", "BF16", "I64", "BOOL"}
"""Number formats of weights, and of tables and masks that some models store with them; all others are packed."""
_BUFFERS = re.compile(
    r"(^|\.)(inv_freq|masked_bias|position_ids|(cos|sin)_cached|causal_mask|original_inv_freq|[kv]_scale)$"
)
"""Buffers that Transformers computes again, or that belong to a quantised key-value cache, which is not used."""
_MASKS = re.compile(r"(^|\.)(attn|attention|self_attn|self_attention)\.(bias|causal_mask)$")
"""Names of a causal mask, which has four axes, in old files; a bias of the same name has one axis."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")

_ADAPTED = re.compile(r"(^|[._])(lora_|ia3_l|hada_w|lokr_w|oft_r|vera_lambda)")
"""Parts of the names that PEFT, diffusers and MLX give to the weights of an adapter."""

Shape = tuple[int, ...]


def stored_shapes(folder: Path) -> dict[str, Shape]:
    """Name -> shape of every weight of the folder, from the headers of its files.

    Raises:
        ModelUnreadable: a file is damaged; a weight is in two files, or not in the file that the index names.
        UnsupportedModel: matrices have a packed format, though the configuration does not say so.
    """
    shapes: dict[str, Shape] = {}
    file_of: dict[str, str] = {}
    for file in folders.weight_files(folder):
        try:
            with safe_open(file, framework="pt") as weights:
                slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (it is no dict)
                headers = [(name, tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()]
        except (OSError, SafetensorError) as error:
            raise tensors.fault(file).of_folder(folder) from error
        for name, shape, dtype in headers:
            _check_weight(folder, name, shape, dtype, file_of, file.name)
            shapes[name], file_of[name] = shape, file.name
    for name, file_name in folders.weight_map(folder).items():
        if file_of.get(name) != file_name:
            raise folders.folder_refusal(
                folder, f"its {folders.WEIGHTS_INDEX} names {name} in {file_name}, which does not hold it"
            )
    return shapes


def _check_weight(folder: Path, name: str, shape: Shape, dtype: str, file_of: Mapping[str, str], file: str) -> None:
    if name in file_of:
        raise folders.folder_refusal(folder, f"{name} is in two of its files, {file_of[name]} and {file}")
    if len(shape) == 2 and dtype not in _FORMATS:
        raise UnsupportedModel(
            f"{folder.name} has packed weights",
            f"{name} is kept as {dtype}, so the output direction of a neuron cannot be read from it",
            "choose its copy in bfloat16, or a GGUF file, which is unpacked here",
        )


def refuse_adapted(folder: Path, names: Iterable[str], skeleton: Any) -> None:
    """Raises UnsupportedModel if there are weights of an adapter among those of the model, or in another file.

    They would be ignored, and the answers would be those of another model.
    """
    if any(_ADAPTED.search(name) for name in skeleton.state_dict()):
        return
    adapter_weight = next((name for name in names if _ADAPTED.search(name)), None)
    model_files = set(folders.weight_files(folder))
    for file in sorted(folder.glob("*.safetensors")):
        if file not in model_files and adapter_weight is None:
            adapter_weight = next((name for name in _names_in(file) if _ADAPTED.search(name)), None)
    if adapter_weight is not None:
        raise folders.adapter_refusal(folder, adapter_weight)


def _names_in(file: Path) -> list[str]:
    """Names of the weights in a further file; [] if it cannot be read, since the model does not need it."""
    try:
        with safe_open(file, framework="pt") as weights:
            return list(weights.keys())
    except (OSError, SafetensorError):
        return []


def key_mapping(names: Iterable[str], skeleton: Any) -> dict[str, str]:
    """The `key_mapping` for `from_pretrained` (regex -> replacement) that finds the language model of a larger one.

    The prefix is the one after which most names of `skeleton`, the language model alone, occur in `names`.
    """
    base = f"{skeleton.base_model_prefix}."
    own = set(skeleton.state_dict())
    body = {name.removeprefix(base) for name in own if name.startswith(base)}
    names = list(names)
    place, _ = max(_prefixes(names, body).items(), key=lambda counted: counted[1], default=(base, 0))
    renames = {f"^{re.escape(place)}": base} if place not in (base, "") else {}
    for head in (name for name in own if not name.startswith(base)):
        there = [name for name in names if name.endswith(f".{head}")]
        if head not in names and len(there) == 1:
            renames = {f"^{re.escape(there[0])}$": head} | renames
    return renames


def _prefixes(names: Iterable[str], body: set[str]) -> Counter[str]:
    """Prefix -> how many of the names in `body` occur after it."""
    counted: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in body:
                counted["".join(f"{part}." for part in parts[:cut])] += 1
    return counted


def check_loaded(
    name: str, model: Any, report: Mapping[str, Any], shapes: Mapping[str, Shape], partial: bool
) -> list[str]:
    """Check that all weights were loaded; returns notes about weights that were ignored.

    Args:
        report: what `from_pretrained` returns with `output_loading_info`.
        partial: whether only the language model of a larger one was loaded.
    Raises ModelUnreadable, naming the first weight that is missing, has another shape, or has no place in the model.
    """
    wrong = sorted(report.get("mismatched_keys") or ())
    if wrong:
        key, files, config = wrong[0]
        raise _config_refusal(
            name,
            f"{key} is {_shape_text(files)} in its files and {_shape_text(config)} by its config.json "
            f"({len(wrong)} differ)",
        )
    layers, depth = int(model.config.num_hidden_layers), _depth(shapes)
    missing = sorted(report["missing_keys"])
    if missing:
        raise _missing_refusal(name, missing, layers, depth, report["unexpected_keys"])
    unplaced = [key for key in sorted(report["unexpected_keys"]) if not _harmless(key, shapes)]
    inside = [key for key in unplaced if _is_inside(key, model)]
    if inside:
        deeper = f"it says {layers} layers and they hold {depth}" if not partial and depth > layers else ""
        raise _config_refusal(
            name,
            f"its files hold {len(inside)} weights that its config.json has no place for ({inside[0]} is the first"
            + (f"; {deeper})" if deeper else ")").replace(";", ","),
        )
    if partial or not unplaced:
        return []
    return [
        f"{len(unplaced)} of the weights in its files belong to no part of the language model "
        f"({unplaced[0]} is the first)."
    ]


def _shape_text(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _depth(shapes: Iterable[str]) -> int:
    """Number of layers in the files."""
    return 1 + max((int(match[1]) for name in shapes if (match := _LAYER.search(name))), default=-1)


def _missing_refusal(name: str, missing: list[str], layers: int, depth: int, in_files: Iterable[str]) -> ModelError:
    matches = [_LAYER.search(key) for key in missing]
    if 0 < depth < layers and all(place and int(place[1]) >= depth for place in matches):
        return _config_refusal(name, f"its config.json says {layers} layers and its files hold {depth}")
    stored_as = next((stored_name for stored_name in sorted(in_files) if stored_name.endswith(f".{missing[0]}")), None)
    if stored_as is not None:
        return ModelUnreadable(
            f"{name} cannot be read",
            f"its weights have other names than Transformers gives them ({stored_as} instead of {missing[0]})",
            "save it again with save_pretrained of the model itself, not of a wrapper around it",
        )
    return ModelUnreadable(
        f"{name} cannot be read",
        f"its files lack {len(missing)} of its weights ({missing[0]} is the first)",
        "fetch its files again, or choose another model",
    )


def _config_refusal(name: str, why: str) -> ModelUnreadable:
    return ModelUnreadable(
        f"The configuration of {name} is not that of its weights",
        why,
        "fetch config.json and weights anew, both from the same place",
    )


def _harmless(key: str, shapes: Mapping[str, Shape]) -> bool:
    mask = _MASKS.search(key) and any(
        len(shape) == 4 for name, shape in shapes.items() if name.endswith(key) or key.endswith(name)
    )
    return bool(mask or _BUFFERS.search(key))


def _is_inside(key: str, model: Any) -> bool:
    """Whether its name is that of a part of the network, not of a further head or tower."""
    first = key.removeprefix(f"{model.base_model_prefix}.").split(".")[0]
    return first in {part for part, _ in model.base_model.named_children()}
