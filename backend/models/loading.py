"""Loading: from a name to a `LoadedModel`, or to an error that says why not.

Owns the order of the steps: find, estimate the memory, check, read, wrap. Code that comes with a model never runs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from backend.errors import HNeuronsError, ModelError, ModelTooLarge, UnsupportedModel
from backend.forward import reference, templating
from backend.models import devices, folders, gguf, hub, memory, settings, weights
from backend.models.checks import blame, fields, tokens
from backend.models.checks.fault import Fault
from backend.models.fingerprint import fingerprint
from backend.models.loaded import LoadedModel, wrap
from backend.models.progress import Progress, part, rising
from backend.models.registry import TABLE
from backend.models.sources import ModelSource, is_here, local_path, resolve
from backend.types import ModelChoice
from backend.untrusted import no_panic

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Described:
    """A model folder before its weights are read: configuration of the language model, its shape, weight names."""

    config: Any
    shape: memory.Shape
    stored: dict[str, weights.Shape]
    partial: bool
    """Whether the language model is one part of several, as beside a vision tower. Only this part is loaded: with the
    others TransformerLens would install packages at run time."""
    mapping: dict[str, str]


@no_panic()
def load(
    name: str | None = None, device: str | None = None, dtype: str | None = None, progress: Progress | None = None
) -> LoadedModel:
    """Load the model called `name`; by default the one that comes with the program.

    Args:
        device, dtype: by default chosen for this machine (`backend.models.devices`).
    Raises UnknownModel, ModelUnreadable, ModelTooLarge, UnsupportedModel, BadSettings, StoreError.
    """
    source = resolve(name)
    chosen = devices.choose_device(device)
    number = devices.choose_dtype(chosen, dtype)
    report = rising(progress)
    folder, described = _check_and_fetch(source, chosen, number, part(report, 0.0, 0.7))
    report(f"loading {source.name}", 0.7)
    hf_model, tokenizer, load_notes = _read_weights(source, folder, described, chosen, number)
    if tokenizer.chat_template:
        templating.warm()
    report(f"wrapping {source.name}", 0.9)
    named = {"name": source.name, "source": str(folder), "device": chosen, "dtype": number}
    model = _wrap_or_refuse(hf_model, tokenizer, fingerprint=fingerprint(folder, number), **named)
    notes = (*load_notes, *model.info.notes, *reference.notes(model))
    for note in notes:
        log.warning("%s: %s", source.name, note)
    report("ready", 1.0)
    return replace(model, info=model.info.model_copy(update={"notes": notes}))


def _wrap_or_refuse(hf_model: Any, tokenizer: Any, **named: str) -> LoadedModel:
    try:
        return wrap(hf_model, tokenizer, **named)
    except HNeuronsError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(named["name"], named["device"]) from error
    except Exception as error:  # an architecture that is not known surfaces as whatever its absence runs into
        log.info("%s cannot be wrapped", named["name"], exc_info=True)
        raise UnsupportedModel(
            f"{named['name']} cannot be taken apart",
            f"the parts of {type(hf_model).__name__} are not laid out as this program follows them",
            "choose a model of the table or of a known family",
        ) from error


@no_panic()
def shape_alone(name: str) -> tuple[str, memory.Shape]:
    """(name, shape) of a model, from its table row or configuration: weights are neither read nor downloaded.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel.
    """
    source = resolve(name)
    if source.row is not None or source.kind == "gguf" or not is_here(source):
        return source.name, _shape_before_fetch(source)
    folder = local_path(source, rising(None))
    return source.name, _shape_of_config(_language_config(folder)[0], folder)


def _shape_before_fetch(source: ModelSource) -> memory.Shape:
    """The shape of a model that is not on this machine yet: from its table row, else from its configuration alone."""
    if source.row is not None:
        return memory.row_shape(source.row)
    if source.kind == "gguf":
        file = Path(source.place)
        return _shape_of_config(gguf.header_config(file), file, gguf.parameters(file))
    folder = hub.config_folder(source.place)
    folders.check_config(folders.read_config(folder), source.name)
    return _shape_of_config(_language_config(folder)[0], folder)


def _shape_of_config(config: Any, place: Path, at_least: int = 0) -> memory.Shape:
    """The shape from the configuration of a folder or file, with at least `at_least` parameters."""
    try:
        memory.least_shape(config)
        return memory.shape_of(config, max(at_least, memory.count_parameters(config)))
    except HNeuronsError:
        raise
    except Fault as fault:
        raise _as_header_fault(fault).of_file(place) if place.is_file() else fault.of_folder(place) from fault
    except Exception as error:  # a model's class may refuse its configuration with any error
        raise _config_refusal(place, error) from error


def _check_and_fetch(
    source: ModelSource, device: devices.Device, dtype: devices.Dtype, progress: Progress, freed: int = 0
) -> tuple[Path, Described]:
    """The folder of a model and what it holds, after all checks that are possible before its weights are read."""
    if source.kind == "gguf" or not is_here(source):
        _check_fits(source.name, _shape_before_fetch(source), device, dtype, freed)
    folder = local_path(source, progress)
    return folder, describe(folder, lambda shape: _check_fits(source.name, shape, device, dtype, freed))


def _check_fits(name: str, shape: memory.Shape, device: devices.Device, dtype: devices.Dtype, freed: int = 0) -> None:
    half = memory.estimate(shape, "bfloat16") if dtype == "float32" else None
    free = devices.free_bytes(device) + freed if freed else None
    memory.check_fits(name, memory.estimate(shape, dtype), device, free, half=half)


@no_panic()
def describe(folder: Path, fits: Callable[[memory.Shape], None] = lambda shape: None) -> Described:
    """What is in `folder`, from its configuration and the headers of its weights, checked against each other.

    Args:
        fits: raises ModelTooLarge for a shape that does not fit in memory; first called with a lower bound, before
            any module is built.
    Raises ModelUnreadable, UnsupportedModel, and whatever `fits` raises.
    """
    config, partial = _language_config(folder)
    try:
        fits(memory.least_shape(config))
        stored = weights.stored_shapes(folder)
        skeleton = memory.skeleton(config)
        weights.refuse_adapted(folder, stored, skeleton)
        mapping = weights.key_mapping(stored, skeleton) if partial else {}
        built = sum(parameter.numel() for parameter in skeleton.parameters())
        in_files = sum(math.prod(shape) for shape in stored.values())
        shape = memory.shape_of(config, max(built, in_files))
        fits(shape)
    except HNeuronsError:
        raise
    except Fault as fault:
        raise fault.of_folder(folder) from fault
    except Exception as error:  # a model's class may refuse its configuration with any error
        raise _config_refusal(folder, error) from error
    return Described(config, shape, stored, partial, mapping)


def _language_config(folder: Path) -> tuple[Any, bool]:
    """The configuration of the language model in a folder, and whether it is one part of several."""
    with folders.refusing_folder(folder):
        fields.check(folders.read_config(folder))
    try:
        whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = whole.get_text_config()
        kind = str(config.model_type)
    except Exception as error:  # a configuration class may refuse a value with any error
        raise _config_refusal(folder, error) from error
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UnsupportedModel(
            f"{folder.name} is of an unknown kind",
            f"Transformers has no causal language model of type {kind!r}",
            "choose a model of the table or of a known family",
        )
    encoder = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and kind not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    if encoder and not getattr(config, "is_decoder", False):
        raise UnsupportedModel(
            f"{folder.name} does not continue text",
            f"as a model of type {kind!r} whose configuration is no decoder's it reads forwards and backwards",
            "choose a model of the table or of a known family",
        )
    # TransformerLens chooses by the class name: it must be the class that is loaded.
    config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]]
    padding = getattr(config, "pad_token_id", None)
    if isinstance(padding, int) and not 0 <= padding < getattr(config, "vocab_size", math.inf):
        # The padding token is never read, and one outside the vocabulary has no row in the embedding.
        config.pad_token_id = None
    _set_plain_forward(config)
    with folders.refusing_folder(folder):
        fields.settle_window(config)
    partial = config is not whole
    if partial:
        # The setting of the whole model overrides that of its text part.
        config.tie_word_embeddings = getattr(whole, "tie_word_embeddings", config.tie_word_embeddings)
    return config, partial


def _set_plain_forward(config: Any) -> None:
    """Override settings of a configuration that change the output of the forward pass, or the attention kernel.

    Other attention kernels give the same results, and may have to be downloaded.
    """
    config.output_attentions = config.output_hidden_states = False
    config.return_dict = True
    config._attn_implementation = None


def _read_weights(
    source: ModelSource, folder: Path, described: Described, device: str, dtype: str
) -> tuple[Any, Any, list[str]]:
    """(model, tokenizer, notes about them) of a folder. Missing weights are an error, never initialised at random."""
    transformers_logging.disable_progress_bar()
    spread = device == "cuda" and torch.cuda.device_count() > 1
    tokenizer = _load_tokenizer(source.name, folder)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=described.config,
            key_mapping=described.mapping or None,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            # Mismatches are reported below; Transformers' own error would only refer to a table in its log.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            device_map="auto" if spread else None,
        )
        hf_model, report = loaded
        hf_model = hf_model if spread else hf_model.to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(source.name, device) from error
    except Exception as error:  # a damaged file surfaces as whatever its reader runs into
        log.info("%s: its weights cannot be read", folder, exc_info=True)
        with folders.refusing_folder(folder):
            raise tokens.generation_fault(folder) or Fault(
                "its weights cannot be put into the model that its config.json describes, and the library that tries "
                "it names none of them"
            ) from error
    notes = weights.check_loaded(source.name, hf_model, report, described.stored, described.partial)
    notes += settings.check_settings(source.name, hf_model, tokenizer, folder)
    return hf_model, tokenizer, notes


def _out_of_memory(name: str, device: str) -> ModelTooLarge:
    return ModelTooLarge(
        f"{name} does not fit", f"memory ran out on {device} while it was read", "choose a smaller model"
    )


def _load_tokenizer(name: str, folder: Path) -> Any:
    try:
        with no_panic():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except MemoryError as error:
        raise _out_of_memory(name, "cpu") from error
    except Exception as error:  # a damaged file surfaces as whatever its reader runs into
        log.info("%s: its tokenizer cannot be read", folder, exc_info=True)
        raise _own_code_refusal(folder, error) or tokens.tokenizer_fault(folder).of_folder(folder) from error


def _config_refusal(place: Path, error: Exception) -> ModelError:
    """The error for a configuration, of a folder or in the header of a file, from which no model could be made."""
    log.info("%s: no model can be made of its configuration", place, exc_info=error)
    if place.is_file():
        return gguf.conversion_refusal(place, error)
    return _own_code_refusal(place, error) or blame.field(folders.read_config(place), error).of_folder(place)


def _as_header_fault(fault: Fault) -> Fault:
    """`fault`, reworded for a configuration that was made from the header of a file."""
    return Fault(fault.why.replace("its config.json says that", "by its header"), fault.instead, ours=fault.ours)


def _own_code_refusal(folder: Path, error: Exception) -> UnsupportedModel | None:
    if "trust_remote_code" not in str(error):
        return None
    return UnsupportedModel(
        f"{folder.name} brings code of its own",
        "its model or tokenizer is a program in its folder, and none of these is ever run here",
        "choose a model of a known family, or its copy in the form of Transformers",
    )


def choices() -> tuple[ModelChoice, ...]:
    """The table of models, with the memory that each needs, whether it fits, and whether it is on this machine."""
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
                here=is_here(ModelSource(row.name, row.source, row.repo, row)),
            )
        )
    return tuple(listed)


@no_panic()
def prepare(
    name: str | None, device: str | None, dtype: str | None, progress: Progress | None = None, freed: int = 0
) -> None:
    """Run all steps of `load` that need no weights in memory, downloads and checks included. Raises as `load` does.

    Args:
        freed: bytes of the device that will become free in addition to those that are free now.
    """
    source = resolve(name)
    chosen = devices.choose_device(device)
    number = devices.choose_dtype(chosen, dtype)
    _check_and_fetch(source, chosen, number, rising(progress), freed)
