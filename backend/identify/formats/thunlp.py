"""The authors' own files: answers with their tokens, ids of right and wrong ones, and features on disk.

Owns their layout (thunlp/H-Neurons), for reading and writing, and their way of finding an answer's tokens, so that
their data is read here as their code reads it, and their classifier can read our features:

    *_answer_tokens_*.jsonl    {qid: {question, response, tokenized_response, answer_tokens}} on each line
    *_qids.json                {"t": [ids of right ones], "f": [ids of wrong ones]}; train_ and test_ are two files
    act_QID.npy                float32 [layers, neurons], the mean CETT over a region; that of the other tokens is in
                               the folder all_except_answer_tokens, which is in or beside answer_tokens

Lines end at "\\n" alone: answers contain U+2028 and the like, at which other readers split a line.
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
    """All answers of a file. Raises BadInput with the line, also for an id that occurred before."""
    answers: dict[str, Tokenised] = {}
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        row_by_id = json_value(line, place)
        if not isinstance(row_by_id, dict):
            raise BadInput(f"{place} is not an answer", "it is not an object of answers by their ids", "correct it")
        for answer in (_read_answer(key, row, place) for key, row in row_by_id.items()):
            if answer.id in answers:
                raise BadInput(
                    f"{place} answers {answer.id[:60]} again",
                    "an id belongs to one answer, and it is not clear which is meant",
                    "leave one of them out",
                )
            answers[answer.id] = answer
    return list(answers.values())


def _read_answer(id: str, row: Any, place: str) -> Tokenised:
    """An answer from its parts. Raises BadInput with the part that is missing or of a wrong type."""
    parts = row if isinstance(row, dict) else {}
    for part in ("question", "response"):
        if not isinstance(parts.get(part), str):
            raise BadInput(f"{place} is not an answer", f"its {part!r} is not text", "correct it")
    try:
        return Tokenised(
            id,
            parts["question"],
            parts["response"],
            _texts_of(parts.get("tokenized_response")),
            _texts_of(parts.get("answer_tokens")),
        )
    except TypeError as error:
        raise BadInput(f"{place} is not an answer", f"in its tokens {error}", "correct it") from error


def read_ids(path: Path) -> dict[Side, tuple[str, ...]]:
    """The ids of each side. Raises BadInput where an id is there twice: it could be both fitted on and held out."""
    value = json_value(_read_text(path), path.name)
    instead = "write {'t': [...], 'f': [...]}"
    if not isinstance(value, dict) or not set(SIDES) <= set(value):
        raise BadInput(f"{path.name} holds no ids", "it has no lists named t and f", instead)
    try:
        ids = {side: _texts_of(value[key]) for key, side in SIDES.items()}
    except TypeError as error:
        raise BadInput(f"{path.name} holds no ids", str(error), instead) from error
    if not any(ids.values()):
        raise BadInput(f"{path.name} names no item", "both its lists are empty", instead)
    _refuse_twice(ids, path.name)
    return ids


def _refuse_twice(ids: Mapping[Side, Sequence[str]], name: str) -> None:
    counts = Counter(key for side in ids.values() for key in side)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        where = " and ".join(side for side in ids if twice[0] in ids[side])
        more = f", and so are {len(twice) - 1:,} more" if len(twice) > 1 else ""
        raise BadInput(
            f"{name} names an item twice",
            f"{twice[0][:60]} is there {counts[twice[0]]} times, as {where}{more}",
            "leave each id in one place",
        )


def _texts_of(value: Any) -> tuple[str, ...]:
    """The texts and numbers of a list, as texts. Raises TypeError for anything else, also for a text, which would be
    split into letters."""
    if not isinstance(value, list) or not all(
        isinstance(word, (str, int)) and not isinstance(word, bool) for word in value
    ):
        raise TypeError(f"{str(value)[:40]} is not a list of texts")
    return tuple(map(str, value))


def decoded_tokens(tokens: Sequence[str]) -> tuple[str, ...]:
    """Tokens as a tokenizer decodes them: with spaces in the place of its vocabulary's marks for them."""
    return tuple(token.replace("\u2581", " ").replace("\u0120", " ") for token in tokens)


