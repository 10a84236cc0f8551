"""What several pages share of what a person chose, and what a page's own view is.

Owns `Shared`, and `PageView`, which each page's own view type is made from. Refuses Streamlit, and what one page alone
shows: that stands in the page's folder.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_PROMPT_CHARACTERS, Asked, Decoding
from backend.types.base import Frozen
from backend.types.names import RunName

Words = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
"""Text of any kind that a person typed, the empty one among them."""
ASKED = frozenset(("prompt", "chat", "system", "decoding"))
"""The fields that are the question."""


class Shared(Frozen):
    """The question that is asked, the neurons that are chosen, and what else more than one page goes by."""

    prompt: Words | None = Field(default=None, title="question")
    chat: bool = True
    system: Words | None = None
    decoding: Decoding = Decoding()
    neurons: NeuronSet = Field(default=NeuronSet(), title="list of neurons")
    probe: RunName | None = None
    """The probe whose H-neurons are marked; by default one made on the loaded model."""
    card: NeuronId | None = None
    """The neuron whose card is open."""
    template: bool = False
    """Whether figures show the chat template's tokens."""

    def asking(self, asked: Asked, decoding: Decoding) -> Shared:
        """This with another question in it; a card that was open beside the old answer is closed."""
        return self.model_copy(
            update={
                "prompt": asked.prompt, "chat": asked.chat, "system": asked.system, "decoding": decoding, "card": None,
            }
        )  # fmt: skip


class PageView(Frozen):
    """What is on one page, beside what pages share. A field that has its default is left out of the address."""

    SHARED: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Shared` that the page's address holds as well, and that Back brings back there."""
