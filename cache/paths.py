"""Where the program keeps its data on disk.

Owns the one folder that holds everything (`HNEURONS_HOME`, else `cache/data` beside this file)
and the check that a name from outside does not lead out of its folder. It creates nothing: the
writer creates the folder.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from cache.errors import PathEscapes

HOME_VARIABLE = "HNEURONS_HOME"
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def home() -> Path:
    """The absolute folder of all data. Read from the environment at each call."""
    chosen = os.environ.get(HOME_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(__file__).resolve().parent / "data"


def results_dir() -> Path:
    """The folder of stored results (the root of the `Store`)."""
    return home() / "results"


def models_dir() -> Path:
    """The folder of converted and downloaded models, one folder for each."""
    return home() / "models"


def inside(root: Path, name: str) -> Path:
    """The absolute path of `name`, strictly below `root`; links are resolved before the check.

    `name` may contain forward slashes (`org/model`).

    Raises:
        PathEscapes: it is empty, absolute (on any operating system), contains `..` or a control character, or is
            a link that leads out of `root`.
    """
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise _escapes(root, name, "it is absolute or climbs out with '..'")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise _escapes(root, name, "it holds a control character")
    base = root.resolve()
    path = (base / name).resolve()
    if path == base or not path.is_relative_to(base):
        raise _escapes(root, name, "it does not name something inside that folder")
    return path


def portable(name: str) -> bool:
    """Whether every operating system can have a file or folder of this name; with slashes, each part is checked.

    Windows reserves some names for devices, whatever their extension, and removes dots and spaces at the end.
    """
    parts = name.split("/")
    return not any(part.endswith((".", " ")) or part.split(".")[0].rstrip().upper() in _DEVICES for part in parts)


def _escapes(root: Path, name: str, why: str) -> PathEscapes:
    return PathEscapes(f"{name[:80]!r} cannot be a name in {root}", why, "use a plain name without '..'")
