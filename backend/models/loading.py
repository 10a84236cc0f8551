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
from transformers.utils import logging as transformers_logging

from backend.errors import ModelUnreadable
from backend.models import devices, memory
from backend.models.fingerprint import fingerprint
from backend.models.loaded import LoadedModel, wrap
from backend.models.registry import TABLE
from backend.models.sources import Progress, Source, is_here, local_path, resolve
from backend.types import ModelChoice

log = logging.getLogger(__name__)


def ignore(stage: str, fraction: float) -> None:
    """Progress that nobody watches."""


def load(
    name: str | None = None, device: str | None = None, dtype: str | None = None, progress: Progress = ignore
) -> LoadedModel:
    """The model that `name` names, ready; by default the one that ships.

    Args:
        device, dtype: as chosen for this machine unless given (`backend.models.devices`).
    Raises UnknownModel, ModelUnreadable, ModelTooLarge, UnsupportedModel, BadSettings, StoreError.
    """
    source = resolve(name)
    chosen = devices.choose_device(device)
    number = devices.choose_dtype(chosen, dtype)
    if source.row is not None and not is_here(source):
        memory.check_fits(source.name, memory.estimate(memory.row_shape(source.row), number), chosen)
    folder = local_path(source, progress)
    memory.check_fits(source.name, folder_estimate(folder, number), chosen)
    progress(f"loading {source.name}", 0.3)
    hf_model, tokenizer = _read(source, folder, chosen, number)
    progress(f"wrapping {source.name}", 0.8)
    model = wrap(
        hf_model,
        tokenizer,
        name=source.name,
        source=str(folder),
        fingerprint=fingerprint(folder, number),
        device=chosen,
        dtype=number,
    )
    progress("ready", 1.0)
    return model


def folder_estimate(folder: Path, dtype: str) -> memory.MemoryEstimate:
    """Memory of the model in `folder`, from its configuration and the headers of its weights."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        return memory.estimate(memory.shape_of(config, _parameters(folder)), dtype)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise _unreadable(folder.name, error) from error


def _parameters(folder: Path) -> int:
    """Numbers in the weights' files, read from their headers."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            total += sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118  # safe_open is no dict
    return total


def _read(source: Source, folder: Path, device: str, dtype: str) -> tuple[Any, Any]:
    transformers_logging.disable_progress_bar()
    spread = device == "cuda" and torch.cuda.device_count() > 1
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        hf_model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            use_safetensors=True,
            device_map="auto" if spread else None,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unreadable(source.name, error) from error
    if tokenizer.pad_token_id is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return hf_model if spread else hf_model.to(device), tokenizer


def _unreadable(name: str, error: Exception) -> ModelUnreadable:
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    return ModelUnreadable(f"{name} cannot be read", first[:200], "fetch its files again, or choose another model")


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
