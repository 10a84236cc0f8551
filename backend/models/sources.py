"""Where a model comes from: from a name to files on this machine.

A name is a row of the table, a hub name (owner/model), a local directory or a GGUF file. Weights are read from
safetensors or GGUF only and code that comes with a model never runs. Refuses to load (`backend.models.loading`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from backend.errors import ModelUnreadable, UnknownModel, UnsupportedModel
from backend.models import gguf
from backend.models.registry import DEFAULT, ModelRow, find, suggest

Progress = Callable[[str, float], None]
"""Told of a stage and its fraction, 0 to 1."""
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")


@dataclass(frozen=True, slots=True)
class Source:
    """Where to find a model: `place` is a directory, a GGUF file or a hub name."""

    name: str
    kind: Literal["package", "hub", "directory", "gguf"]
    place: str
    row: ModelRow | None = None


def resolve(name: str | None) -> Source:
    """What `name` names; by default the model that ships.

    Raises UnknownModel with what it may have meant.
    """
    name = (name or DEFAULT).strip()
    row = find(name)
    if row is not None:
        return Source(row.name, row.source, row.repo, row)
    path = Path(name).expanduser()
    if path.is_dir():
        return Source(path.resolve().name, "directory", str(path.resolve()))
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Source(path.stem, "gguf", str(path.resolve()))
    looks_local = path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf" or path.exists()
    if name.count("/") == 1 and not looks_local and all(name.split("/")):
        return Source(name, "hub", name)
    meant = suggest(name)
    raise UnknownModel(
        f"There is no model {name[:80]!r}",
        "it is no row of the table, no directory, no .gguf file and no hub name (owner/model)",
        f"did you mean {', '.join(meant)}" if meant else "see the list with 'hneurons models list'",
    )


def is_here(source: Source) -> bool:
    """Whether its files are on this machine already. Asks no network."""
    if source.kind == "package":
        return gguf.converted(gguf.PACKAGED) is not None
    if source.kind == "hub":
        try:
            snapshot_download(source.place, allow_patterns=_HUB_FILES, local_files_only=True)
        except (LocalEntryNotFoundError, OSError, ValueError):
            return False
    return True


def local_path(source: Source, progress: Progress) -> Path:
    """The folder that Transformers loads: fetched or converted where it must be, then checked.

    Raises ModelUnreadable, UnsupportedModel.
    """
    if source.kind == "package":
        folder = gguf.convert(gguf.packaged_file(), source.name, progress, gguf.PACKAGED)
    elif source.kind == "gguf":
        folder = gguf.convert(Path(source.place), source.name, progress)
    elif source.kind == "hub":
        folder = _download(source, progress)
    else:
        folder = Path(source.place)
    check_folder(folder)
    return folder


def _download(source: Source, progress: Progress) -> Path:
    progress(f"fetching {source.place}", 0.0)
    try:
        return Path(snapshot_download(source.place, allow_patterns=_HUB_FILES))
    except RepositoryNotFoundError as error:
        raise UnknownModel(
            f"The hub has no model {source.place}",
            "it does not exist, or it is gated and no access token is set",
            "check the name, or accept its licence on the hub and set HF_TOKEN",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelUnreadable(
            f"{source.place} cannot be fetched",
            f"it is not on this machine and the hub does not answer ({type(error).__name__})",
            "connect to the network once, or give a local directory",
        ) from error


def check_folder(folder: Path) -> None:
    """Refuse a directory that Transformers could not load, naming what is missing.

    Raises ModelUnreadable, UnsupportedModel for an architecture that is no language model here.
    """
    config = _config(folder)
    if not any((folder / name).exists() for name in _TOKENIZERS):
        raise ModelUnreadable(
            f"{folder.name} has no tokenizer",
            f"none of {', '.join(_TOKENIZERS)} is there",
            "copy the tokenizer's files there",
        )
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth"))
        raise ModelUnreadable(
            f"{folder.name} has no weights that can be read",
            "its weights are pickled, and pickle can run code" if pickled else "no .safetensors file is there",
            "save it as safetensors (save_pretrained of Transformers does)" if pickled else "copy the weights there",
        )
    kind = config.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UnsupportedModel(
            f"{folder.name} is of an unknown kind",
            f"its model_type {str(kind)[:60]!r} is no causal language model of Transformers (code that comes with a "
            "model never runs)",
            "choose a model of the table or of a known family",
        )


def _config(folder: Path) -> dict[str, object]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelUnreadable(
            f"{folder.name} is no model directory", "it has no config.json", "give a directory that Transformers saved"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelUnreadable(
            f"{folder.name} has a broken config.json", str(error)[:120], "copy the file again"
        ) from error
    if not isinstance(config, dict):
        raise ModelUnreadable(f"{folder.name} has a broken config.json", "it is no JSON object", "copy the file again")
    return config
