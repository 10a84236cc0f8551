"""Features over the tokens that the authors' file names: their way of finding an answer, with what it loses counted.

Owns the way from answers with their tokens to CETT over exactly these tokens, and over all others up to the
response's end for 3-vs-1. Each answer is read once, behind its question in the model's own template; it is not drawn
anew. Refuses to look for an answer in any other way: what is not found as it is written is left out.
Source: thunlp/H-Neurons, extract_activations.py, which leaves out without a word; ours does not count the closing
tokens behind the response as other tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.errors import BadInput, BadPrompt
from backend.features import RegionText, region_means
from backend.identify.fitted import Given
from backend.identify.formats import thunlp
from backend.identify.pace import Pace
from backend.models.loaded import LoadedModel
from backend.prompting import decode, encode, encode_answer
from backend.types import Asked, StageEvent
from backend.types.identify import Side
from backend.types.plan import Labels
from backend.watch import SILENT, Watch, between

BLOCK = 128
"""Answers between two looks at whether to stop; within a block, texts are batched by length."""


@dataclass(frozen=True)
class Tally:
    """Of the ids that were asked for, how many answers were read and why the others were not."""

    asked: int
    unanswered: int
    """The file has no answer of that id."""
    unlisted: int
    """The answer has no list of tokens."""
    elsewhere: int
    """Its tokens are no run of the response's tokens, as this model's tokenizer makes them."""
    unread: int
    """Nothing to read, or too long for the model."""

    @property
    def read(self) -> int:
        """Answers that were read."""
        return self.asked - self.unanswered - self.unlisted - self.elsewhere - self.unread

    @property
    def sentence(self) -> str:
        """All figures in words; kinds of loss that did not happen are left out."""
        lost = {
            "are not in the file": self.unanswered,
            "have no list of tokens": self.unlisted,
            "have tokens that are no run of their response": self.elsewhere,
            "are empty or too long": self.unread,
        }
        told = ", ".join(f"{count:,} {words}" for words, count in lost.items() if count)
        return f"{self.read:,} of {self.asked:,} answers read" + (f"; left out: {told}" if told else "")


def read(
    model: LoadedModel, answers: Path, ids: Path, labels: Labels = "1-vs-1", watch: Watch = SILENT
) -> tuple[Given, Tally]:
    """Features of the answers whose ids a qids.json names, wrong ones first, and what was left out.

    Raises BadInput for files that cannot be read or where no answer is found, Stopped between two blocks.
    """
    texts, sides, tally = located(model, thunlp.read_answers(answers), thunlp.read_ids(ids))
    if not texts:
        raise BadInput(
            f"No answer of {answers.name} can be read", tally.sentence, "name the model whose tokenizer made the file"
        )
    regions = 2 if labels == "3-vs-1" else 1
    read = _features(model, [RegionText(text.ids, text.regions[:regions]) for text in texts], regions, watch)
    wrong = np.array([side == "wrong" for side in sides]).astype(np.int64)
    return Given(read[0], read[1] if regions == 2 else None, wrong, model.info.widths, answers.name), tally


def located(
    model: LoadedModel, answers: Sequence[thunlp.Tokenised], ids: Mapping[Side, Sequence[str]]
) -> tuple[list[RegionText], list[Side], Tally]:
    """Each answer as the model reads it with its regions (answer, other), its side, and what was not found."""
    held = {one.id: one for one in answers}
    texts: list[RegionText] = []
    sides: list[Side] = []
    lost = {"unanswered": 0, "unlisted": 0, "elsewhere": 0, "unread": 0}
    asked: list[tuple[Side, str]] = [(side, key) for side in ("wrong", "right") for key in ids[side]]
    for side, key in asked:
        one = held.get(key)
        if one is None:
            lost["unanswered"] += 1
        elif not one.answer:
            lost["unlisted"] += 1
        else:
            try:
                text = _located(model, one)
            except (BadPrompt, ValueError):
                lost["unread"] += 1
                continue
            if text is None:
                lost["elsewhere"] += 1
            else:
                texts.append(text)
                sides.append(side)
    return texts, sides, Tally(len(asked), **lost)


def _located(model: LoadedModel, one: thunlp.Tokenised) -> RegionText | None:
    """None where the answer's tokens are not found. Raises BadPrompt, ValueError for what cannot be read."""
    question = Asked(prompt=one.question)
    prompt = encode(model, question)
    response = encode_answer(model, question, prompt, one.response).ids
    span = thunlp.official_span([decode(model, (token,)) for token in response], thunlp.spelled(one.answer))
    if span is None:
        return None
    start, end = (len(prompt) + place for place in span)
    ids = (*prompt.ids, *response)
    return RegionText(ids, (tuple(range(start, end)), (*range(start), *range(end, len(ids)))))


def _features(
    model: LoadedModel, texts: Sequence[RegionText], regions: int, watch: Watch
) -> list[Float[np.ndarray, "item neuron"]]:
    found = [np.empty((len(texts), sum(model.info.widths)), np.float32) for _ in range(regions)]
    pace = Pace(len(texts))
    for start in range(0, len(texts), BLOCK):
        between(watch)
        watch.emit(StageEvent(stage=pace.told("reading the answers"), fraction=pace.fraction))
        block = texts[start : start + BLOCK]
        means = region_means(model, block, watch=watch)
        for region, array in enumerate(found):
            flat = [means[:, layer, region, :width] for layer, width in enumerate(model.info.widths)]
            array[start : start + len(block)] = np.concatenate(flat, axis=1)
        pace.add(len(block))
    return found
