"""The authors' own files: answers with their tokens, ids of right and wrong ones, and features on disk.

Owns their layout (thunlp/H-Neurons) both ways, and their way of finding an answer's tokens, so that their data can
be read as they read it and our features be given to their classifier:

    *_answer_tokens_*.jsonl    {qid: {question, response, tokenized_response, answer_tokens}} a line
    *_qids.json                {"t": [ids of right ones], "f": [ids of wrong ones]}
    act_QID.npy                float32 [layers, neurons], the mean CETT over a region; of the tokens beside the answer
                               in the folder all_except_answer_tokens, which lies in or beside answer_tokens

Lines end at "\\n" alone: answers hold U+2028 and the like, at which other readers break a line in two.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput, BadSettings
from backend.outside import MAX_UNPACKED, array, bytes_of, json_value, real
from backend.types.identify import Item, Side

SIDES: dict[str, Side] = {"t": "right", "f": "wrong"}
ANSWER, OTHER = "answer_tokens", "all_except_answer_tokens"
"""Folders of features, named as the authors name their regions."""
IDS = "qids.json"
MAX_TEXTS = 256 * 1024**2
"""Bytes of a file of answers or ids."""
MAX_ARRAY = MAX_UNPACKED + 4096
"""Bytes of one act_ID.npy: its numbers and its heading."""


@dataclass(frozen=True)
class Tokenised:
    """An answered question as the authors publish it."""

    id: str
    question: str
    response: str
    tokens: tuple[str, ...]
    answer: tuple[str, ...]


def read_answers(path: Path) -> list[Tokenised]:
    """All answers of a file. Raises BadInput with the line, also for an id that was answered before."""
    found: dict[str, Tokenised] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        told = json_value(line, place)
        try:
            answers = [
                Tokenised(
                    key,
                    str(row["question"]),
                    str(row["response"]),
                    _words(row["tokenized_response"]),
                    _words(row["answer_tokens"]),
                )
                for key, row in told.items()
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{place} is no answer", f"{error!r}"[:120], "correct it") from error
        for one in answers:
            if one.id in found:
                raise BadInput(
                    f"{place} answers {one.id[:60]} again",
                    "an id belongs to one answer, and which is meant is not told",
                    "leave one of them out",
                )
            found[one.id] = one
    return list(found.values())


def read_ids(path: Path) -> dict[Side, tuple[str, ...]]:
    """The ids of each side. Raises BadInput where one stands on both or twice: it would be fitted on and judged by."""
    held = json_value(_text(path), path.name)
    instead = "write {'t': [...], 'f': [...]}"
    if not isinstance(held, dict) or not set(SIDES) <= set(held):
        raise BadInput(f"{path.name} holds no ids", "it has no lists named t and f", instead)
    try:
        found = {side: _words(held[key]) for key, side in SIDES.items()}
    except TypeError as error:
        raise BadInput(f"{path.name} holds no ids", str(error), instead) from error
    _refuse_twice(found, path.name)
    return found


def _refuse_twice(ids: Mapping[Side, Sequence[str]], name: str) -> None:
    counts = Counter(key for side in ids.values() for key in side)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        where = " and ".join(side for side in ids if twice[0] in ids[side])
        more = f", and {len(twice) - 1:,} more are there so" if len(twice) > 1 else ""
        raise BadInput(
            f"{name} names an item twice",
            f"{twice[0][:60]} stands there {counts[twice[0]]} times, as {where}{more}",
            "leave each id in one place",
        )


def _words(value: Any) -> tuple[str, ...]:
    """The texts and numbers of a list, as texts. Raises TypeError for anything else: a text alone would be letters."""
    if not isinstance(value, list) or not all(isinstance(one, (str, int)) for one in value):
        raise TypeError(f"{str(value)[:40]} is no list of texts")
    return tuple(map(str, value))


def spelled(tokens: Sequence[str]) -> tuple[str, ...]:
    """Tokens as a tokenizer decodes each of them, where the file has its vocabulary's marks for a space."""
    return tuple(token.replace("\u2581", " ").replace("\u0120", " ") for token in tokens)


def official_span(tokens: Sequence[str], answer: Sequence[str]) -> tuple[int, int] | None:
    """Where the answer's tokens stand in the response: the first exact run of them; None where they do not.

    Source: the authors' extract_activations.py, which skips what it does not find without a word.
    """
    size = len(answer)
    if not size:
        return None
    wanted = tuple(answer)
    starts = (start for start in range(len(tokens) - size + 1) if tuple(tokens[start : start + size]) == wanted)
    start = next(starts, None)
    return None if start is None else (start, start + size)


