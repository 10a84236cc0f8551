"""What the engine answers: one frozen type a verb, each with its request, its model and its counts.

Axes are those of the glossary: row pos layer neuron vocab. `pos` counts the tokens of one text
without padding; `answer pos` counts the answer's tokens alone. Logarithms are natural.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.types.base import Array, Frozen, digest
from backend.types.estimate import POSITION_RESAMPLES, Estimate
from backend.types.requests import CompareRequest, ExploreRequest, LensRequest, NeuronRequest
from backend.types.score import Score
from backend.types.stored import as_run
from backend.types.verbs import Result

Role = Literal["template", "prompt", "answer"]
Finish = Literal["end", "length", "stop_text", "given", "stopped"]
"""Why an answer ended: the model's end token; max_new_tokens; a stop text; it was given; Stop was pressed."""
Arm = Literal["baseline", "chosen", "own", "against", "control"]


class ModelInfo(Frozen):
    """The model that a figure belongs to.

    widths: neurons of each layer, all its sites together.
    experts: of each layer how many routed experts it has and how wide they are; what they leave of the layer's width
        is its shared expert's. () in a dense model, and then not written either: what is stored of dense models reads
        and hashes as it did before there were experts.
    """

    name: str
    family: str
    fingerprint: str
    n_layers: int
    widths: tuple[int, ...]
    d_model: int
    n_vocab: int
    parameters: int
    context: int
    dtype: str
    device: str
    versions: dict[str, str]
    experts: tuple[tuple[int, int], ...] = Field(default=(), exclude_if=lambda experts: not experts)
    fast_products: bool = Field(default=False, exclude_if=lambda taken: not taken)
    """Whether products of few tokens are taken the way that is fast for them (`backend.forward.products`)."""
    notes: tuple[str, ...] = ()
    """A sentence each: what its files ask for and do not get here, and what is done in a slower way for this model
    because the usual one was found to differ."""

    @property
    def basis(self) -> str:
        """sha256 of all that the model's figures hang on: its fingerprint, the libraries that run it, and where.

        Another version of a library may round otherwise, or mend a family's forward; figures of two of them are never
        mixed in one array or taken for one another.
        """
        libraries = json.dumps(self.versions, sort_keys=True)
        return digest([self.fingerprint, libraries, self.device.partition(":")[0]])

    @model_validator(mode="after")
    def _laid_out(self) -> Self:
        if self.experts:
            _ = self.layout
        return self

    # Not cached here: it would go along with `model_copy(update=...)` to another shape. The layouts are.
    @property
    def layout(self) -> Layout:
        """Which neurons it has, and where each lies. Worked out of the shape, so it is neither stored nor sent."""
        return Layout.routed(self.widths, self.experts)

    @property
    def n_neurons(self) -> int:
        """Feed-forward neurons in all layers."""
        return sum(self.widths)


class TokenInfo(Frozen):
    """One token. `text` is as decoded; `shown` has its spaces visible and its control characters named. Of a character
    that several tokens make, the last has it and those before have no text and a mark.

    `log_prob` (nats) and `entropy` (nats) are of the distribution that predicted this token, at
    temperature 1; None where nothing predicted it (the first token).
    """

    id: int
    text: str
    shown: str
    role: Role
    log_prob: float | None = None
    entropy: float | None = None


class Candidate(Frozen):
    """One possible next token with its probability."""

    id: int
    shown: str
    probability: float


class Truth(Frozen):
    """What is known of an answer: the spellings that would be right, how this one was judged by the rules against
    them, and in a sentence why."""

    known: tuple[str, ...]
    verdict: Literal["right", "wrong", "uncertain"]
    note: str


Scored = Annotated[Score | None, Field(exclude_if=lambda score: score is None)]
"""By the request's probe. Not written where there is none: what was stored without reads and weighs as it did."""


class Exploration(Result):
    """CETT of one text, layer by layer and token by token.

    cett_sum, cett_max, top10 [layer pos]: sum, largest, and the ten largest summed. CETT is not a share:
        contributions cancel, so a sum is at least 1.
    concentration [layer pos]: top10 / cett_sum, in 0..1.
    over [layer pos] int: neurons with CETT > mu + k sigma; mu, sigma [layer pos] of the population asked for.
    top_index int, top_cett, top_act, top_usual [layer pos top]: the largest neurons, their CETT, their signed
        activation z, and their mean CETT on the reference text.
    usual_max [layer pos], usual_index int [layer pos top]: the largest ratio of CETT to usual, and the neurons
        with the largest ratios; usual_cett, usual_ratio [layer pos top] are theirs.
    answer_mean, answer_ratio [layer neuron]: mean CETT over the answer's tokens, and that over the usual mean.
        Layers narrower than the widest are filled up with NaN.
    set_cett, set_act [pos set]: CETT and activation of `request.neurons`, in their order.
    truth: of an example that ships; None where nobody said what is right.
    score: of the answer, by `request.probe`; None where no probe is named or the answer has no token.
    """

    request: Annotated[ExploreRequest, BeforeValidator(as_run)]
    model: ModelInfo
    tokens: tuple[TokenInfo, ...]
    answer: str
    finish: Finish
    usual_tokens: int
    cett_sum: Array
    cett_max: Array
    top10: Array
    concentration: Array
    over: Array
    mu: Array
    sigma: Array
    top_index: Array
    top_cett: Array
    top_act: Array
    top_usual: Array
    usual_max: Array
    usual_index: Array
    usual_cett: Array
    usual_ratio: Array
    answer_mean: Array
    answer_ratio: Array
    set_cett: Array
    set_act: Array
    truth: Truth | None = None
    score: Scored = None

    @property
    def answer_start(self) -> int:
        """Position of the first answer token; the number of tokens if there is none."""
        return next((i for i, token in enumerate(self.tokens) if token.role == "answer"), len(self.tokens))


