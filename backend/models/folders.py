"""What a folder must hold to be a model that Transformers loads without foreign code or pickles.

Owns the inspection of model folders. It reads names and JSON, never weights. It refuses pickled weights,
models that bring their own code, and quantised weights, whose columns are no output directions.
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
"""Beside config.json and the tokenizer, what Transformers reads and expects to be a JSON object."""
_READ = {".json", ".jinja", ".model", ".txt", ".safetensors"}
MAX_TEXT = 128 * 1024**2
"""Bytes of a file other than weights; the largest vocabularies take a quarter of it."""
_TO_SUPPORTED = "choose a model of a family such as Llama, Mistral, Gemma 3, Qwen 3, Phi-3, GPT-2 or GPT-NeoX"


def inspect(folder: Path) -> dict[str, Any]:
    """Its configuration, once everything a model needs is seen to be there.

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
        with told(folder):
            texts.text_of(path)
    adapter = next((name for name in _ADAPTERS if (folder / name).exists()), None)
    if adapter:
        raise adapted(folder, adapter)
    return config


def adapted(folder: Path, what: str) -> UnsupportedModel:
    """The refusal of a model with an adapter, of which `what` was found."""
    return UnsupportedModel(
        f"{folder} holds a model and an adapter beside it",
        f"what {what} changes in the weights is not applied here, so the answers would be another model's",
        "merge it into the model with merge_and_unload of PEFT and save that, or take the adapter's files away",
    )


def adapters_below(folder: Path) -> list[str]:
    """A sentence about adapters in folders of its own, as training leaves them: none is applied."""
    found = sorted(path.parent.name for path in folder.glob("*/adapter_config.json"))
    return [f"The adapter in its folder {found[0]} is not applied: answers are the bare model's."] if found else []


def check_files(folder: Path) -> dict[str, Any]:
    """Its configuration, once every file is seen to be there, whatever the architecture. Raises ModelUnreadable."""
    check_regular(folder)
    config = read_config(folder)
    weight_files(folder)
    for name in _OBJECTS:
        if (folder / name).is_file():
            read_object(folder / name)
    _check_tokenizer(folder / "tokenizer.json")
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        raise missing(folder, "it has no tokenizer (tokenizer.json, or tokenizer.model, or vocab.json with merges.txt)")
    return config


def _templates(folder: Path) -> list[Path]:
    """Its chat templates, those in a folder of their own too."""
    return [*folder.glob("*.jinja"), *folder.glob("*/*.jinja")]


def check_regular(folder: Path) -> None:
    """Let pass a folder whose files can be read to their end.

    A device or a pipe, also behind a link, would be read for ever. Raises ModelUnreadable.
    """
    for path in sorted({*folder.glob("*"), *_templates(folder)}):
        if path.suffix not in _READ:
            continue
        try:
            state = path.stat()
        except OSError as error:
            raise missing(folder, f"its {path.name} cannot be read ({error.strerror})") from error
        if stat.S_ISDIR(state.st_mode):
            continue
        if not stat.S_ISREG(state.st_mode):
            raise missing(folder, f"its {path.name} is a device or a pipe, not a file")
        if path.suffix != ".safetensors" and state.st_size > MAX_TEXT:
            raise missing(folder, f"its {path.name} has {state.st_size:,} bytes, and at most {MAX_TEXT:,} are read")


def _check_tokenizer(path: Path) -> None:
    """Let pass what begins as a JSON object does: `inspect` reads the whole, which may be tens of megabytes."""
    if path.is_file():
        with told(path.parent):
            head = texts.head_of(path)
            instead = texts.stand_in(f"its {path.name}", head)
            if instead is not None:
                raise instead
            if head.lstrip()[:1] != b"{":
                texts.object_of(path)


def read_config(folder: Path) -> dict[str, Any]:
    """The content of its config.json. Raises ModelUnreadable where that is missing or no JSON object."""
    path = folder / "config.json"
    if path.exists() and not path.is_file():
        raise missing(folder, "its config.json is a device, a pipe or a folder, not a file")
    if not path.is_file():
        raise missing(folder, _why_no_config(folder))
    return read_object(path)


def check_config(config: dict[str, Any], where: str) -> None:
    """Let pass an architecture whose neurons can be measured here.

    Raises UnsupportedModel, with `where` the model came from in the sentence.
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
    texts = [part for part in config.values() if isinstance(part, dict)]
    quantised = next((one for part in (config, *texts) if (one := part.get("quantization_config")) is not None), None)
    if quantised is not None:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise UnsupportedModel(
            f"{where} has quantised weights",
            f"they are packed ({method}), so the output direction of a neuron cannot be read from them",
            "choose its copy in bfloat16, or a GGUF file, which is unpacked here",
        )


def weight_files(folder: Path) -> list[Path]:
    """Its safetensors files, in order.

    Raises ModelUnreadable where there are none, or a shard of the index is not there.
    """
    whole, index = folder / WEIGHTS, folder / WEIGHTS_INDEX
    if whole.is_file():
        return [whole]
    if not index.is_file():
        raise _no_weights(folder)
    files = [folder / name for name in sorted(set(weight_map(folder).values()))]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise missing(folder, f"{len(absent)} of its {len(files)} weight files are missing ({absent[0]} is the first)")
    return files


def weight_map(folder: Path) -> dict[str, str]:
    """In which file each weight is, by the index; empty where one file holds them all. Raises ModelUnreadable."""
    if (folder / WEIGHTS).is_file():
        return {}
    shards = read_object(folder / WEIGHTS_INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(_plain(name) for name in shards.values()):
        raise missing(folder, f"its {WEIGHTS_INDEX} names no weight files of that folder")
    return shards


def _plain(name: Any) -> bool:
    """Whether this is the name of a safetensors file in that very folder."""
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object. Raises ModelUnreadable."""
    with told(path.parent):
        return texts.object_of(path)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Within the block, what is wrong with a file of `folder` is the folder's refusal. Raises ModelError."""
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
        return missing(folder, f"it has no weights ({WEIGHTS})")
    return ModelUnreadable(
        f"The weights in {folder} are not read",
        f"they are pickled ({pickles[0]}), and a pickle can run any code when it is opened",
        "convert them to safetensors with save_pretrained in a place you trust, or choose another copy of the model",
    )


def missing(folder: Path, why: str) -> ModelUnreadable:
    """The refusal of a folder whose files are not what they must be."""
    return ModelUnreadable(
        f"The model folder {folder} cannot be loaded",
        why,
        AGAIN,
    )
