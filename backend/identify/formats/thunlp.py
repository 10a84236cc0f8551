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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.types.identify import Item, Side

SIDES: dict[str, Side] = {"t": "right", "f": "wrong"}
ANSWER, OTHER = "answer_tokens", "all_except_answer_tokens"
"""Folders of features, named as the authors name their regions."""


@dataclass(frozen=True)
class Tokenised:
    """An answered question as the authors publish it."""

    id: str
    question: str
    response: str
    tokens: tuple[str, ...]
    answer: tuple[str, ...]


def read_answers(path: Path) -> list[Tokenised]:
    """All answers of a file. Raises BadInput with the line."""
    found = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            for key, row in json.loads(line).items():
                found.append(
                    Tokenised(
                        str(key),
                        str(row["question"]),
                        str(row["response"]),
                        tuple(map(str, row["tokenized_response"])),
                        tuple(map(str, row["answer_tokens"])),
                    )
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path.name}, line {number} is no answer", f"{error!r}"[:120], "correct it") from error
    return found


def read_ids(path: Path) -> dict[Side, tuple[str, ...]]:
    """The ids of each side. Raises BadInput where one stands on both."""
    try:
        held = json.loads(_text(path))
        found = {side: tuple(map(str, held[key])) for key, side in SIDES.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path.name} holds no ids", f"{error!r}"[:120], "it is {'t': [...], 'f': [...]}") from error
    if both := set(found["right"]) & set(found["wrong"]):
        raise BadInput(
            f"{path.name} names an item twice", f"{len(both)} are right and wrong, {next(iter(both))} first", "decide"
        )
    return found


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
            if "/" not in key and "\\" not in key and path.is_file():
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
    beside = next((place for place in places if place.is_dir()), None)
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
    return inner if inner.is_dir() else folder


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise BadInput(f"{path.name} cannot be read", f"{error}"[:120], "write it again") from error
    if array.ndim != 2:
        raise BadInput(f"{path.name} is no [layers, neurons]", f"its shape is {array.shape}", "write it again")
    return np.asarray(array, dtype=np.float32)


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

    Raises BadInput for a model whose layers differ in width: theirs is one array.
    """
    if features.shape[1] % layers:
        raise BadInput("The layers differ in width", "the authors' files are one array", "write our own artefact")
    (folder if other is None else folder / OTHER).mkdir(parents=True, exist_ok=True)
    ids: dict[str, list[str]] = {"t": [], "f": []}
    lines = []
    for number, (item, row, (all_tokens, answer)) in enumerate(zip(items, features, tokens, strict=True)):
        key = f"q{number:06d}"
        ids["f" if item.side == "wrong" else "t"].append(key)
        np.save(folder / f"act_{key}.npy", np.asarray(row, np.float32).reshape(layers, -1))
        if other is not None:
            np.save(folder / OTHER / f"act_{key}.npy", np.asarray(other[number], np.float32).reshape(layers, -1))
        told: dict[str, Any] = {
            "question": questions[item.question],
            "response": item.response,
            "tokenized_response": list(all_tokens),
            "answer_tokens": list(answer),
        }
        lines.append(json.dumps({key: told}, ensure_ascii=False))
    (folder / "answer_tokens.jsonl").write_bytes("".join(line + "\n" for line in lines).encode())
    (folder / "qids.json").write_text(json.dumps(ids), "utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read", error.strerror or str(error), "check the name") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8", f"byte {error.start}", "save it as UTF-8") from error
