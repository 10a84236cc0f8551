"""Scoring answers with a probe, while they are generated and when they are complete.

Owns how a row is followed for a probe, and how its tokens are reported with the score so far. The score itself is
`backend.probes.scoring`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from backend.forward import prompting
from backend.forward.capture import Chosen
from backend.forward.row import Running
from backend.models.loaded import LoadedModel
from backend.probes.scoring import RunningScore as Along
from backend.probes.scoring import Scorer, scorer
from backend.types import Asked, TokenEvent, TokenInfo
from backend.types.names import ProbeRef
from backend.types.score import Score
from backend.watch import Watch


@dataclass(frozen=True, eq=False)
class Followed:
    """The neurons of a probe, captured in the rows of one request."""

    scorer: Scorer
    capture: Chosen
    along: dict[int, Along] = field(default_factory=dict)
    """Row -> its score so far."""

    def so_far(self, answer: Running) -> float | None:
        """The score of a row in progress, over what has been read of its answer; None before its first token is
        read."""
        assert answer.follow is not None, "the row is followed"
        along = self.along.setdefault(answer.number, self.scorer.running())
        first = len(answer.row.ids) - self.scorer.ahead
        along.read(answer.follow.chosen(first + along.positions).numpy())
        return along.along[-1] if along.along else None

    def score(
        self, asked: Asked, answer: str, tokens: tuple[TokenInfo, ...], cett: Float[Tensor, "pos set"], start: int
    ) -> Score | None:
        """The score of a complete answer, from CETT of the whole text; the answer's tokens start at place `start`."""
        first = start - self.scorer.ahead
        last = first + len(tokens) + self.scorer.lead
        return self.scorer.score(asked, answer, tokens, cett[first:last].numpy())


def followed(model: LoadedModel, probe: ProbeRef | None) -> Followed | None:
    """What captures the rows of a request for its probe; None if it names none. Raises as
    `backend.probes.scoring.scorer`.

    The same probe gives the same capture object, so that rows of several people share it.
    """
    if probe is None:
        return None
    scores = scorer(probe, model.info)
    known: WeakValueDictionary[object, Chosen] = model.extras.setdefault("followed", WeakValueDictionary())
    shared = known.get(probe)
    if shared is None:
        layers = model.info.layout.by_layer(scores.neurons).items()
        chosen = {layer: torch.tensor(indices, device=model.w_norms[layer].device) for layer, indices in layers}
        shared = known[probe] = Chosen(chosen, torch.empty(0, dtype=torch.long, device=model.device))
    return Followed(scores, shared)


def teller(model: LoadedModel, watch: Watch, follow: Followed | None = None) -> Callable[[Running], None]:
    """A function that reports each new token to `watch`, with the score so far if the row is followed."""

    def tell(answer: Running) -> None:
        token = prompting.newest_token(model, answer.ids, answer.log_probs[-1], answer.entropies[-1])
        score = None if follow is None or answer.follow is None else follow.so_far(answer)
        watch.emit(
            TokenEvent(row=answer.row.place, index=len(answer.ids) - 1, token=token, text=answer.text, score=score)
        )

    return tell