def official_span(tokens: Sequence[str], answer: Sequence[str]) -> tuple[int, int] | None:
    """Start and end of the answer's tokens in the response: their first exact occurrence; None where there is none.

    Source: the authors' extract_activations.py, which silently skips answers that it does not find.
    """
    size = len(answer)
    if not size:
        return None
    wanted = tuple(answer)
    starts = (start for start in range(len(tokens) - size + 1) if tuple(tokens[start : start + size]) == wanted)
    start = next(starts, None)
    return None if start is None else (start, start + size)


@contextmanager
def created_folders(folder: Path) -> Iterator[None]:
    """Create the folders of an export before the costly work of the block; if the block fails they are removed.

    Raises BadSettings where they cannot be created.
    """
    places = [folder / ANSWER, folder / OTHER]
    above = [folder, *folder.parents]
    with _refuse_unwritable(folder):
        created = [place for place in above if not place.exists()]
        for place in places:
            created = created if place.exists() else [place, *created]
            place.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for place in created:
            with suppress(OSError):
                place.rmdir()
        raise


@contextmanager
def _refuse_unwritable(folder: Path) -> Iterator[None]:
    """Raises BadSettings where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise BadSettings(f"{folder} cannot be written", cause(error), "choose another place") from error


@dataclass(frozen=True)
class Exported:
    """An item with its features over the answer's tokens and over all others, [layer, neuron]."""

    tokenised: Tokenised
    side: Side
    answer: Float[np.ndarray, "layer neuron"]
    other: Float[np.ndarray, "layer neuron"]


def write(folder: Path, parts: Mapping[str, Sequence[Exported]]) -> None:
    """Write items with their features in the authors' layout; each of `parts` (train, test) has a file of ids and one
    of answers.

    The ids are written last: without them nothing is fitted on an incomplete export. If writing fails, the files are
    removed. Raises BadSettings where the folder cannot be written.
    """
    written: list[Path] = []
    try:
        with _refuse_unwritable(folder):
            for part in parts:
                (folder / ids_of(part)).unlink(missing_ok=True)
            for place in (ANSWER, OTHER):
                (folder / place).mkdir(parents=True, exist_ok=True)
            for part, items in parts.items():
                for item in items:
                    for place, rows in ((ANSWER, item.answer), (OTHER, item.other)):
                        written.append(folder / place / f"act_{item.tokenised.id}.npy")
                        np.save(written[-1], np.asarray(rows, np.float32))
                written.append(folder / answers_of(part))
                atomic.export(written[-1], "".join(_answer_line(item.tokenised) for item in items).encode())
            for part, items in parts.items():
                ids = {mark: [item.tokenised.id for item in items if item.side == side] for mark, side in SIDES.items()}
                written.append(folder / ids_of(part))
                atomic.export(written[-1], json.dumps(ids, ensure_ascii=False).encode())
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def ids_of(part: str) -> str:
    """The file of a part's ids: train_qids.json, test_qids.json."""
    return f"{part}_{IDS}"


def answers_of(part: str) -> str:
    """The file of a part's answers."""
    return f"answer_tokens_{part}.jsonl"


def _answer_line(answer: Tokenised) -> str:
    parts = {
        "question": answer.question,
        "response": answer.response,
        "tokenized_response": list(answer.tokens),
        "answer_tokens": list(answer.answer),
    }
    return json.dumps({answer.id: parts}, ensure_ascii=False) + "\n"


def file_ids(ids: Sequence[str]) -> list[str]:
    """Each question's own id, for the name act_ID.npy; a dash replaces each character that a file's name cannot have.

    Ids that would be one file on some system, as on one that ignores case, get a number.
    """
    used: set[str] = set()
    names = []
    for id in ids:
        bare = _NO_NAME.sub("-", id)
        bare = bare.encode()[:MAX_ID].decode(errors="ignore")
        name = next(
            candidate
            for candidate in chain([bare], (f"{bare} ({n})" for n in count(2)))
            if candidate.casefold() not in used
        )
        used.add(name.casefold())
        names.append(name)
    return names


def _read_text(path: Path) -> str:
    return text_of(bytes_of(path, MAX_TEXTS, name=path.name), path.name)
