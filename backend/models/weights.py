"""What the files of a model hold, by their headers, and whether that is what its configuration describes.

Owns the names of weights: where the language model of a larger one lies, and what of the files it has no place for.
It reads headers, never weights. Refuses weights that are missing, of another shape, or inside the network without a
place in it: a model that leaves some of its own out would be another model.
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
"""Formats of weights, and of tables and masks that some models keep beside them; all others are packed."""
_BUFFERS = re.compile(
    r"(^|\.)(inv_freq|masked_bias|position_ids|(cos|sin)_cached|causal_mask|original_inv_freq|[kv]_scale)$"
)
"""Worked out anew by Transformers, or of a packed key-value cache that is not used."""
_MASKS = re.compile(r"(^|\.)(attn|attention|self_attn|self_attention)\.(bias|causal_mask)$")
"""A causal mask of four axes, which old files keep; a bias of that name has one."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")

_ADAPTED = re.compile(r"(^|[._])(lora_|ia3_l|hada_w|lokr_w|oft_r|vera_lambda)")
"""Parts of what PEFT, diffusers and MLX call the weights of an adapter."""

Shape = tuple[int, ...]


def stored(folder: Path) -> dict[str, Shape]:
    """Every weight of the folder with its shape, from the headers of its files.

    Raises:
        ModelUnreadable: a file is damaged; a weight is in two files, or not in that which the index names.
        UnsupportedModel: matrices are kept in a packed format, though no configuration says so.
    """
    shapes: dict[str, Shape] = {}
    home: dict[str, str] = {}
    for file in folders.weight_files(folder):
        try:
            with safe_open(file, framework="pt") as weights:
                held = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (it is no dict)
                found = [(name, tuple(one.get_shape()), one.get_dtype()) for name, one in held.items()]
        except (OSError, SafetensorError) as error:
            raise tensors.fault(file).of_folder(folder) from error
        for name, shape, dtype in found:
            _check_one(folder, name, shape, dtype, home, file.name)
            shapes[name], home[name] = shape, file.name
    for name, file_name in folders.weight_map(folder).items():
        if home.get(name) != file_name:
            raise folders.missing(
                folder, f"its {folders.WEIGHTS_INDEX} names {name} in {file_name}, which does not hold it"
            )
    return shapes


def _check_one(folder: Path, name: str, shape: Shape, dtype: str, home: Mapping[str, str], file: str) -> None:
    if name in home:
        raise folders.missing(folder, f"{name} is in two of its files, {home[name]} and {file}")
    if len(shape) == 2 and dtype not in _FORMATS:
        raise UnsupportedModel(
            f"{folder.name} has packed weights",
            f"{name} is kept as {dtype}, so the output direction of a neuron cannot be read from it",
            "choose its copy in bfloat16, or a GGUF file, which is unpacked here",
        )


def refuse_adapted(folder: Path, stored: Iterable[str], skeleton: Any) -> None:
    """Raises UnsupportedModel where weights of an adapter lie among those of the model, or in a file beside them.

    They would be left out, and the answers be another model's.
    """
    if any(_ADAPTED.search(name) for name in skeleton.state_dict()):
        return
    found = next((name for name in stored if _ADAPTED.search(name)), None)
    read = set(folders.weight_files(folder))
    for file in sorted(folder.glob("*.safetensors")):
        if file not in read and found is None:
            found = next((name for name in _names(file) if _ADAPTED.search(name)), None)
    if found is not None:
        raise folders.adapted(folder, found)


def _names(file: Path) -> list[str]:
    """The weights in a file beside the model's; none where it cannot be read, which nobody asked for."""
    try:
        with safe_open(file, framework="pt") as weights:
            return list(weights.keys())
    except (OSError, SafetensorError):
        return []


def mapping(names: Iterable[str], skeleton: Any) -> dict[str, str]:
    """What `from_pretrained` must rename, so that the language model of a larger one is found in its files.

    The place is where most of the names of `skeleton`, the language model alone, are found behind one prefix.
    """
    base = f"{skeleton.base_model_prefix}."
    own = set(skeleton.state_dict())
    body = {name.removeprefix(base) for name in own if name.startswith(base)}
    names = list(names)
    place, _ = max(_prefixes(names, body).items(), key=lambda found: found[1], default=(base, 0))
    found = {f"^{re.escape(place)}": base} if place not in (base, "") else {}
    for head in (name for name in own if not name.startswith(base)):
        there = [name for name in names if name.endswith(f".{head}")]
        if head not in names and len(there) == 1:
            found = {f"^{re.escape(there[0])}$": head} | found
    return found


def _prefixes(names: Iterable[str], body: set[str]) -> Counter[str]:
    """How many of the names in `body` are there behind each prefix."""
    counted: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in body:
                counted["".join(f"{part}." for part in parts[:cut])] += 1
    return counted


def judged(name: str, model: Any, report: Mapping[str, Any], shapes: Mapping[str, Shape], partial: bool) -> list[str]:
    """What to tell about weights that were left out, once nothing that matters is missing.

    Args:
        report: what `from_pretrained` tells with `output_loading_info`.
        partial: whether only the language model of a larger one was asked for.
    Raises ModelUnreadable, naming the first weight that is missing, of another shape, or without a place.
    """
    wrong = sorted(report.get("mismatched_keys") or ())
    if wrong:
        key, files, config = wrong[0]
        raise _differs(
            name, f"{key} is {_by(files)} in its files and {_by(config)} by its config.json ({len(wrong)} differ)"
        )
    layers, depth = int(model.config.num_hidden_layers), _depth(shapes)
    missing = sorted(report["missing_keys"])
    if missing:
        raise _lacking(name, missing, layers, depth, report["unexpected_keys"])
    left = [key for key in sorted(report["unexpected_keys"]) if not _harmless(key, shapes)]
    inside = [key for key in left if _is_inside(key, model)]
    if inside:
        deeper = f"it says {layers} layers and they hold {depth}" if not partial and depth > layers else ""
        raise _differs(
            name,
            f"its files hold {len(inside)} weights that its config.json has no place for ({inside[0]} is the first"
            + (f"; {deeper})" if deeper else ")").replace(";", ","),
        )
    if partial or not left:
        return []
    return [
        f"{len(left)} of the weights in its files belong to no part of the language model ({left[0]} is the first)."
    ]


def _by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _depth(shapes: Iterable[str]) -> int:
    """Layers that the files hold."""
    return 1 + max((int(found[1]) for name in shapes if (found := _LAYER.search(name))), default=-1)


def _lacking(name: str, missing: list[str], layers: int, depth: int, others: Iterable[str]) -> ModelError:
    found = [_LAYER.search(key) for key in missing]
    if 0 < depth < layers and all(place and int(place[1]) >= depth for place in found):
        return _differs(name, f"its config.json says {layers} layers and its files hold {depth}")
    called = next((other for other in sorted(others) if other.endswith(f".{missing[0]}")), None)
    if called is not None:
        return ModelUnreadable(
            f"{name} cannot be read",
            f"its weights have other names than Transformers gives them ({called} instead of {missing[0]})",
            "save it once more with save_pretrained of the model itself, not of what was put around it",
        )
    return ModelUnreadable(
        f"{name} cannot be read",
        f"its files lack {len(missing)} of its weights ({missing[0]} is the first)",
        "fetch its files again, or choose another model",
    )


def _differs(name: str, why: str) -> ModelUnreadable:
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
    """Whether it is called as if it were part of the network, and not of another head or tower beside it."""
    first = key.removeprefix(f"{model.base_model_prefix}.").split(".")[0]
    return first in {part for part, _ in model.base_model.named_children()}
