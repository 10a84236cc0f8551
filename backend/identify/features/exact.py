"""Features over the tokens that the authors' file lists: their way of finding an answer, with a count of its losses.

Owns the way from answers with their tokens to CETT over exactly these tokens, and over all others for 3-vs-1. Each
answer is read once, as an answered turn of the model's own template; it is not drawn again. The other tokens are all of
the conversation, including those that close the answered turn. An answer whose tokens are not found exactly is left
out. The export of a run uses the same reading, so that the authors' code computes the features that were written.
Source: thunlp/H-Neurons, extract_activations.py, which leaves answers out silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.errors import BadInput, BadPrompt
from backend.forward import chat
from backend.forward.pooling import RegionText, region_means
from backend.forward.prompting import check_length, encode, encode_answer
from backend.forward.readable import check_read
from backend.identify.fit.fitted import Given
from backend.identify.formats import thunlp
from backend.models.loaded import LoadedModel
from backend.runs.pace import Pace
from backend.types import Asked, StageEvent
from backend.types.identify import Pooling, Side
from backend.types.plan import Labels
from backend.untrusted import no_panic
from backend.watch import SILENT, Watch, between

BLOCK = 128
"""Answers between two checks whether to stop; within a block, texts are batched by length."""


@dataclass(frozen=True)
class Tally:
    """How many answers of the requested ids were read, and why the others were not."""

    asked: int
    unanswered: int
    """The file has no answer of that id."""
    unlisted: int
    """The answer has no list of tokens."""
    elsewhere: int
    """Its tokens are not consecutive in the response, as this model's tokenizer splits it."""
    unread: int
    """Nothing to read, or too long for the model."""

    @property
    def read(self) -> int:
        """Answers that were read."""
        return self.asked - self.unanswered - self.unlisted - self.elsewhere - self.unread

    @property
    def sentence(self) -> str:
        """All counts in words, without the reasons that did not occur."""
        lost = {
            "are not in the file": self.unanswered,
            "have no list of tokens": self.unlisted,
            "have tokens that are not consecutive in their response": self.elsewhere,
            "are empty, too long or cannot be read": self.unread,
        }
        reasons = ", ".join(f"{count:,} {words}" for words, count in lost.items() if count)
        return f"{self.read:,} of {self.asked:,} answers read" + (f"; left out: {reasons}" if reasons else "")


def read_located(
    model: LoadedModel, answers: Path, ids: Path, labels: Labels = "1-vs-1", watch: Watch = SILENT
) -> tuple[Given, Tally]:
    """Features of the answers whose ids a qids.json names, wrong ones first, and what was left out.

    Raises BadInput for files that cannot be read or where no answer is found, Stopped between two blocks.
    """
    texts, sides, tally = locate_all(model, thunlp.read_answers(answers), thunlp.read_ids(ids))
    if not texts:
        raise BadInput(
            f"No answer of {answers.name} can be read", tally.sentence, "name the model whose tokenizer made the file"
        )
    regions = 2 if labels == "3-vs-1" else 1
    arrays = features_of_texts(model, [RegionText(text.ids, text.regions[:regions]) for text in texts], regions, watch)
    wrong = np.array([side == "wrong" for side in sides]).astype(np.int64)
    return Given(arrays[0], arrays[1] if regions == 2 else None, wrong, model.info.layout, answers.name), tally


def locate_all(
    model: LoadedModel, answers: Sequence[thunlp.Tokenised], ids: Mapping[Side, Sequence[str]]
) -> tuple[list[RegionText], list[Side], Tally]:
    """(each answer as the model reads it with its regions (answer, other), its side, the counts)."""
    answer_by_id = {answer.id: answer for answer in answers}
    texts: list[RegionText] = []
    sides: list[Side] = []
    lost = {"unanswered": 0, "unlisted": 0, "elsewhere": 0, "unread": 0}
    asked: list[tuple[Side, str]] = [(side, key) for side in ("wrong", "right") for key in ids[side]]
    for side, key in asked:
        answer = answer_by_id.get(key)
        if answer is None:
            lost["unanswered"] += 1
        elif not answer.answer:
            lost["unlisted"] += 1
        else:
            try:
                text = _locate(model, answer)
            except (BadPrompt, ValueError):
                lost["unread"] += 1
                continue
            if text is None:
                lost["elsewhere"] += 1
            else:
                texts.append(text)
                sides.append(side)
    return texts, sides, Tally(len(asked), **lost)


