"""The authors' features on disk: for which ids of an experiment they exist, and their values.

Owns the reading of act_ID.npy. The other files of their layout are `backend.identify.formats.thunlp`'s.
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
    """(features, labels with 1 for wrong, ids, (layers, neurons)); ids without a file are left out, as by the authors'
    code.

    Raises BadInput where no file exists, or one differs in shape.
    """
    rows: list[np.ndarray] = []
    labels, found_ids = [], []
    sides: tuple[tuple[Side, int], ...] = (("wrong", 1), ("right", 0))
    refuse_absent(ids, folder)
    for side, label in sides:
        for key in ids[side]:
            if (path := _features_file(folder, key)) is not None:
                rows.append(_read_array(path))
                labels.append(label)
                found_ids.append(key)
    for key, row in zip(found_ids, rows, strict=True):
        if row.shape != rows[0].shape:
            raise BadInput(
                f"{folder} holds features of several models",
                f"act_{found_ids[0]}.npy is {rows[0].shape} and act_{key}.npy {row.shape}, as [layers, neurons]",
                "put those of each model in a folder of its own",
            )
    layers, neurons = rows[0].shape
    return np.stack([row.ravel() for row in rows]), np.array(labels), found_ids, (layers, neurons)


def refuse_absent(ids: Mapping[Side, Sequence[str]], folder: Path) -> None:
    """Raises BadInput where no id has features."""
    if not any(_features_file(folder, key) for side in ids.values() for key in side):
        raise BadInput(f"{folder} holds no features", "no act_ID.npy is there for these ids", "name their folder")


def lacking(ids: Mapping[Side, Sequence[str]], folder: Path, *, both: bool) -> list[str]:
    """The ids that no fit can use: those without features, or with `both` without features of both regions."""
    answer = answers_in(folder)
    places = [
        answer,
        *(folder_of_others for folder_of_others in [_other_folder(folder)] if both and folder_of_others is not None),
    ]
    return [key for side in ids.values() for key in side if not all(_features_file(place, key) for place in places)]


def _other_folder(folder: Path) -> Path | None:
    """The folder with the features of the other tokens; None where there is none."""
    places = [folder / OTHER, folder.parent / OTHER] if folder.name == ANSWER else [folder / OTHER]
    return next((place for place in places if os.path.isdir(place)), None)


def _features_file(folder: Path, key: str) -> Path | None:
    """The file of an item's features; None where there is none."""
    path = folder / f"act_{key}.npy"
    # `os.path.isfile` returns False for an id that is too long for a name; `Path.is_file` raises.
    return path if "/" not in key and "\\" not in key and os.path.isfile(path) else None


def read_both(
    ids: Mapping[Side, Sequence[str]], folder: Path
) -> tuple[
    Float[np.ndarray, "item neuron"], Float[np.ndarray, "item neuron"], Int[np.ndarray, " item"], tuple[int, int]
]:
    """(features over the answer, over the other tokens, labels, (layers, neurons)) of the ids that have both.

    Raises BadInput as `read_features`, and where no folder holds the other tokens.
    """
    other_folder = _other_folder(folder)
    if other_folder is None:
        raise BadInput(
            f"{folder} holds features of the answer's tokens alone",
            f"3-vs-1 needs the other tokens too, and there is no folder {OTHER}",
            "compute them, or choose 1-vs-1",
        )
    answer, labels, answer_ids, shape = read_features(ids, answers_in(folder))
    other, _, other_ids, other_shape = read_features(ids, other_folder)
    if shape != other_shape:
        raise BadInput(
            f"{folder} holds features of several models", f"{[shape, other_shape]}", "keep each in its folder"
        )
    row_of_id = {key: number for number, key in enumerate(other_ids)}
    both = [(number, row_of_id[key]) for number, key in enumerate(answer_ids) if key in row_of_id]
    if not both:
        raise BadInput(f"{folder} holds features of different items", "no id has both regions", "read both of the same")
    answer_rows, other_rows = map(list, zip(*both, strict=True))
    return answer[answer_rows], other[other_rows], labels[answer_rows], shape


def answers_in(folder: Path) -> Path:
    """The folder of the answers' features: `folder`, or its subfolder answer_tokens."""
    inner = folder / ANSWER
    return inner if os.path.isdir(inner) else folder


def _read_array(path: Path) -> np.ndarray:
    numbers = real(array(bytes_of(path, MAX_ARRAY, name=path.name), path.name), path.name)
    if numbers.ndim != 2 or not numbers.size:
        raise BadInput(f"{path.name} is no [layers, neurons]", f"its shape is {numbers.shape}", "write it again")
    with np.errstate(over="ignore"):
        features = np.asarray(numbers, dtype=np.float32)
    is_impossible = ~((numbers >= 0) & np.isfinite(features))
    if is_impossible.any():
        row, column = np.argwhere(is_impossible)[0]
        raise _not_a_cett(path.name, int(row), int(column), numbers[row, column])
    return features


def _not_a_cett(name: str, row: int, column: int, value: np.floating | np.integer) -> BadInput:
    """The error for a value that cannot be a CETT. Rows and columns count from 0, as layers and neurons do."""
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
