"""Loading: from a name to a `LoadedModel`, or to the sentence that says why not.

Owns the order of things: find, work out the memory, refuse, read, wrap. Code that comes with a model never runs.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from backend.errors import ModelTooLarge, ModelUnreadable, UnsupportedModel
from backend.models import devices, folders, gguf, hub, memory
from backend.models.fingerprint import fingerprint
from backend.models.loaded import LoadedModel, wrap
from backend.models.progress import Progress, part, rising
from backend.models.registry import TABLE
from backend.models.sources import Source, is_here, local_path, resolve
from backend.types import ModelChoice

log = logging.getLogger(__name__)


_TEXT_PART = {r"^(model\.)?language_model\.lm_head": "lm_head", r"^(model\.)?language_model\.(model\.)?": "model."}
"""Where a model with a vision tower keeps its language model, and the names that one has by itself.

Only that part is loaded. A whole one would also make TransformerLens install packages while it runs.
"""


def load(
    name: str | None = None, device: str | None = None, dtype: str | None = None, progress: Progress | None = None
) -> LoadedModel:
    """The model that `name` names, ready; by default the one that ships.

    Args:
        device, dtype: as chosen for this machine unless given (`backend.models.devices`).
    Raises UnknownModel, ModelUnreadable, ModelTooLarge, UnsupportedModel, BadSettings, StoreError.
    """
    source = resolve(name)
    chosen = devices.choose_device(device)
    number = devices.choose_dtype(chosen, dtype)
    tell = rising(progress)
    if source.kind == "gguf" or not is_here(source):
        _check_fits(source.name, _announced(source), chosen, number)
    folder = local_path(source, part(tell, 0.0, 0.7))
    _check_fits(source.name, folder_shape(folder), chosen, number)
    tell(f"loading {source.name}", 0.7)
    hf_model, tokenizer = _read(source, folder, chosen, number)
    tell(f"wrapping {source.name}", 0.9)
    named = {"name": source.name, "source": str(folder), "device": chosen, "dtype": number}
    try:
        model = wrap(hf_model, tokenizer, fingerprint=fingerprint(folder, number), **named)
    except ValueError as error:
        raise UnsupportedModel(
            f"{source.name} cannot be taken apart",
            f"TransformerLens does not know its architecture ({type(hf_model).__name__})",
            "choose a model of the table or of a known family",
        ) from error
    tell("ready", 1.0)
    return model


def shape_alone(name: str) -> tuple[str, memory.Shape]:
    """What a model is called and its shape, of its row or configuration: no weight is read, fetched or made room for.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel.
    """
    source = resolve(name)
    if source.row is not None or source.kind == "gguf" or not is_here(source):
        return source.name, _announced(source)
    return source.name, folder_shape(local_path(source, rising(None)))


def _announced(source: Source) -> memory.Shape:
    """The shape of a model that is not here yet: of its row, else of the configuration alone."""
    if source.row is not None:
        return memory.row_shape(source.row)
    if source.kind == "gguf":
        config = gguf.header_config(Path(source.place))
    else:
        folder = hub.config_folder(source.place)
        folders.check_config(folders.read_config(folder), source.name)
        config = _config(folder)
    return memory.shape_of(config, memory.count_parameters(config))


def _check_fits(name: str, shape: memory.Shape, device: devices.Device, dtype: devices.Dtype) -> None:
    half = memory.estimate(shape, "bfloat16") if dtype == "float32" else None
    memory.check_fits(name, memory.estimate(shape, dtype), device, half=half)


def folder_shape(folder: Path) -> memory.Shape:
    """The shape of the model in `folder`, from its configuration and the headers of its weights."""
    try:
        return memory.shape_of(_config(folder), _parameters(folder))
    except (OSError, AttributeError, SafetensorError) as error:
        raise _unreadable(folder.name, error) from error


def _config(folder: Path) -> Any:
    """The configuration of the language model in a folder, without the vision tower that some have."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).get_text_config()
    except Exception as error:  # a configuration class may refuse a value with any error
        raise _unreadable(folder.name, error) from error
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UnsupportedModel(
            f"{folder.name} is of an unknown kind",
            f"Transformers has no causal language model of type {config.model_type!r}",
            "choose a model of the table or of a known family",
        )
    # A text part names no class of its own, and TransformerLens goes by that name.
    config.architectures = config.architectures or [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[config.model_type]]
    return config


def _parameters(folder: Path) -> int:
    """Numbers in the weights' files, read from their headers."""
    total = 0
    for file in folders.weight_files(folder):
        with safe_open(file, framework="pt") as weights:
            # It is no dict: only its list of keys can be gone through.
            keys = weights.keys()
            total += sum(math.prod(weights.get_slice(key).get_shape()) for key in keys)
    return total


def _read(source: Source, folder: Path, device: str, dtype: str) -> tuple[Any, Any]:
    """Model and tokenizer of a folder. Weights that its files lack are never made up."""
    transformers_logging.disable_progress_bar()
    spread = device == "cuda" and torch.cuda.device_count() > 1
    config = _config(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            key_mapping=_TEXT_PART if _has_more_than_text(folder) else None,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            device_map="auto" if spread else None,
        )
        hf_model, report = loaded
        hf_model = hf_model if spread else hf_model.to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelTooLarge(
            f"{source.name} does not fit", f"memory ran out on {device} while it was read", "choose a smaller model"
        ) from error
    except Exception as error:  # a damaged file surfaces as whatever its reader runs into
        raise _unreadable(source.name, error) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelUnreadable(
            f"{source.name} cannot be read",
            f"its files lack {len(missing)} of its weights ({missing[0]} is the first)",
            "fetch its files again, or choose another model",
        )
    if tokenizer.pad_token_id is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return hf_model, tokenizer


def _has_more_than_text(folder: Path) -> bool:
    """Whether the language model is one part of several, as beside a vision tower."""
    return "text_config" in folders.read_config(folder)


def _unreadable(name: str, error: Exception) -> ModelUnreadable:
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    return ModelUnreadable(
        f"{name} cannot be read", first[:200].rstrip(".:"), "fetch its files again, or choose another model"
    )


def choices() -> tuple[ModelChoice, ...]:
    """The table with what each model needs here, and whether it fits and is here."""
    device = devices.choose_device()
    dtype = devices.choose_dtype(device)
    free = devices.free_bytes(device)
    listed = []
    for row in TABLE:
        needs = memory.estimate(memory.row_shape(row), dtype).total
        listed.append(
            ModelChoice(
                name=row.name,
                repo=row.repo,
                source=row.source,
                licence=row.licence,
                family=row.family,
                layers=row.layers,
                neurons=row.neurons,
                parameters=row.parameters,
                context=row.context,
                gated=row.gated,
                note=row.note,
                needs=needs,
                fits=needs <= free,
                here=is_here(Source(row.name, row.source, row.repo, row)),
            )
        )
    return tuple(listed)
