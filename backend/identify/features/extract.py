"""Stage 6, features: CETT of every neuron over each item's answer and over its other tokens, on disk.

Owns the folder of arrays, which is filled in blocks and can be resumed; and how confident the model was of each answer.
Arrays are used only where every byte is as it was written: a changed byte would silently give another probe. Regions
and pooling are other modules'.
Source: Gao et al. 2025, Eq. 3 (mean over a region's tokens).

    features.json      what the features were made of (`FeatureStamp`), and the arrays' shape
    items.jsonl        the items, one line for each row
    answer.npy         other.npy         CETT, [item neuron]
    rows.jsonl         for each block that is read, checksums of its rows and the confidences
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
from backend.forward.pooling import region_means
from backend.forward.rows.choosing import scores
from backend.identify.answers.responses import asked_with_suffix
from backend.identify.answers.spans import Span
from backend.identify.features.regions import ItemText, regions
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


STAMP, ITEMS, ROWS = "features.json", "items.jsonl", "rows.jsonl"
ARRAYS = ("answer", "other")
AGAIN = "reading answers again, because their features on disk are damaged or of an older version"
RESUME = "resume it: they are read again from its answers"
Arrays = Mapping[str, "np.memmap[Any, Any]"]


class FeatureStamp(Frozen):
    """What the features in a folder were made of: a hash of all that they depend on, a hash of the lines of items, and
    the shape of both arrays."""

    of: str
    items: str
    shape: tuple[int, int]


class Block(Frozen):
    """Items that were read together, beginning with number `start`: checksums of their rows in each array, and how
    confident the model was of each item."""

    start: int = Field(ge=0)
    answer: int
    other: int
    confidences: tuple[Confidence, ...]


@dataclass(frozen=True)
class Features:
    """Features of each item, in the order of the items. Arrays are mapped from disk; a column is a neuron
    (`backend.layout`)."""

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
    """Read every item and keep its features in `folder`; blocks of these items that exist are not read again.

    Damaged blocks are read again, and the name of the stage says so. Raises StoreError where the arrays cannot be
    written, BadInput for a span without a token, Stopped between blocks.
    """
    journal = Journal(folder / ROWS)
    shape = (len(items), model.info.layout.size)
    with journal.writing():
        blocks_there, is_damaged = _begin_folder(
            folder, journal, items, _key(model, items, questions, sampling, rule), shape
        )
        arrays = {name: _map_array(folder / f"{name}.npy", shape) for name in ARRAYS}
        parts = {start: items[start : start + BLOCK] for start in range(0, len(items), BLOCK)}
        done = {
            start: block
            for start, block in blocks_there.items()
            if _is_as_written(block, arrays, len(parts.get(start, ())))
        }
        doing = "reading the answers" if len(done) == len(blocks_there) and not is_damaged else AGAIN
        pace = Pace(len(items), sum(len(part) for start, part in parts.items() if start in done))
        for start, part in parts.items():
            if start in done:
                continue
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            texts = [text_of_item(model, item, questions, sampling, rule) for item in part]
            means, confidences = read_texts(model, texts, rule, watch)
            for array, mean in zip(arrays.values(), means, strict=True):
                array[start : start + len(part)] = mean
                array.flush()
            done[start] = Block(start=start, confidences=tuple(confidences), **_checksums(arrays, start, len(part)))
            journal.append([done[start].model_dump(mode="json")])
            pace.add(len(part))
    return Features(
        arrays["answer"],
        arrays["other"],
        tuple(confidence for start in parts for confidence in done[start].confidences),
    )


def text_of_item(
    model: LoadedModel, item: Item, questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> ItemText:
    """An item as the model reads it, with its regions. Raises BadInput for a span without a token."""
    return regions(
        model, asked_with_suffix(questions[item.question], sampling), item.response, Span(item.start, item.end), rule
    )


def read_texts(
    model: LoadedModel, texts: Sequence[ItemText], rule: RegionRule, watch: Watch
) -> tuple[list[Float[np.ndarray, "item neuron"]], list[Confidence]]:
    """(for each region of these texts the CETT of every neuron, how confident the model was of each answer)."""
    confidence_of_place: dict[int, Confidence] = {}

    def on_hidden(row_places: list[int], hidden: Tensor, before: int) -> None:
        for row, place in enumerate(row_places):
            confidence_of_place[place] = _confidence(model, texts[place], hidden[row], before)

    means = region_means(model, texts, watch=watch, pooling=rule.pooling, on_hidden=on_hidden)
    of_region = [model.info.layout.flat(means[:, :, region]) for region in range(len(ARRAYS))]
    return of_region, [confidence_of_place[place] for place in range(len(texts))]


class _Already(nn.Module):
    """Replaces a model's layers: returns its input embeddings as the last hidden states."""

    @property
    def decoder(self) -> _Already:
        """Some families (OPT) access this part of their layers by name."""
        return self

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutputWithPastAndCrossAttentions:
        """[row pos d_model], unchanged."""
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=cast("torch.FloatTensor", inputs_embeds))