def read_features(
    ids: Mapping[Side, Sequence[str]], folder: Path
) -> tuple[Float[np.ndarray, "item neuron"], Int[np.ndarray, " item"], list[str], tuple[int, int]]:
    """(features, labels with 1 for wrong, ids, (layers, neurons)); ids without a file are left out, as theirs are.

    Raises BadInput where no file is there, or one differs in shape.
    """
    rows: list[np.ndarray] = []
    labels, kept = [], []
    sides: tuple[tuple[Side, int], ...] = (("wrong", 1), ("right", 0))
    for side, label in sides:
        for key in ids[side]:
            path = folder / f"act_{key}.npy"
            # Of `os`: to it an id too long for a name is no file, to `Path` a failure.
            if "/" not in key and "\\" not in key and os.path.isfile(path):
                rows.append(_array(path))
                labels.append(label)
                kept.append(key)
    if not rows:
        raise BadInput(f"{folder} holds no features", "no act_ID.npy is there for these ids", "name their folder")
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise BadInput(f"{folder} holds features of several models", f"{sorted(shapes)}", "keep each in its folder")
    layers, neurons = rows[0].shape
    return np.stack([row.ravel() for row in rows]), np.array(labels), kept, (layers, neurons)


def read_both(
    ids: Mapping[Side, Sequence[str]], folder: Path
) -> tuple[
    Float[np.ndarray, "item neuron"], Float[np.ndarray, "item neuron"], Int[np.ndarray, " item"], tuple[int, int]
]:
    """(features over the answer, over the other tokens, labels, (layers, neurons)) of the ids that have both.

    Raises BadInput as `read_features`, and where no folder holds the other tokens.
    """
    places = [folder / OTHER, folder.parent / OTHER] if folder.name == ANSWER else [folder / OTHER]
    beside = next((place for place in places if os.path.isdir(place)), None)
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
    if found.ndim != 2:
        raise BadInput(f"{path.name} is no [layers, neurons]", f"its shape is {found.shape}", "write it again")
    return np.asarray(found, dtype=np.float32)


def ready(folder: Path) -> None:
    """The folders of an export, made where they are not there: asked before a model is loaded. Raises BadSettings."""
    with _writing(folder):
        (folder / OTHER).mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises BadSettings where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise BadSettings(
            f"{folder} cannot be written", error.strerror or str(error), "choose another place"
        ) from error


def write(
    folder: Path,
    items: Sequence[Item],
    questions: Mapping[str, str],
    features: Float[np.ndarray, "item neuron"],
    layers: int,
    tokens: Sequence[tuple[Sequence[str], Sequence[str]]],
    other: Float[np.ndarray, "item neuron"] | None = None,
) -> None:
    """Items with their features in the authors' layout; `tokens` are each response's and its answer's.

    `other` are the features over the other tokens, which 3-vs-1 needs.

    The ids come last: without them nothing is fitted on what was begun and not finished.

    Raises BadInput for a model whose layers differ in width: theirs is one array. BadSettings where the folder cannot
    be written.
    """
    if features.shape[1] % layers:
        raise BadInput("The layers differ in width", "the authors' files are one array", "write our own artefact")
    keys = [f"q{number:06d}" for number in range(len(items))]
    ids = {mark: [key for key, item in zip(keys, items, strict=True) if item.side == SIDES[mark]] for mark in SIDES}
    lines = []
    for key, item, (all_tokens, answer) in zip(keys, items, tokens, strict=True):
        told: dict[str, Any] = {
            "question": questions[item.question],
            "response": item.response,
            "tokenized_response": list(all_tokens),
            "answer_tokens": list(answer),
        }
        lines.append(json.dumps({key: told}, ensure_ascii=False))
    regions = {folder: features} | ({} if other is None else {folder / OTHER: other})
    with _writing(folder):
        (folder / IDS).unlink(missing_ok=True)
        for place, rows in regions.items():
            place.mkdir(parents=True, exist_ok=True)
            for key, row in zip(keys, rows, strict=True):
                np.save(place / f"act_{key}.npy", np.asarray(row, np.float32).reshape(layers, -1))
        (folder / "answer_tokens.jsonl").write_bytes("".join(line + "\n" for line in lines).encode())
        (folder / IDS).write_text(json.dumps(ids), "utf-8")


def _text(path: Path) -> str:
    try:
        return bytes_of(path, MAX_TEXTS, name=path.name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8", f"byte {error.start}", "save it as UTF-8") from error