def _locate(model: LoadedModel, answer: thunlp.Tokenised) -> RegionText | None:
    """The answer with its regions; None where its tokens are not found. Raises BadPrompt, ValueError where it cannot be
    read."""
    return region_text(model, conversation(model, answer.question, answer.response), answer.answer)


def region_text(model: LoadedModel, read: Conversation, answer: Sequence[str]) -> RegionText | None:
    """A conversation with its regions (answer, other): the first place after the question where the answer's tokens are
    consecutive, and all other tokens. None where there is no such place."""
    tokens = spelled_each(model, read.ids[read.start :])
    span = thunlp.official_span(tokens, thunlp.decoded_tokens(answer))
    if span is None:
        return None
    start, end = (read.start + place for place in span)
    return RegionText(read.ids, (tuple(range(start, end)), (*range(start), *range(end, len(read.ids)))))


@dataclass(frozen=True)
class Conversation:
    """The tokens of a question and its answer; the answer is searched from number `start` on."""

    ids: tuple[int, ...]
    start: int


@no_panic()
def conversation(model: LoadedModel, question: str, response: str) -> Conversation:
    """An answered turn as the model's template writes it; without a template the answer directly after the question.

    Raises BadPrompt, ValueError where it cannot be read.
    """
    tokenizer = model.tokenizer
    if not tokenizer.chat_template:
        asked = Asked(prompt=question)
        prompt = encode(model, asked)
        return Conversation((*prompt.ids, *encode_answer(model, asked, prompt, response).ids), len(prompt))
    if not response or any(str(token) in question + response for token in tokenizer.all_special_tokens):
        raise BadPrompt("The answer is not read", "it is empty or holds control tokens", "leave it out")
    turn = {"role": "user", "content": question}
    sizes = []
    for messages in ([turn], [turn, {"role": "assistant", "content": response}]):
        try:
            text = chat.written(tokenizer, messages, answering=False).text
        except Exception as error:  # a template may raise anything
            raise BadPrompt("The template refuses the answer", str(error)[:200], "leave it out") from error
        sizes.append(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]))
    check_read(model, sizes[1], question, response)
    check_length(model, len(sizes[1]))
    return Conversation(sizes[1], len(sizes[0]))


@no_panic()
def spelled_each(model: LoadedModel, ids: Sequence[int]) -> tuple[str, ...]:
    """Each token by itself, as the authors' code decodes it."""
    return tuple(str(model.tokenizer.decode([token])) for token in ids)


def features_of_texts(
    model: LoadedModel, texts: Sequence[RegionText], regions: int, watch: Watch, pooling: Pooling = "mean"
) -> list[Float[np.ndarray, "item neuron"]]:
    """Means (or with "max" the largest CETT) over the first regions of each text. Raises Stopped between blocks."""
    arrays = [np.empty((len(texts), model.info.layout.size), np.float32) for _ in range(regions)]
    pace = Pace(len(texts))
    for start in range(0, len(texts), BLOCK):
        between(watch)
        watch.emit(StageEvent(stage=pace.stage_text("reading the answers"), fraction=pace.fraction))
        block = texts[start : start + BLOCK]
        means = region_means(model, block, watch=watch, pooling=pooling)
        for region, array in enumerate(arrays):
            array[start : start + len(block)] = model.info.layout.flat(means[:, :, region])
        pace.add(len(block))
    return arrays
