"""What is on Explore: what was asked, what stands in its form and was not run, and how the answer is looked at.

Owns `ExploreView`, which the page's address spells. Refuses Streamlit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.cell import Cell, Score
from app.links import AsJson
from app.shared.view import ASKED, PageView, Shared, Words
from backend.neurons import NeuronSet
from backend.types import Decoding, ExploreRequest, Population, Threshold
from backend.types.base import Frozen
from backend.types.names import ProbeRef

Measure = Literal["mean", "usual"]
NONE = NeuronSet()


class Unrun(Frozen):
    """Settings of the form that were changed and not run yet; None where one stands as it was asked."""

    chat: bool | None = None
    system: Words | None = None
    answer: Words | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=2048)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    stop: Annotated[tuple[Words, ...], Field(max_length=8)] | None = None
    k: Annotated[float, Field(ge=0, le=20)] | None = None
    population: Population | None = None


class ExploreView(PageView):
    """The request with what pages share, its draft, and the map's cell, score and switches."""

    SHARED: ClassVar[frozenset[str]] = ASKED | {"neurons", "template", "card", "probe"}

    draft: Words | None = Field(default=None, title="question as typed")
    """A prompt that was typed and not yet run."""
    unrun: Annotated[Unrun, AsJson()] = Unrun()
    measure: Measure = "mean"
    """What the map of all neurons shows."""
    part: Annotated[int, Field(ge=0, le=999)] | None = None
    """Which part of a long text the map shows, from 0; else the one with the chosen cell."""
    answer: Words | None = None
    threshold: Threshold = Threshold()
    score: Score = "largest"
    cell: Cell | None = None
    per_layer: bool = False
    model: Annotated[str, Field(min_length=1, max_length=300)] | None = None

    def request(
        self, shared: Shared, neurons: NeuronSet = NONE, probe: ProbeRef | None = None
    ) -> ExploreRequest | None:
        """The request that is asked, None where no prompt is; `neurons` are followed along the text, and `probe`
        scores the answer. Where one is given, how to decode another is not asked: it stays for the next question.

        Raises ValidationError.
        """
        if shared.prompt is None:
            return None
        decoding = shared.decoding if self.answer is None else Decoding()
        return ExploreRequest(
            prompt=shared.prompt, chat=shared.chat, system=shared.system, answer=self.answer, decoding=decoding,
            threshold=self.threshold, neurons=neurons, probe=probe,
        )  # fmt: skip

    def asking(self, request: ExploreRequest) -> ExploreView:
        """This view with `request` in it; a place in the old answer is forgotten, and so is what was not run."""
        return self.model_copy(
            update={
                "answer": request.answer, "threshold": request.threshold, "cell": None, "part": None, "draft": None,
                "unrun": Unrun(),
            }
        )  # fmt: skip
