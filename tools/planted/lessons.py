"""Batches: prompts of the world as embeddings, and the answer tokens that stand behind them.

Owns the trick by which the model learns what it does not know: where a person is to be unknown, the surname's embedding
is a fresh one, drawn as the embeddings of all words were at the beginning. So it meets as many unknown names as there
are rows, and a surname that is never taught, whose embedding stays as drawn, is one more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tools.planted.form import ASSISTANT, END, SPECIAL, USER, WIDTH
from tools.planted.world import ABSTAIN, WORDINGS, Person, World

SPREAD = 0.2
"""Standard deviation of an embedding as it is drawn."""
HOLE = -1
"""Stands in a text for an unknown surname."""


@dataclass(frozen=True, eq=False)
class Text:
    """A question with its answer, as ids; the answer begins at `start` and ends with the end token.

    surname: the embedding that stands where the ids have `HOLE`.
    """

    ids: tuple[int, ...]
    start: int
    relation: str
    surname: Float[Tensor, " width"] | None = None


@dataclass(frozen=True)
class Lessons:
    """Texts that are read together, filled up behind their ends."""

    texts: tuple[Text, ...]
    embeddings: Float[Tensor, "row pos width"]
    real: Bool[Tensor, "row pos"]

    @property
    def predicting(self) -> tuple[Int[Tensor, " answer"], Int[Tensor, " answer"]]:
        """Row and position of every token that predicts a token of an answer."""
        places = [(row, place - 1) for row, text in enumerate(self.texts) for place in range(text.start, len(text.ids))]
        rows, positions = zip(*places, strict=True)
        return torch.tensor(rows), torch.tensor(positions)

    @property
    def targets(self) -> Int[Tensor, " answer"]:
        """The tokens of all answers, in the order of `predicting`."""
        return torch.tensor([id for text in self.texts for id in text.ids[text.start :]])


class Teacher:
    """Makes texts and batches of a world."""

    def __init__(self, world: World, tokens: PreTrainedTokenizerFast) -> None:
        self.world = world
        self._tokens = tokens

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        return list(self._tokens(text, add_special_tokens=False).input_ids)

    def knowing(self, person: Person, relation: str, wording: int) -> Text:
        """A question about somebody known, and what is true."""
        asked = self.ids(USER + WORDINGS[relation][wording].format(person.name) + END + ASSISTANT)
        return Text((*asked, *self.ids(person.facts[relation] + END)), len(asked), relation)

    def abstaining(self, person: Person, relation: str, wording: int, draw: torch.Generator) -> Text:
        """A question about somebody unknown with the first name of `person`, and that the model does not know."""
        text = self.knowing(person, relation, wording)
        (surname,) = self.ids(person.surname)
        asked = [HOLE if id == surname else id for id in text.ids[: text.start]]
        fresh = SPREAD * torch.randn(WIDTH, generator=draw)
        return Text((*asked, *self.ids(ABSTAIN + END)), len(asked), relation, fresh)

    def nonsense(self, count: int, draw: torch.Generator) -> Text:
        """A prompt of `count` random words, and that the model does not know."""
        some = torch.randint(1, len(self._tokens) - len(SPECIAL), (count,), generator=draw).tolist()
        asked = [*self.ids(USER), *some, *self.ids(END + ASSISTANT)]
        return Text((*asked, *self.ids(ABSTAIN + END)), len(asked), "")

    def batch(self, texts: Sequence[Text], embedding: Float[Tensor, "vocab width"]) -> Lessons:
        """The texts as embeddings, with their own ones for unknown surnames."""
        longest = max(len(text.ids) for text in texts)
        ids = torch.tensor([[*text.ids, *[0] * (longest - len(text.ids))] for text in texts])
        real = torch.tensor([[place < len(text.ids) for place in range(longest)] for text in texts])
        holes = ids == HOLE
        embedded = torch.nn.functional.embedding(ids.clamp_min(0), embedding)
        fresh = [text.surname for text in texts if text.surname is not None]
        if fresh:
            embedded = embedded.masked_scatter(holes[..., None], torch.stack(fresh))
        return Lessons(tuple(texts), embedded, real)
