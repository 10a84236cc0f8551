"""Stage 6, features: CETT of every neuron over each item's answer and over the rest, on disk.

Owns the folder of arrays, which is filled in blocks and goes on where it was; and how sure the model was of each
answer. Refuses regions and pooling, which it only asks for.
Source: Gao et al. 2025, Eq. 3 (mean over a region's tokens).
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from backend.arrays import new_array
from backend.errors import StoreError
from backend.features import RegionText, region_means
from backend.generation import scores
from backend.identify.pace import Pace
from backend.identify.regions import regions
from backend.identify.responses import asked
from backend.identify.spans import Span
from backend.models.loaded import LoadedModel
from backend.types import StageEvent
from backend.types.identify import Confidence, Item, Question, RegionRule, Sampling
from backend.watch import SILENT, Watch, between
from cache.journal import Journal

BLOCK = 128
"""Items between two checkpoints; within a block, texts are batched by length."""


ITEMS = "items.jsonl"


@dataclass(frozen=True)
class Features:
    """Of each item, in the order of the items. Arrays are mapped from disk, neurons layer by layer."""

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

    Raises StoreError where the arrays cannot be written, BadInput for a span without a token, Stopped between blocks.
    """
    journal = Journal(folder / "confidence.jsonl")
    shape = (len(items), sum(model.info.widths))
    with journal.writing():
        _begin(folder, journal, items, _digest(items, sampling, rule, model.info.fingerprint))
        arrays = [_mapped(folder / f"{name}.npy", shape) for name in ("answer", "other")]
        done = [Confidence.model_validate(record) for record in journal.read()]
        pace = Pace(len(items) - len(done))
        for start in range(len(done), len(items), BLOCK):
            between(watch)
            watch.emit(StageEvent(stage=pace.told("reading the answers"), fraction=pace.fraction))
            block = items[start : start + BLOCK]
            texts = [read_as(model, item, questions, sampling, rule) for item in block]
            confidences = _read(model, texts, rule, [array[start : start + len(block)] for array in arrays], watch)
            for array in arrays:
                array.flush()
            journal.append(one.model_dump(mode="json") for one in confidences)
            done += confidences
            pace.add(len(block))
    return Features(arrays[0], arrays[1], tuple(done))


def read_as(
    model: LoadedModel, item: Item, questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> RegionText:
    """An item as the model reads it, with its regions. Raises BadInput for a span without a token."""
    return regions(model, asked(questions[item.question], sampling), item.response, Span(item.start, item.end), rule)


def _read(
    model: LoadedModel, texts: Sequence[RegionText], rule: RegionRule, out: Sequence[np.ndarray], watch: Watch
) -> list[Confidence]:
    sure: dict[int, Confidence] = {}
    shift = 1 if rule.position == "predicting" else 0

    def told(places: list[int], hidden: Tensor, before: int) -> None:
        for row, place in enumerate(places):
            sure[place] = _confidence(model, texts[place], hidden[row], before, shift)

    means = region_means(model, texts, watch=watch, pooling=rule.pooling, on_hidden=told)
    for region, array in enumerate(out):
        flat = [means[:, layer, region, :width] for layer, width in enumerate(model.info.widths)]
        array[:] = np.concatenate(flat, axis=1)
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


def _digest(items: Sequence[Item], sampling: Sampling, rule: RegionRule, fingerprint: str) -> str:
    whole = hashlib.sha256(f"{fingerprint}\0{sampling.suffix}\0{rule.canonical()}".encode())
    for item in items:
        whole.update(item.canonical().encode())
    return whole.hexdigest()


def held(folder: Path) -> tuple[tuple[Item, ...], np.ndarray, np.ndarray]:
    """The items whose features lie in `folder`, and their CETT over the answer and over the rest, [item neuron].

    Raises StoreError where they are not there, or not all of them.
    """
    try:
        lines = (folder / ITEMS).read_text("utf-8").split("\n")
        items = tuple(Item.model_validate_json(line) for line in lines if line)
        answer, other = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("answer", "other"))
    except (OSError, ValueError) as error:
        raise StoreError(
            "The features of this run are not here", str(error)[:200], "resume it: they are read again from its answers"
        ) from error
    if len(items) != len(answer) or len(Journal(folder / "confidence.jsonl").read()) != len(items):
        raise StoreError("The features of this run are not complete", "reading them was stopped", "resume it")
    return items, answer, other


def _begin(folder: Path, journal: Journal, items: Sequence[Item], digest: str) -> None:
    """Start anew where the folder holds the features of other items, another rule or another model."""
    told = folder / "features.json"
    if told.exists() and json.loads(told.read_text("utf-8")).get("of") == digest:
        return
    for path in (journal.path, folder / "answer.npy", folder / "other.npy"):
        path.unlink(missing_ok=True)
    (folder / ITEMS).write_text("".join(item.model_dump_json() + "\n" for item in items), "utf-8")
    part = told.with_suffix(".part")
    part.write_text(json.dumps({"of": digest}), "utf-8")
    os.replace(part, told)


def _mapped(path: Path, shape: tuple[int, int]) -> np.memmap[Any, Any]:
    try:
        if path.exists():
            return np.lib.format.open_memmap(path, mode="r+")
        return new_array(path, shape)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path.name} cannot be written",
            f"{error}",
            f"free {shape[0] * shape[1] * 4 / 1e9:.1f} GB and resume",
        ) from error
