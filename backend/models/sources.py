"""Sources of models: from a name to files on this machine.

A name is a row of the table, a hub name (owner/model), a local directory or a GGUF file. Weights are read from
safetensors or GGUF only, and code that comes with a model never runs. Loading is in `backend.models.loading`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend import bundled
from backend.errors import UnknownModel
from backend.models import folders, gguf, hub
from backend.models.progress import Progress
from backend.models.registry import DEFAULT, ModelRow, find, suggest

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where to find a model: `place` is a directory, a GGUF file or a hub name."""

    name: str
    kind: Literal["package", "bundled", "hub", "directory", "gguf"]
    place: str
    row: ModelRow | None = None


def resolve(name: str | None) -> ModelSource:
    """The source of the model called `name`; by default of the model that comes with the program.

    Raises UnknownModel with similar names.
    """
    name = (name or "").strip() or DEFAULT
    row = find(name)
    if row is not None:
        return ModelSource(row.name, row.source, row.repo, row)
    path = Path(os.path.abspath(os.path.expanduser(name)))
    if os.path.isdir(path):
        return ModelSource(path.name, "directory", str(path))
    if os.path.isfile(path) and path.suffix.lower() == ".gguf":
        return ModelSource(path.stem, "gguf", str(path))
    if _HUB_NAME.fullmatch(name) and path.suffix.lower() != ".gguf" and not os.path.exists(path):
        return ModelSource(name, "hub", name)
    meant = suggest(name)
    raise UnknownModel(
        f"There is no model {name[:80]!r}",
        "it is no row of the table, no directory, no .gguf file and no hub name (owner/model)",
        f"did you mean {', '.join(meant)}" if meant else "see the list with 'hneurons models list'",
    )


def is_here(source: ModelSource) -> bool:
    """Whether the model's files are on this machine already. Makes no network request."""
    if source.kind == "package":
        return gguf.converted(gguf.PACKAGED) is not None
    if source.kind == "hub":
        return hub.cached(source.place) is not None
    return True


def local_path(source: ModelSource, progress: Progress) -> Path:
    """The folder that Transformers loads; downloads or converts the model if needed, then checks the folder.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel, StoreError.
    """
    if source.kind == "package":
        folder = gguf.convert(gguf.packaged_file(), source.name, progress, gguf.PACKAGED)
    elif source.kind == "gguf":
        folder = gguf.convert(Path(source.place), source.name, progress)
    elif source.kind == "hub":
        folder = hub.fetch(source.place, progress)
    elif source.kind == "bundled":
        folder = bundled.PLANTED
    else:
        folder = Path(source.place)
    folders.inspect(folder)
    return folder
