"""Checks that a folder holds a model that Transformers loads without foreign code or pickles.

Owns the inspection of model folders. It reads file names and JSON, never weights. It rejects pickled weights,
models that bring code of their own, and quantised weights, whose columns are not output directions.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from backend.errors import ModelUnreadable, UnsupportedModel
from backend.models.checks import texts
from backend.models.checks.fault import AGAIN, Fault, shown

WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENIZERS: tuple[tuple[str, ...], ...] = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("tekken.json",),
)
_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
_OBJECTS = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Further files that Transformers reads and expects to be JSON objects."""
_READ = {".json", ".jinja", ".model", ".txt", ".safetensors"}
MAX_TEXT = 128 * 1024**2
"""Maximum size in bytes of a file other than weights; the largest vocabularies take a quarter of it."""
_TO_SUPPORTED = "choose a model of a family such as Llama, Mistral, Gemma 3, Qwen 3, Phi-3, GPT-2 or GPT-NeoX"


def inspect(folder: Path) -> dict[str, Any]:
    """The configuration of the model in `folder`, after checking that the folder holds everything a model needs.

    Raises:
        ModelUnreadable: configuration, weights or tokenizer are missing, damaged or only pickled.
        UnsupportedModel: an architecture that is not known or needs foreign code; quantised weights; an adapter.
    """
    config = check_files(folder)
    check_config(config, str(folder))
    vocabulary = next((name for name in ("tokenizer.json", "vocab.json") if (folder / name).is_file()), None)
    if vocabulary:
        read_object(folder / vocabulary)
    for path in _templates(folder):
        with refusing_folder(folder):
            texts.text_of(path)
    adapter = next((name for name in _ADAPTERS if (folder / name).exists()), None)
    if adapter:
        raise adapter_refusal(folder, adapter)
    return config


def adapter_refusal(folder: Path, what: str) -> UnsupportedModel:
    """The error for a model with an adapter; `what` is the file or weight that shows it."""
    return UnsupportedModel(
        f"{folder} holds a model and an adapter beside it",
        f"what {what} changes in the weights is not applied here, so the answers would be another model's",
        "merge it into the model with merge_and_unload of PEFT and save that, or remove the adapter's files",
    )


def adapters_below(folder: Path) -> list[str]:
    """A note about adapters in subfolders, as training leaves them: none is applied."""
    adapters = sorted(path.parent.name for path in folder.glob("*/adapter_config.json"))
    return (
        [f"The adapter in its folder {adapters[0]} is not applied: answers are the bare model's."] if adapters else []
    )


def check_files(folder: Path) -> dict[str, Any]:
    """The configuration of the model in `folder`, after checking that all files are there; any architecture passes.

    Raises ModelUnreadable.
    """
    check_regular(folder)
    config = read_config(folder)
    weight_files(folder)
    for name in _OBJECTS:
        if (folder / name).is_file():
            read_object(folder / name)
    _check_tokenizer(folder / "tokenizer.json")
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        raise folder_refusal(
            folder, "it has no tokenizer (tokenizer.json, or tokenizer.model, or vocab.json with merges.txt)"
        )
    return config


def _templates(folder: Path) -> list[Path]:
    """The chat templates of a model folder, including those in subfolders."""
    return [*folder.glob("*.jinja"), *folder.glob("*/*.jinja")]


def check_regular(folder: Path) -> None:
    """Check that all files of the folder are regular files of a sensible size. Raises ModelUnreadable.

    A device or a pipe, also behind a link, could be read for ever.
    """
    for path in sorted({*folder.glob("*"), *_templates(folder)}):
        if path.suffix not in _READ:
            continue
        try:
            state = path.stat()
        except OSError as error:
            raise folder_refusal(folder, f"its {path.name} cannot be read ({error.strerror})") from error
        if stat.S_ISDIR(state.st_mode):
            continue
        if not stat.S_ISREG(state.st_mode):
            raise folder_refusal(folder, f"its {path.name} is a device or a pipe, not a file")
        if path.suffix != ".safetensors" and state.st_size > MAX_TEXT:
            raise folder_refusal(
                folder, f"its {path.name} has {state.st_size:,} bytes, and at most {MAX_TEXT:,} are read"
            )


