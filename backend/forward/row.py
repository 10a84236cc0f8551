"""A row: one text that is answered or read, with all that is asked of it.

Owns `Row`, which is frozen and says what is asked, and `Running`, which is what has come of it so far. A row knows
nothing of the batch it runs in, nor of the rows beside it: what comes of it does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.errors import HNeuronsError, InterventionUnused
from backend.forward.capture import Capture
from backend.forward.recorder import Trace
from backend.neurons import NeuronSet
from backend.types import Decoding, Finish, Positions, RowPlan, Touched

Told = Callable[["Running"], None]
UNTOUCHED = RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet())


@dataclass(frozen=True, eq=False)
class Row:
    """What is asked of one row.

    ids: the prompt's tokens, at least one. place: its number in its request, by which its tokens are told.
    decoding: how its answer is chosen; `seed` is of its draws, by default that of `decoding`.
    plan, positions: whose activations are scaled by what, and where.
    capture: what is kept of its activations. captured: in which part of the text. followed: what is kept besides, in
        all of it: what somebody looks at while it answers.
    scores: whether log-probability and entropy are worked out for each token of the answer; prompt_scores: of the
        prompt.
    keep: whether its cache and logits behind the prompt are kept, for `Batch.read` to go on from.
    ignore_ends: go on to `max_new_tokens` whatever is chosen (measurements).
    """

    ids: tuple[int, ...]
    decoding: Decoding = Decoding()
    place: int = 0
    seed: int | None = None
    plan: RowPlan = UNTOUCHED
    positions: Positions = "all"
    capture: Capture | None = None
    captured: Positions = "all"
    followed: Capture | None = None
    scores: bool = True
    prompt_scores: bool = False
    keep: bool = False
    ignore_ends: bool = False

    @property
    def room(self) -> int:
        """The most positions it can take: prompt and answer."""
        return len(self.ids) + self.decoding.max_new_tokens

    def scaled(self, phase: Positions) -> bool:
        """Whether the plan acts on this part of the text."""
        return bool(self.plan.neurons) and self.positions in ("all", phase)

    def watched(self, phase: Positions) -> bool:
        """Whether activations of this part of the text are kept."""
        return self.followed is not None or (self.capture is not None and self.captured in ("all", phase))


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What one row scales in one layer, in the order of its neurons."""

    neurons: Int[Tensor, " neuron"]
    alphas: Float[Tensor, " neuron"]


@dataclass
class Kept:
    """The cache of `width` positions behind the prompts of `rows` rows that were read together."""

    cache: Any
    rows: int
    width: int


@dataclass(eq=False)
class Running:
    """What has come of a row so far.

    number: its own in its batch, which no other row there ever has. told: called with it after each of its tokens.

    ids: of its answer. log_probs, entropies: nats, at temperature 1, of its own tokens.
    text: its answer as text: at each token where its scores are asked for or a stop text is looked for, else at the
        end.
    error: why it was given up; the rows beside it go on.
    trace: what was captured; follow: what was followed. kept, kept_row: its row of a kept cache. first_logits [vocab]:
        behind the prompt, if kept.
    """

    row: Row
    number: int
    told: Told
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    finish: Finish | None = None
    text: str = ""
    error: HNeuronsError | None = None
    trace: Trace | None = None
    follow: Trace | None = None
    kept: Kept | None = None
    kept_row: int = 0
    first_logits: Float[Tensor, " vocab"] | None = None
    prompt_log_probs: list[float | None] = field(default_factory=list)
    prompt_entropies: list[float | None] = field(default_factory=list)
    generator: torch.Generator | None = None
    seen: int = 0
    """Positions that have been read."""
    tokens: int = 0
    """Of those, the ones at which its neurons were scaled."""
    layers: dict[int, LayerPlan] = field(default_factory=dict)
    """What is scaled in it, layer by layer."""
    slot: int = -1
    """Where changes are counted."""
    changed: Callable[[], int] = int
    """How many activations came out of the scaling as another number."""
    left: bool = False
    """Whether nothing more will be read of it."""

    def traces(self, phase: Positions) -> Iterator[Trace]:
        """Those into which this part of the text goes."""
        if self.trace is not None and self.row.captured in ("all", phase):
            yield self.trace
        if self.follow is not None:
            yield self.follow

    @property
    def touched(self) -> Touched:
        """What its plan did so far. Waits for the device."""
        return Touched(neurons=len(self.row.plan.neurons), tokens=self.tokens, changed=self.changed())


def plan_alphas(plan: RowPlan) -> tuple[float, ...]:
    """Each neuron's alpha, in the order of `plan.neurons`."""
    if plan.alpha is None:
        return plan.alphas
    return (plan.alpha,) * len(plan.neurons)


def prove(plans: Sequence[RowPlan], touched: Sequence[Touched], positions: Positions) -> None:
    """Proof, for every row, that its hooks acted.

    Raises InterventionUnused where a row was to be changed and nothing was: such a row is no answer.
    """
    for plan, proof in zip(plans, touched, strict=True):
        wanted = plan.neurons and any(alpha != 1.0 for alpha in plan_alphas(plan))
        if wanted and (proof.tokens == 0 or proof.changed == 0):
            reached = "no position was reached" if proof.tokens == 0 else "every activation there was exactly 0"
            raise InterventionUnused(
                f"The intervention on {len(plan.neurons)} neurons touched nothing",
                f"with positions '{positions}' {reached}",
                "choose all positions, a longer answer, or other neurons",
            )


def nobody(running: Running) -> None:
    """Listens to no token."""