def head_logits(model: LoadedModel, hidden: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos vocab"]:
    """Logits of last hidden states, by the model's own forward with its layers left out.

    Some families change the logits after the output embedding (Gemma-2 caps them, Granite and Cohere scale them). That
    code is only in their forward, so the forward is called. No weight is copied.
    """
    plain = model.plain
    bare = copy.copy(plain)
    # A shallow copy shares the dict of a module's parts: the copy gets its own dict before a part is replaced.
    bare.__dict__["_modules"] = dict(plain._modules)
    setattr(bare, plain.base_model_prefix, _Already())
    # The forward of the class, because the instance of a model on several devices has one that calls the whole model.
    return cast("Tensor", type(plain).forward(bare, inputs_embeds=hidden[None], use_cache=False).logits[0])


def _confidence(model: LoadedModel, text: ItemText, hidden: Float[Tensor, "pos d_model"], before: int) -> Confidence:
    """How confident the model was of the answer's tokens, each at the position that predicts it."""
    predicting = torch.tensor([place - 1 - before for place in text.answer], device=hidden.device)
    logits = head_logits(model, hidden[predicting])
    chosen = torch.tensor([text.ids[place] for place in text.answer], device=hidden.device)
    log_probs, entropies = scores(logits, chosen)
    return Confidence(
        tokens=len(text.answer),
        log_prob=float(log_probs.mean()),
        first_probability=float(log_probs[0].exp()),
        entropy=float(entropies.mean()),
    )


def _key(
    model: LoadedModel, items: Sequence[Item], questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> str:
    """Hash of all that the features depend on: each item's text, where it is read, and the model."""
    texts = (part for item in items for part in (item, "\0", asked_with_suffix(questions[item.question], sampling)))
    return digest([figures(model.info.basis), rule], texts)


def read_features_of_run(folder: Path) -> tuple[tuple[Item, ...], np.ndarray, np.ndarray]:
    """The items whose features are in `folder`, and their CETT over the answer and over other tokens, [item neuron].

    Raises StoreError where they are missing, incomplete or damaged.
    """
    paths = {name: folder / f"{name}.npy" for name in ARRAYS}
    try:
        stamp = FeatureStamp.model_validate_json((folder / STAMP).read_bytes())
        lines = (folder / ITEMS).read_bytes()
        items = tuple(Item.model_validate_json(line) for line in lines.split(b"\n") if line)
        damaged_names = [path.name for path in paths.values() if not is_whole(path, stamp.shape)]
        damaged_names += [ITEMS] if digests.of_bytes(lines) != stamp.items else []
        if damaged_names:
            raise _damaged(damaged_names[0])
        arrays = {name: np.lib.format.open_memmap(path, mode="r") for name, path in paths.items()}
    except FileNotFoundError as error:
        raise StoreError("The features of this run are not here", "they are not in its folder", RESUME) from error
    except (OSError, ValueError) as error:
        raise StoreError("The features of this run cannot be read", reason(error), RESUME) from error
    blocks = _read_blocks(Journal(folder / ROWS))
    start = 0
    while start < len(items):
        block = blocks.get(start)
        if block is None or not block.confidences:
            raise StoreError("The features of this run are not complete", "reading them was stopped", "resume it")
        if not _is_as_written(block, arrays, len(block.confidences)):
            raise _damaged(" or ".join(path.name for path in paths.values()))
        start += len(block.confidences)
    return items, arrays["answer"], arrays["other"]


def _damaged(name: str) -> StoreError:
    return StoreError("The features of this run are damaged", f"{name} is not what was written", RESUME)


def _begin_folder(
    folder: Path, journal: Journal, items: Sequence[Item], digest: str, shape: tuple[int, int]
) -> tuple[dict[int, Block], bool]:
    """(the blocks that `folder` has of these items, whether its files were damaged).

    A folder that is damaged, or has features of other items, another rule or another model, is emptied.
    """
    lines = "".join(item.model_dump_json() + "\n" for item in items)
    stamp = FeatureStamp(of=digest, items=digests.of_bytes(lines.encode()), shape=shape)
    blocks, is_damaged = _matching_blocks(folder, journal, stamp)
    if blocks is None:
        # confidence.jsonl is a file of an older version.
        for path in (journal.path, *(folder / f"{name}.npy" for name in ARRAYS), folder / "confidence.jsonl"):
            path.unlink(missing_ok=True)
    write_text(folder / ITEMS, lines)
    write_text(folder / STAMP, stamp.model_dump_json())
    return blocks or {}, is_damaged


def _matching_blocks(folder: Path, journal: Journal, stamp: FeatureStamp) -> tuple[dict[int, Block] | None, bool]:
    """(the blocks, None where the folder has no features of these items; whether its files are damaged)."""
    try:
        is_same = FeatureStamp.model_validate_json((folder / STAMP).read_bytes()) == stamp
        return (_read_blocks(journal) if is_same else None), False
    except FileNotFoundError:
        return None, False
    except (OSError, ValueError, StoreError):
        return None, True


def _read_blocks(journal: Journal) -> dict[int, Block]:
    """Start -> block; a block that was read again replaces the first. Raises StoreError."""
    return {block.start: block for block in read_records(journal, Block, RESUME)}


def _is_as_written(block: Block, arrays: Arrays, count: int) -> bool:
    """Whether the block has `count` items, and their rows are as they were written."""
    sums = {"answer": block.answer, "other": block.other}
    return len(block.confidences) == count and _checksums(arrays, block.start, count) == sums


def _checksums(arrays: Arrays, start: int, count: int) -> dict[str, int]:
    return {name: zlib.crc32(array[start : start + count].data) for name, array in arrays.items()}


def _map_array(path: Path, shape: tuple[int, int]) -> np.memmap[Any, Any]:
    """The existing array, where it is complete; else a new one."""
    try:
        if is_whole(path, shape):
            return np.lib.format.open_memmap(path, mode="r+")
        # Created first with our permissions, so that nobody else can open it.
        path.touch(FILE)
        return new_array(path, shape)
    except (OSError, ValueError) as error:
        room = math.ceil(4 * math.prod(shape) / 1e6)
        raise StoreError(
            f"{path.name} cannot be written", reason(error), f"make sure that {room:,} MB are free there, and resume"
        ) from error