def _check_tokenizer(path: Path) -> None:
    """Check that the file begins like a JSON object. Only `inspect` reads all of it, which may be tens of megabytes."""
    if path.is_file():
        with refusing_folder(path.parent):
            head = texts.head_of(path)
            instead = texts.stand_in(f"its {path.name}", head)
            if instead is not None:
                raise instead
            if head.lstrip()[:1] != b"{":
                texts.object_of(path)


def read_config(folder: Path) -> dict[str, Any]:
    """The content of the folder's config.json. Raises ModelUnreadable if it is missing or not a JSON object."""
    path = folder / "config.json"
    if path.exists() and not path.is_file():
        raise folder_refusal(folder, "its config.json is a device, a pipe or a folder, not a file")
    if not path.is_file():
        raise folder_refusal(folder, _why_no_config(folder))
    return read_object(path)


def check_config(config: dict[str, Any], where: str) -> None:
    """Check that the neurons of this architecture can be measured.

    Raises UnsupportedModel; `where` names the model in the message.
    """
    kind = config.get("model_type")
    named = config.get("architectures")
    names = ", ".join(map(str, named)) if isinstance(named, list) and named else "none named"
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        own_code = ", and it would run code of its own, which is never allowed here" if config.get("auto_map") else ""
        told_kind = "its config.json names no model_type" if kind is None else f"its model type is {shown(kind)}"
        raise UnsupportedModel(
            f"{where} has an unknown architecture", f"{told_kind} ({names}){own_code}", _TO_SUPPORTED
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise UnsupportedModel(
            f"{where} is not a language model", f"models of type {kind!r} ({names}) do not continue text", _TO_SUPPORTED
        )
    sections = [part for part in config.values() if isinstance(part, dict)]
    quantised = next(
        (setting for part in (config, *sections) if (setting := part.get("quantization_config")) is not None), None
    )
    if quantised is not None:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise UnsupportedModel(
            f"{where} has quantised weights",
            f"they are packed ({method}), so the output direction of a neuron cannot be read from them",
            "choose its copy in bfloat16, or a GGUF file, which is unpacked here",
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the folder, in order.

    Raises ModelUnreadable if there are none, or if a shard that the index names is missing.
    """
    whole, index = folder / WEIGHTS, folder / WEIGHTS_INDEX
    if whole.is_file():
        return [whole]
    if not index.is_file():
        raise _no_weights(folder)
    files = [folder / name for name in sorted(set(weight_map(folder).values()))]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise folder_refusal(
            folder, f"{len(absent)} of its {len(files)} weight files are missing ({absent[0]} is the first)"
        )
    return files


def weight_map(folder: Path) -> dict[str, str]:
    """Name of a weight -> name of its file, by the index; empty if one file holds them all. Raises ModelUnreadable."""
    if (folder / WEIGHTS).is_file():
        return {}
    shards = read_object(folder / WEIGHTS_INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(_is_weight_file_name(name) for name in shards.values()):
        raise folder_refusal(folder, f"its {WEIGHTS_INDEX} names no weight files of that folder")
    return shards


def _is_weight_file_name(name: Any) -> bool:
    """Whether this is the name of a safetensors file in the same folder."""
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object. Raises ModelUnreadable."""
    with refusing_folder(path.parent):
        return texts.object_of(path)


@contextmanager
def refusing_folder(folder: Path) -> Iterator[None]:
    """Within the block, a Fault is raised as the ModelError about `folder`."""
    try:
        yield
    except Fault as fault:
        raise fault.of_folder(folder) from fault


def _why_no_config(folder: Path) -> str:
    gguf = sorted(folder.glob("*.gguf"))
    if gguf:
        return f"it has no config.json, but {gguf[0].name}, which can be named itself"
    if (folder / "adapter_config.json").is_file():
        return "it holds an adapter (adapter_config.json), not a whole model"
    return "it has no config.json"


def _no_weights(folder: Path) -> ModelUnreadable:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if not pickles:
        return folder_refusal(folder, f"it has no weights ({WEIGHTS})")
    return ModelUnreadable(
        f"The weights in {folder} are not read",
        f"they are pickled ({pickles[0]}), and a pickle can run any code when it is opened",
        "convert them to safetensors with save_pretrained in a place you trust, or choose another copy of the model",
    )


def folder_refusal(folder: Path, why: str) -> ModelUnreadable:
    """The error for a folder that has missing or unusable files."""
    return ModelUnreadable(
        f"The model folder {folder} cannot be loaded",
        why,
        AGAIN,
    )
