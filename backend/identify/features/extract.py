"""Stage 6, features: CETT of every neuron over each item's answer and over the rest, on disk.

Owns the folder of arrays, which is filled in blocks and goes on where it was; and how sure the model was of each
answer. What lies there is used only where it is byte for byte what was written: a changed byte would be another
probe, without a word. Refuses regions and pooling, which it only asks for.
Source: Gao et al. 2025, Eq. 3 (mean over a region's tokens).

    features.json      what the features are of, and the arrays' shape
    items.jsonl        the items, a line a row
    answer.npy         other.npy         CETT, [item neuron]
    rows.jsonl         of each block that is read, checksums of its rows and the confidences
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from backend.errors import StoreError
from backend.forward.pooling import RegionText, region_means
from backend.forward.rows.choosing import scores
from backend.identify.answers.responses import asked
from backend.identify.answers.spans import Span
from backend.identify.features.regions import regions
from backend.models.loaded import LoadedModel
from backend.runs.pace import Pace
from backend.runs.records import read_records, reason, write_text
from backend.types import Frozen, StageEvent, figures
from backend.types.base import digest
from backend.types.identify import Confidence, Item, Question, RegionRule, Sampling
from backend.watch import SILENT, Watch, between
from cache import digests
from cache.arrays import is_whole, new_array
from cache.files import FILE
from cache.journal import Journal

BLOCK = 128
"""Items between two checkpoints; within a block, texts are batched by length."""


KEPT, ITEMS, ROWS = "features.json", "items.jsonl", "rows.jsonl"
ARRAYS = ("answer", "other")
AGAIN = "reading answers again, whose features on disk are damaged or of an older version"
RESUME = "resume it: they are read again from its answers"
Arrays = Mapping[str, "np.memmap[Any, Any]"]


class Kept(Frozen):
    """What a folder holds: checksums of all that the features hang on and of the lines of items, and both arrays'
    shape."""

    of: str
    items: str
    shape: tuple[int, int]


class Block(Frozen):
    """Items that were read together, from the one of number `start` on: checksums of their rows in either array, and
    how sure the model was of each."""

    start: int = Field(ge=0)
    answer: int
    other: int
    confidences: tuple[Confidence, ...]


@dataclass(frozen=True)
class Features:
    """Of each item, in the order of the items. Arrays are mapped from disk, neurons by column (`backend.layout`)."""

    answer: Float[np.ndarray, "item neuron"]
    other: Float[np.ndarray, "item neuron"]
    confidences: tuple[Confidence, ...]


def extract(
    model: LoadedModel,
    items: Sequence[Item],
    questions: Mapping[str, Question],
    sampling: Sampling,
    rule: RegionRule,
    folder: Path,
    watch: Watch = SILENT,
) -> Features:
    """Read every item and keep what is read in `folder`; blocks that are there for these items are not read again.

    Where what is there is not what was written, it is read again, and `watch` is told so. Raises StoreError where the
    arrays cannot be written, BadInput for a span without a token, Stopped between blocks.
    """
    journal = Journal(folder / ROWS)
    shape = (len(items), model.info.layout.size)
    with journal.writing():
        held, spoilt = _begin(folder, journal, items, _key(model, items, questions, sampling, rule), shape)
        arrays = {name: _mapped(folder / f"{name}.npy", shape) for name in ARRAYS}
        parts = {start: items[start : start + BLOCK] for start in range(0, len(items), BLOCK)}
        done = {start: block for start, block in held.items() if _fits(block, arrays, len(parts.get(start, ())))}
        doing = "reading the answers" if len(done) == len(held) and not spoilt else AGAIN
        pace = Pace(len(items), sum(len(part) for start, part in parts.items() if start in done))
        for start, part in parts.items():
            if start in done:
                continue
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            texts = [read_as(model, item, questions, sampling, rule) for item in part]
            rows = [array[start : start + len(part)] for array in arrays.values()]
            confidences = tuple(_read_block(model, texts, rule, rows, watch))
            for array in arrays.values():
                array.flush()
            done[start] = Block(start=start, confidences=confidences, **_sums(arrays, start, len(part)))
            journal.append([done[start].model_dump(mode="json")])
            pace.add(len(part))
    return Features(arrays["answer"], arrays["other"], tuple(one for start in parts for one in done[start].confidences))


def read_as(
    model: LoadedModel, item: Item, questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> RegionText:
    """An item as the model reads it, with its regions. Raises BadInput for a span without a token."""
    return regions(model, asked(questions[item.question], sampling), item.response, Span(item.start, item.end), rule)


def _read_block(
    model: LoadedModel, texts: Sequence[RegionText], rule: RegionRule, out: Sequence[np.ndarray], watch: Watch
) -> list[Confidence]:
    sure: dict[int, Confidence] = {}
    shift = 1 if rule.position == "predicting" else 0

    def told(places: list[int], hidden: Tensor, before: int) -> None:
        for row, place in enumerate(places):
            sure[place] = _confidence(model, texts[place], hidden[row], before, shift)

    means = region_means(model, texts, watch=watch, pooling=rule.pooling, on_hidden=told)
    for region, array in enumerate(out):
        array[:] = model.info.layout.flat(means[:, :, region])
    return [sure[place] for place in range(len(texts))]


class _Already(nn.Module):
    """In the place of a model's layers: gives back as last hidden states what came in as embeddings."""

    @property
    def decoder(self) -> _Already:
        """Some families (OPT) call this part of their layers by name."""
        return self

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutputWithPastAndCrossAttentions:
        """[row pos d_model] as it came."""
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=cast("torch.FloatTensor", inputs_embeds))


