"""The authors' features on disk: which there are for the ids of an experiment, and what they hold.

Owns the reading of act_ID.npy. The rest of their layout is `backend.identify.formats.thunlp`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.identify.formats.thunlp import ANSWER, OTHER
from backend.types.identify import Side
from backend.untrusted import MAX_UNPACKED, array, bytes_of, real

MAX_ARRAY = MAX_UNPACKED + 4096
"""Bytes of one act_ID.npy: its numbers and its heading."""


def read_features(
    ids: Mapping[Side, Sequence[str]], folder: Path
) -> tuple[Float[np.ndarray, "item neuron"], Int[np.ndarray, " item"], list[str], tuple[int, int]]:
    """(features, labels with 1 for wrong, ids, (layers, neurons)); ids without a file are left out, as theirs are.

    Raises BadInput where no file is there, or one differs in shape.
    """
    rows: list[np.ndarray] = []
    labels, kept = [], []
    sides: tuple[tuple[Side, int], ...] = (("wrong", 1), ("right", 0))
    refuse_absent(ids, folder)
    for side, label in sides:
        for key in ids[side]:
            if (path := _file(folder, key)) is not None:
                rows.append(_array(path))
                labels.append(label)
                kept.append(key)
    for key, row in zip(kept, rows, strict=True):
        if row.shape != rows[0].shape:
            raise BadInput(
                f"{folder} holds features of several models",
                f"act_{kept[0]}.npy is {rows[0].shape} and act_{key}.npy {row.shape}, as [layers, neurons]",
                "keep each in its folder",
            )
    layers, neurons = rows[0].shape
    return np.stack([row.ravel() for row in rows]), np.array(labels), kept, (layers, neurons)


def refuse_absent(ids: Mapping[Side, Sequence[str]], folder: Path) -> None:
    """Raises BadInput where there are features of none of the ids."""
    if not any(_file(folder, key) for side in ids.values() for key in side):
        raise BadInput(f"{folder} holds no features", "no act_ID.npy is there for these ids", "name their folder")


def lacking(ids: Mapping[Side, Sequence[str]], folder: Path, *, both: bool) -> list[str]:
    """The ids that have no features, or with `both` not those of both regions: no fit sees them."""
    answer = answers_in(folder)
    places = [answer, *(other for other in [_other_of(folder)] if both and other is not None)]
    return [key for side in ids.values() for key in side if not all(_file(place, key) for place in places)]


def _other_of(folder: Path) -> Path | None:
    """Where the features of the other tokens lie; None where they are not there."""
    places = [folder / OTHER, folder.parent / OTHER] if folder.name == ANSWER else [folder / OTHER]
    return next((place for place in places if os.path.isdir(place)), None)


def _file(folder: Path, key: str) -> Path | None:
    """Where an item's features are; None where there are none."""
    path = folder / f"act_{key}.npy"
    # Of `os`: to it an id too long for a name is no file, to `Path` a failure.
    return path if "/" not in key and "\\" not in key and os.path.isfile(path) else None


def read_both(
    ids: Mapping[Side, Sequence[str]], folder: Path
) -> tuple[
    Float[np.ndarray, "item neuron"], Float[np.ndarray, "item neuron"], Int[np.ndarray, " item"], tuple[int, int]
]:
    """(features over the answer, over the other tokens, labels, (layers, neurons)) of the ids that have both.

    Raises BadInput as `read_features`, and where no folder holds the other tokens.
    """
    beside = _other_of(folder)
    if beside is None:
        raise BadInput(
            f"{folder} holds the answer's tokens alone",
            f"3-vs-1 needs the other tokens too, and no folder {OTHER} is there",
            "read them, or choose 1-vs-1",
        )
    answer, labels, kept, shape = read_features(ids, answers_in(folder))
    other, _, others, other_shape = read_features(ids, beside)
    if shape != other_shape:
        raise BadInput(
            f"{folder} holds features of several models", f"{[shape, other_shape]}", "keep each in its folder"
        )
    row = {key: number for number, key in enumerate(others)}
    both = [(number, row[key]) for number, key in enumerate(kept) if key in row]
    if not both:
        raise BadInput(f"{folder} holds features of different items", "no id has both regions", "read both of the same")
    here, there = map(list, zip(*both, strict=True))
    return answer[here], other[there], labels[here], shape


def answers_in(folder: Path) -> Path:
    """Where the answers' features lie: in the folder, or in the one of that name in it."""
    inner = folder / ANSWER
    return inner if os.path.isdir(inner) else folder


def _array(path: Path) -> np.ndarray:
    found = real(array(bytes_of(path, MAX_ARRAY, name=path.name), path.name), path.name)
    if found.ndim != 2 or not found.size:
        raise BadInput(f"{path.name} is no [layers, neurons]", f"its shape is {found.shape}", "write it again")
    with np.errstate(over="ignore"):
        features = np.asarray(found, dtype=np.float32)
    wrong = ~((found >= 0) & np.isfinite(features))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise _no_cett(path.name, int(row), int(column), found[row, column])
    return features


def _no_cett(name: str, row: int, column: int, value: np.floating | np.integer) -> BadInput:
    """The refusal of a value that no CETT can be. Rows and columns count from 0, as layers and neurons do."""
    place = f"row {row}, column {column} is {value:g}"
    if np.isnan(value):
        return BadInput(
            f"{name} holds features that are no numbers",
            f"{place}, and a region without a token has no CETT",
            "leave such items out",
        )
    if value < 0:
        return BadInput(
            f"{name} holds a negative feature",
            f"{place}, and CETT is a ratio of two lengths, never below 0",
            "write CETT, not activations or differences, or leave the item out",
        )
    return BadInput(
        f"{name} holds a feature that is too large",
        f"{place}, and features are read as float32, which ends at {np.finfo(np.float32).max:.1e}",
        "write CETT, as a ratio of two lengths, or leave the item out",
    )
