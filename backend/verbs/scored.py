"""Answers scored by a probe while they are written, and when they are whole.

Owns how a row is followed for a probe and how its tokens are told with the score so far. The score itself is
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
from backend.probes.scoring import Running as Along
from backend.probes.scoring import Scorer, scorer
from backend.types import Asked, TokenEvent, TokenInfo
from backend.types.names import ProbeRef
from backend.types.score import Score
from backend.watch import Watch


@dataclass(frozen=True, eq=False)
class Followed:
    """The neurons of a probe, followed in one request's rows."""

    scorer: Scorer
    capture: Chosen
    along: dict[int, Along] = field(default_factory=dict)
    """Row -> its score so far."""

    def so_far(self, answer: Running) -> float | None:
        """The score of a row that is being answered, over all that has been read of its answer; None before."""
        assert answer.follow is not None, "the row is followed"
        along = self.along.setdefault(answer.number, self.scorer.running())
        first = len(answer.row.ids) - self.scorer.ahead
        along.read(answer.follow.chosen(first + len(along.along)).numpy())
        return along.along[-1] if along.along else None

    def score(
        self, asked: Asked, answer: str, tokens: tuple[TokenInfo, ...], cett: Float[Tensor, "pos set"], start: int
    ) -> Score | None:
        """The score of a whole answer whose tokens stand from place `start` on in a text, of the text's CETT."""
        first = start - self.scorer.ahead
        return self.scorer.score(asked, answer, tokens, cett[first : first + len(tokens)].numpy())


def followed(model: LoadedModel, probe: ProbeRef | None) -> Followed | None:
    """What follows a request's rows for its probe, where it names one. Raises as `backend.probes.scoring.scorer`.

    The capture is the same object where the same probe is named, so that rows of several people share it.
    """
    if probe is None:
        return None
    scores = scorer(probe, model.info)
    known: WeakValueDictionary[object, Chosen] = model.extras.setdefault("followed", WeakValueDictionary())
    found = known.get(probe)
    if found is None:
        layers = model.info.layout.by_layer(scores.neurons).items()
        chosen = {layer: torch.tensor(indices, device=model.w_norms[layer].device) for layer, indices in layers}
        found = known[probe] = Chosen(chosen, torch.empty(0, dtype=torch.long, device=model.device))
    return Followed(scores, found)


def teller(model: LoadedModel, watch: Watch, follow: Followed | None = None) -> Callable[[Running], None]:
    """What tells `watch` of each new token, of a followed row with its score so far."""

    def tell(answer: Running) -> None:
        token = prompting.newest_token(model, answer.ids, answer.log_probs[-1], answer.entropies[-1])
        score = None if follow is None or answer.follow is None else follow.so_far(answer)
        watch.emit(
            TokenEvent(row=answer.row.place, index=len(answer.ids) - 1, token=token, text=answer.text, score=score)
        )

    return tell
