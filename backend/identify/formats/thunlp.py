"""The authors' own files: answers with their tokens, ids of right and wrong ones, and features on disk.

Owns their layout (thunlp/H-Neurons) both ways, and their way of finding an answer's tokens, so that their data can
be read as they read it and our features be given to their classifier:

    *_answer_tokens_*.jsonl    {qid: {question, response, tokenized_response, answer_tokens}} a line
    *_qids.json                {"t": [ids of right ones], "f": [ids of wrong ones]}; train_ and test_ lie apart
    act_QID.npy                float32 [layers, neurons], the mean CETT over a region; of the tokens beside the answer
                               in the folder all_except_answer_tokens, which lies in or beside answer_tokens

Lines end at "\\n" alone: answers hold U+2028 and the like, at which other readers break a line in two.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from backend.errors import BadInput, BadSettings
from backend.types.identify import Side
from backend.untrusted import bytes_of, json_value, text_of
from cache import atomic
from cache.errors import cause

SIDES: dict[str, Side] = {"t": "right", "f": "wrong"}
ANSWER, OTHER = "answer_tokens", "all_except_answer_tokens"
"""Folders of features, named as the authors name their regions."""
IDS = "qids.json"
_NO_NAME = re.compile(r"[/\\\x00-\x1f\x7f]" if os.name != "nt" else r"[/\\\x00-\x1f\x7f:*?\"<>|]")
MAX_ID = 200
"""Bytes of an id in the name of a file."""
MAX_TEXTS = 256 * 1024**2
"""Bytes of a file of answers or ids."""


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
        if not isinstance(told, dict):
            raise BadInput(f"{place} is no answer", "it is no object of answers by their ids", "correct it")
        for one in (_answer(key, row, place) for key, row in told.items()):
            if one.id in found:
                raise BadInput(
                    f"{place} answers {one.id[:60]} again",
                    "an id belongs to one answer, and which is meant is not told",
                    "leave one of them out",
                )
            found[one.id] = one
    return list(found.values())


def _answer(id: str, row: Any, place: str) -> Tokenised:
    """An answer by its parts. Raises BadInput that names the part which is not there or is of another kind."""
    held = row if isinstance(row, dict) else {}
    for part in ("question", "response"):
        if not isinstance(held.get(part), str):
            raise BadInput(f"{place} is no answer", f"its {part!r} is no text", "correct it")
    try:
        return Tokenised(
            id,
            held["question"],
            held["response"],
            _words(held.get("tokenized_response")),
            _words(held.get("answer_tokens")),
        )
    except TypeError as error:
        raise BadInput(f"{place} is no answer", f"of its tokens {error}", "correct it") from error


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
    if not any(found.values()):
        raise BadInput(f"{path.name} names no item", "both its lists are empty", instead)
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
    if not isinstance(value, list) or not all(
        isinstance(one, (str, int)) and not isinstance(one, bool) for one in value
    ):
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


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """The folders of an export, made before anything costly is done; what was made goes again where that fails.

    Raises BadSettings where they cannot be made.
    """
    places = [folder / ANSWER, folder / OTHER]
    above = [folder, *folder.parents]
    with _writing(folder):
        made = [place for place in above if not place.exists()]
        for place in places:
            made = made if place.exists() else [place, *made]
            place.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for place in made:
            with suppress(OSError):
                place.rmdir()
        raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises BadSettings where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise BadSettings(f"{folder} cannot be written", cause(error), "choose another place") from error


@dataclass(frozen=True)
class Exported:
    """An item with its features over the answer's tokens and over all others, [layer, neuron]."""

    told: Tokenised
    side: Side
    answer: Float[np.ndarray, "layer neuron"]
    other: Float[np.ndarray, "layer neuron"]


def write(folder: Path, parts: Mapping[str, Sequence[Exported]]) -> None:
    """Items with their features in the authors' layout, each of `parts` (train, test) with ids and answers of its own.

    The ids come last: without them nothing is fitted on what was begun and not finished. What was written goes again
    where the rest cannot be. Raises BadSettings where the folder cannot be written.
    """
    made: list[Path] = []
    try:
        with _writing(folder):
            for part in parts:
                (folder / ids_of(part)).unlink(missing_ok=True)
            for place in (ANSWER, OTHER):
                (folder / place).mkdir(parents=True, exist_ok=True)
            for part, items in parts.items():
                for item in items:
                    for place, rows in ((ANSWER, item.answer), (OTHER, item.other)):
                        made.append(folder / place / f"act_{item.told.id}.npy")
                        np.save(made[-1], np.asarray(rows, np.float32))
                made.append(folder / answers_of(part))
                atomic.export(made[-1], "".join(_line(item.told) for item in items).encode())
            for part, items in parts.items():
                ids = {mark: [item.told.id for item in items if item.side == side] for mark, side in SIDES.items()}
                made.append(folder / ids_of(part))
                atomic.export(made[-1], json.dumps(ids, ensure_ascii=False).encode())
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def ids_of(part: str) -> str:
    """The file of a part's ids: train_qids.json, test_qids.json."""
    return f"{part}_{IDS}"


def answers_of(part: str) -> str:
    """The file of a part's answers."""
    return f"answer_tokens_{part}.jsonl"


def _line(one: Tokenised) -> str:
    told = {
        "question": one.question,
        "response": one.response,
        "tokenized_response": list(one.tokens),
        "answer_tokens": list(one.answer),
    }
    return json.dumps({one.id: told}, ensure_ascii=False) + "\n"


def file_ids(ids: Sequence[str]) -> list[str]:
    """Each question's own id, where a file can be called act_ID.npy; what no name of a file can hold is a dash there.

    Ids that would be one file on some system, which may not tell A from a, get a number.
    """
    taken: set[str] = set()
    found = []
    for id in ids:
        bare = _NO_NAME.sub("-", id)
        bare = bare.encode()[:MAX_ID].decode(errors="ignore")
        name = next(one for one in chain([bare], (f"{bare} ({n})" for n in count(2))) if one.casefold() not in taken)
        taken.add(name.casefold())
        found.append(name)
    return found


def _text(path: Path) -> str:
    return text_of(bytes_of(path, MAX_TEXTS, name=path.name), path.name)
