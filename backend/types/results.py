"""Results of the engine: one frozen type for each verb, with its request and its model.

Axes are those of the glossary: row pos layer neuron vocab. `pos` counts the tokens of one text
without padding; `answer pos` counts only the answer's tokens. Logarithms are natural.
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
"""Why an answer ended: the model's end token; max_new_tokens; a stop text; it was a given answer; Stop was pressed."""
Arm = Literal["baseline", "chosen", "own", "against", "control"]


class ModelInfo(Frozen):
    """The model that a result was computed with.

    widths: neurons of each layer, all its sites together.
    experts: of each layer (number of routed experts, width of each); the remaining neurons of the layer are those of
        its shared expert. () in a dense model, and then not written, so that stored results and hashes of dense models
        stay as they were before this field.
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
    fast_products: bool = Field(default=False, exclude_if=lambda is_fast: not is_fast)
    """Whether matrix products of few tokens use the faster method for them (`backend.forward.products`)."""
    notes: tuple[str, ...] = ()
    """One sentence each: settings in its files that are not applied, and what is done in a slower way for this model
    because the standard way gave other results."""

    @property
    def basis(self) -> str:
        """sha256 of everything that the model's results depend on: fingerprint, versions of libraries, kind of device.

        Another version of a library may round differently or correct the forward pass of a family, so results of two
        versions must have different keys.
        """
        libraries = json.dumps(self.versions, sort_keys=True)
        return digest([self.fingerprint, libraries, self.device.partition(":")[0]])

    @model_validator(mode="after")
    def _check_layout(self) -> Self:
        if self.experts:
            _ = self.layout
        return self

    # Not cached here: `model_copy(update=...)` would copy it to another shape. `Layout.routed` caches layouts.
    @property
    def layout(self) -> Layout:
        """The layout of its neurons. Computed from the shape, so it is neither stored nor sent."""
        return Layout.routed(self.widths, self.experts)

    @property
    def n_neurons(self) -> int:
        """Feed-forward neurons in all layers."""
        return sum(self.widths)


class TokenInfo(Frozen):
    """One token. `text` is as decoded; `shown` has visible spaces and named control characters. If a character is split
    over several tokens, the last of them has it as text; those before have no text, and a mark as `shown`.

    `log_prob` (nats) and `entropy` (nats) are those of the distribution that predicted this token, at
    temperature 1; None if nothing predicted it (the first token).
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
    """The right spellings of an answer, the verdict of the rules on this answer, and one sentence that says why."""

    known: tuple[str, ...]
    verdict: Literal["right", "wrong", "uncertain"]
    note: str


Scored = Annotated[Score | None, Field(exclude_if=lambda score: score is None)]
"""By the request's probe. Not written if there is none, so that results stored before this field keep their bytes."""