def head_logits(model: LoadedModel, hidden: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos vocab"]:
    """Logits of last hidden states, by the model's own forward with its layers left out.

    What a family does behind its output embedding (Gemma-2 caps the logits, Granite and Cohere scale them) stands in
    its forward and nowhere else; so that is called and not written once more. No weight is copied.
    """
    plain = model.plain
    bare = copy.copy(plain)
    # A module's parts are one dict that a shallow copy shares: the copy gets its own before a part is put in.
    bare.__dict__["_modules"] = dict(plain._modules)
    setattr(bare, plain.base_model_prefix, _Already())
    # By its class, because what is hung on a spread model's instance would lead back to the whole model.
    return cast("Tensor", type(plain).forward(bare, inputs_embeds=hidden[None], use_cache=False).logits[0])


def _confidence(
    model: LoadedModel, text: RegionText, hidden: Float[Tensor, "pos d_model"], before: int, shift: int
) -> Confidence:
    """How sure the model was of the answer's tokens, each from the position that predicts it."""
    places = [place + shift for place in text.regions[0]]
    predicting = torch.tensor([place - 1 - before for place in places], device=hidden.device)
    logits = head_logits(model, hidden[predicting])
    chosen = torch.tensor([text.ids[place] for place in places], device=hidden.device)
    log_probs, entropies = scores(logits, chosen)
    return Confidence(
        tokens=len(places),
        log_prob=float(log_probs.mean()),
        first_probability=float(log_probs[0].exp()),
        entropy=float(entropies.mean()),
    )


def _key(
    model: LoadedModel, items: Sequence[Item], questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> str:
    """All that the features hang on: what each item's text is made from, where it is read, and what reads it."""
    texts = (part for item in items for part in (item, "\0", asked(questions[item.question], sampling)))
    return digest([figures(model.info.basis), rule], texts)


def held(folder: Path) -> tuple[tuple[Item, ...], np.ndarray, np.ndarray]:
    """The items whose features lie in `folder`, and their CETT over the answer and over the rest, [item neuron].

    Raises StoreError where they are not there, not all of them, or not as they were written.
    """
    paths = {name: folder / f"{name}.npy" for name in ARRAYS}
    try:
        kept = Kept.model_validate_json((folder / KEPT).read_bytes())
        lines = (folder / ITEMS).read_bytes()
        items = tuple(Item.model_validate_json(line) for line in lines.split(b"\n") if line)
        spoilt = [path.name for path in paths.values() if not is_whole(path, kept.shape)]
        spoilt += [ITEMS] if digests.of_bytes(lines) != kept.items else []
        if spoilt:
            raise _damaged(spoilt[0])
        arrays = {name: np.lib.format.open_memmap(path, mode="r") for name, path in paths.items()}
    except FileNotFoundError as error:
        raise StoreError(
            "The features of this run are not here", "what was read of its answers is not kept with it", RESUME
        ) from error
    except (OSError, ValueError) as error:
        raise StoreError("The features of this run cannot be read", reason(error), RESUME) from error
    blocks = _blocks(Journal(folder / ROWS))
    start = 0
    while start < len(items):
        block = blocks.get(start)
        if block is None or not block.confidences:
            raise StoreError("The features of this run are not complete", "reading them was stopped", "resume it")
        if not _fits(block, arrays, len(block.confidences)):
            raise _damaged(" or ".join(path.name for path in paths.values()))
        start += len(block.confidences)
    return items, arrays["answer"], arrays["other"]


def _damaged(name: str) -> StoreError:
    return StoreError("The features of this run are damaged", f"{name} is not what was written", RESUME)


def _begin(
    folder: Path, journal: Journal, items: Sequence[Item], digest: str, shape: tuple[int, int]
) -> tuple[dict[int, Block], bool]:
    """The blocks that `folder` holds of these items, and whether what it held cannot be read.

    It begins anew there, and where it holds the features of other items, another rule or another model.
    """
    lines = "".join(item.model_dump_json() + "\n" for item in items)
    kept = Kept(of=digest, items=digests.of_bytes(lines.encode()), shape=shape)
    held, spoilt = _held(folder, journal, kept)
    if held is None:
        # The last is what an older version kept beside them.
        for path in (journal.path, *(folder / f"{name}.npy" for name in ARRAYS), folder / "confidence.jsonl"):
            path.unlink(missing_ok=True)
    write_text(folder / ITEMS, lines)
    write_text(folder / KEPT, kept.model_dump_json())
    return held or {}, spoilt


def _held(folder: Path, journal: Journal, kept: Kept) -> tuple[dict[int, Block] | None, bool]:
    """(the blocks, None where the folder holds none of these items; whether it holds what cannot be read)."""
    try:
        same = Kept.model_validate_json((folder / KEPT).read_bytes()) == kept
        return (_blocks(journal) if same else None), False
    except FileNotFoundError:
        return None, False
    except (OSError, ValueError, StoreError):
        return None, True


def _blocks(journal: Journal) -> dict[int, Block]:
    """Each by its start; one that was read again stands above the first. Raises StoreError."""
    return {block.start: block for block in read_records(journal, Block, RESUME)}


def _fits(block: Block, arrays: Arrays, count: int) -> bool:
    """Whether the block is of `count` items, and their rows are what was written."""
    sums = {"answer": block.answer, "other": block.other}
    return len(block.confidences) == count and _sums(arrays, block.start, count) == sums


def _sums(arrays: Arrays, start: int, count: int) -> dict[str, int]:
    return {name: zlib.crc32(array[start : start + count].data) for name, array in arrays.items()}


def _mapped(path: Path, shape: tuple[int, int]) -> np.memmap[Any, Any]:
    """The array as it is, where it is whole; else a new one."""
    try:
        if is_whole(path, shape):
            return np.lib.format.open_memmap(path, mode="r+")
        # Made before it is filled, so that nobody else can open it.
        path.touch(FILE)
        return new_array(path, shape)
    except (OSError, ValueError) as error:
        room = math.ceil(4 * math.prod(shape) / 1e6)
        raise StoreError(
            f"{path.name} cannot be written", reason(error), f"see that {room:,} MB are free there, and resume"
        ) from error