class Touched(Frozen):
    """Proof that the hooks acted: distinct neurons, positions, and activations that really changed."""

    neurons: int
    tokens: int
    changed: int


class Split(Frozen):
    """The first answer position at which a row leaves the baseline, and what both wanted there."""

    position: int
    before: str
    baseline: tuple[Candidate, ...]
    row: tuple[Candidate, ...]
    row_at_baseline: tuple[Candidate, ...]
    """The row's probability of the baseline's ten candidates, in their order."""


class DiffPart(Frozen):
    """A stretch of a row's text, and whether the baseline has it too, at that place.

    `left_out` is what the baseline has in the stretch's place; where the row only leaves something out,
    `text` is empty.
    """

    text: str
    same: bool
    left_out: str = ""


class RowPlan(Frozen):
    """One row of the batch before it runs: which arm, which neurons at which alpha.

    `alpha` is None where neurons have their own; then `alphas` has them in the order of `neurons`.
    """

    arm: Arm
    alpha: float | None
    neurons: NeuronSet
    alphas: tuple[float, ...] = ()
    control: Literal["layer", "free"] | None = None
    control_of: int | None = None
    """Index of the row whose twin this is."""
    seed: int | None = None


class Row(Frozen):
    """One row's answer and what became of it.

    kl [answer pos]: Kullback-Leibler divergence (nats) of this row's next-token distribution from the
        baseline's, D(baseline || row), both reading the baseline's own answer; kl_mean is its mean, with
        a 95 % interval by bootstrap over positions (None below two positions).
    delta_max, delta_sum [layer pos]: CETT of this row minus the baseline's, both reading prompt and the
        baseline's answer.
    score: of this row's answer, read by the untouched model: a scaled neuron has the CETT that its alpha gives it, and
        a score under the intervention would say no more than that. None where no probe is named or nothing was said.
    """

    arm: Arm
    alpha: float | None
    plan: RowPlan
    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[TokenInfo, ...]
    finish: Finish
    touched: Touched
    diff: tuple[DiffPart, ...]
    tokens_changed: int
    split: Split | None
    kl: Array
    kl_mean: float
    kl_interval: tuple[float, float] | None
    delta_max: Array
    delta_sum: Array
    score: Scored = None

    @property
    def kl_estimate(self) -> Estimate | None:
        """`kl_mean` with its interval and what that was made from; None below two positions. A view: stored comparisons
        hold mean and interval apart, and keep their bytes."""
        if self.kl_interval is None:
            return None
        low, high = self.kl_interval
        count = int(self.kl.size)
        return Estimate(
            value=self.kl_mean, low=low, high=high, n=count, clusters=count, unit="position",
            resamples=POSITION_RESAMPLES,
        )  # fmt: skip


class Comparison(Result):
    """All rows of one batch; the first is the baseline. `prompt_tokens` come before every answer."""

    request: Annotated[CompareRequest, BeforeValidator(as_run)]
    model: ModelInfo
    prompt_tokens: tuple[TokenInfo, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


class NeuronCard(Result):
    """One neuron: what its output direction does, and how it behaves.

    promotes, suppresses: vocabulary tokens whose logit the output direction raises or lowers most, by the
        logit lens: W_out[neuron] through the final norm's scale and W_U, divided by ||W_out[neuron]||.
    out_norm: ||W_out[neuron]||, in units of the residual stream.
    usual_mean, usual_max: of its CETT over the `usual_tokens` tokens of the reference text; `usual_counts`
        and `usual_edges` are the histogram of the same.
    cett, act [pos]: along the text asked about, else None.
    """

    request: Annotated[NeuronRequest, BeforeValidator(as_run)]
    model: ModelInfo
    neuron: NeuronId
    promotes: tuple[Logit, ...]
    suppresses: tuple[Logit, ...]
    out_norm: float
    usual_tokens: int
    usual_mean: float
    usual_max: float
    usual_counts: Array
    usual_edges: Array
    tokens: tuple[TokenInfo, ...] = ()
    cett: Array | None = None
    act: Array | None = None


class Pushed(Frozen):
    """What one neuron's output direction does, as in `NeuronCard`."""

    neuron: NeuronId
    promotes: tuple[Logit, ...]
    suppresses: tuple[Logit, ...]


class Lens(Result):
    """What each neuron of `request.neurons` pushes, in their order."""

    request: LensRequest
    model: ModelInfo
    pushed: tuple[Pushed, ...]


class Logit(Frozen):
    """A vocabulary token and how far a unit of the output direction moves its logit."""

    id: int
    shown: str
    logit: float


class CettFile(Frozen):
    """Where the full array was written and what its axes are. `shape` is (layers, tokens, neurons)."""

    path: str
    sidecar: str
    shape: tuple[int, int, int]
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    model: ModelInfo


NeuronCard.model_rebuild()
Pushed.model_rebuild()
Lens.model_rebuild()