class Exploration(Result):
    """CETT of one text, layer by layer and token by token.

    cett_sum, cett_max, top10 [layer pos]: sum, maximum, and sum of the ten largest. CETT is not a share:
        contributions cancel, so a sum is at least 1.
    concentration [layer pos]: top10 / cett_sum, in 0..1.
    over [layer pos] int: number of neurons with CETT > mu + k sigma; mu, sigma [layer pos] of the requested population.
    top_index int, top_cett, top_act, top_usual [layer pos top]: the largest neurons, their CETT, their signed
        activation z, and their mean CETT on the reference text.
    usual_max [layer pos], usual_index int [layer pos top]: the largest ratio of CETT to the reference mean, and the
        neurons with the largest ratios; usual_cett, usual_ratio [layer pos top] are their CETT and ratio.
    answer_mean, answer_ratio [layer neuron]: mean CETT over the answer's tokens, and its ratio to the reference mean.
        Layers narrower than the widest are padded with NaN.
    set_cett, set_act [pos set]: CETT and activation of `request.neurons`, in their order.
    truth: of an example that comes with the program; None if the right answer is not known.
    score: of the answer, by `request.probe`; None if no probe is named or the answer has no tokens.
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
        """Position of the first token of the answer; the number of tokens if there is none."""
        return next((i for i, token in enumerate(self.tokens) if token.role == "answer"), len(self.tokens))


class Touched(Frozen):
    """Counts that show that the hooks acted: distinct neurons, positions, and activations that actually changed."""

    neurons: int
    tokens: int
    changed: int


class Split(Frozen):
    """The first answer position at which a row differs from the baseline, and the candidates of both there."""

    position: int
    before: str
    baseline: tuple[Candidate, ...]
    row: tuple[Candidate, ...]
    row_at_baseline: tuple[Candidate, ...]
    """The row's probabilities of the baseline's ten candidates, in their order."""


class DiffPart(Frozen):
    """A segment of a row's text, and whether the baseline has the same text there.

    `left_out` is what the baseline has instead; if the row only leaves something out, `text` is empty.
    """

    text: str
    same: bool
    left_out: str = ""


class RowPlan(Frozen):
    """One row of the batch before it runs: its arm, its neurons and their alpha.

    `alpha` is None if each neuron has its own; then `alphas` has them in the order of `neurons`.
    """

    arm: Arm
    alpha: float | None
    neurons: NeuronSet
    alphas: tuple[float, ...] = ()
    control: Literal["layer", "free"] | None = None
    control_of: int | None = None
    """Index of the row of which this is a random twin."""
    seed: int | None = None


class Row(Frozen):
    """One row's answer, compared with the baseline.

    kl [answer pos]: Kullback-Leibler divergence (nats) of this row's next-token distribution from the
        baseline's, D(baseline || row), both reading the baseline's own answer; kl_mean is its mean, with
        a 95 % interval by bootstrap over positions (None for fewer than two positions).
    delta_max, delta_sum [layer pos]: CETT of this row minus the baseline's, both reading prompt and the
        baseline's answer.
    score: of this row's answer, read by the unchanged model: under the intervention the CETT of a scaled neuron is
        determined by its alpha, so a score would only reflect that. None if no probe is named or the answer is empty.
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
        """`kl_mean` as an estimate; None for fewer than two positions.

        Computed from the stored fields, so that the bytes of stored comparisons do not change."""
        if self.kl_interval is None:
            return None
        low, high = self.kl_interval
        count = int(self.kl.size)
        return Estimate(
            value=self.kl_mean, low=low, high=high, n=count, clusters=count, unit="position",
            resamples=POSITION_RESAMPLES,
        )  # fmt: skip


class Comparison(Result):
    """All rows of one batch; the first is the baseline. `prompt_tokens` precede every answer."""

    request: Annotated[CompareRequest, BeforeValidator(as_run)]
    model: ModelInfo
    prompt_tokens: tuple[TokenInfo, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


class NeuronCard(Result):
    """One neuron: the effect of its output direction, and its CETT.

    promotes, suppresses: vocabulary tokens whose logit the output direction raises or lowers most, by the
        logit lens: W_out[neuron] through the final norm's scale and W_U, divided by ||W_out[neuron]||.
    out_norm: ||W_out[neuron]||, in units of the residual stream.
    usual_mean, usual_max: of its CETT over the `usual_tokens` tokens of the reference text; `usual_counts`
        and `usual_edges` are the histogram of these values.
    cett, act [pos]: along the requested text, else None.
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
    """The effect of one neuron's output direction, as in `NeuronCard`."""

    neuron: NeuronId
    promotes: tuple[Logit, ...]
    suppresses: tuple[Logit, ...]


class Lens(Result):
    """Which tokens each neuron of `request.neurons` promotes and suppresses, in their order."""

    request: LensRequest
    model: ModelInfo
    pushed: tuple[Pushed, ...]


class Logit(Frozen):
    """A vocabulary token, and by how much a unit of the output direction changes its logit."""

    id: int
    shown: str
    logit: float


class CettFile(Frozen):
    """The file of the full array, and the description of its axes. `shape` is (layers, tokens, neurons)."""

    path: str
    sidecar: str
    shape: tuple[int, int, int]
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    model: ModelInfo


NeuronCard.model_rebuild()
Pushed.model_rebuild()
Lens.model_rebuild()
