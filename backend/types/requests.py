"""Requests to the engine: one frozen type for each verb.

A request determines a run completely: its hash with the model's fingerprint is store key, link and
provenance. Every default is part of the hash, so a new field changes all keys unless it is excluded
on purpose.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from backend.neurons import NeuronId, NeuronSet
from backend.types.base import Strict
from backend.types.names import ProbeRef
from backend.types.verbs import Request

T = TypeVar("T")
MAX_PROMPT_CHARACTERS = 20_000
MAX_ALPHA = 3.0
"""Largest scaling offered: the range of Gao et al. 2025, section 3."""
MAX_ROWS = 64
MIN_TEMPERATURE = 0.01
"""Smallest temperature above 0: logits divided by a smaller one exceed the range of float16."""
MAX_LENS = 256

Alpha = Annotated[float, Field(ge=0.0, le=MAX_ALPHA, allow_inf_nan=False)]
"""Scale of a neuron's activation z: 0 ablates, below 1 suppresses, 1 is the baseline, above 1 amplifies."""

Population = Literal["token", "layer", "model"]
"""The neurons over which mu and sigma are computed: all layers at one token; one layer at one token; all layers and
tokens."""

Positions = Literal["all", "prompt", "answer"]
"""Where an intervention acts: every position; prompt and template only; answer tokens as inputs only.

Under "answer" the last prompt position, which predicts the first answer token, is untouched."""


def _check_utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half a character: it cannot be written as UTF-8; type it again") from error
    return value


Text = Annotated[str, AfterValidator(_check_utf8)]
"""Text that can be encoded as UTF-8: no unpaired surrogate."""
_Bounded = Annotated[Text, Field(max_length=MAX_PROMPT_CHARACTERS)]


def _without_duplicates(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


EachOnce = AfterValidator(_without_duplicates)
"""Marks a list in which repeated values have no meaning: only the first of equal values is kept."""


class Decoding(Strict):
    """How tokens of the answer are chosen. Temperature 0 is greedy; then top_k, top_p and seed have no effect."""

    max_new_tokens: int = Field(default=40, ge=1, le=2048)
    temperature: float = Field(default=0.0, ge=0.0, le=5.0)
    top_k: int = Field(default=0, ge=0, le=1000, description="0 keeps every token")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @field_validator("temperature")
    @classmethod
    def _check_temperature(cls, value: float) -> float:
        if 0 < value < MIN_TEMPERATURE:
            raise ValueError(
                f"the temperature {value:g} is too low: below {MIN_TEMPERATURE:g} chances overflow; write 0 for greedy"
            )
        return value

    stop: Annotated[tuple[Text, ...], Field(max_length=8, description="texts that end an answer"), EachOnce] = ()

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("a stop text is empty: it would end no answer; write the text that is to, or leave it out")
        return value


class Threshold(Strict):
    """A strong neuron has CETT > mu + k sigma. It occurs in right answers too, so it shows no hallucination."""

    k: float = Field(default=3.0, ge=0.0, le=20.0)
    population: Population = "layer"


class Asked(Strict):
    """The input of the model. With `chat`, the prompt is formatted with the model's own template."""

    prompt: Text
    chat: bool = True
    system: _Bounded | None = None

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is empty: there is nothing to ask; type a question")
        if len(value) > MAX_PROMPT_CHARACTERS:
            raise ValueError(
                f"the prompt has {len(value):,} characters: at most {MAX_PROMPT_CHARACTERS:,} are read; shorten it"
            )
        return value

    @model_validator(mode="after")
    def _check_system_needs_chat(self) -> Self:
        if self.system and not self.chat:
            raise ValueError(
                "a system text is given and the chat template is off, which alone would put it before the prompt: the "
                "model would never read it; leave the system text empty, or turn the template on"
            )
        return self


ScoredBy = Annotated[
    ProbeRef | None,
    Field(exclude_if=lambda probe: probe is None, description="the probe that scores each answer, token by token"),
]
"""Not written if there is none, so that requests without a probe keep the hash that they had before this field."""


class ExploreRequest(Asked, Request):
    """Measure one answer: generated, or given in `answer`; a given answer is read unchanged, and nothing is decoded."""

    answer: _Bounded | None = None
    decoding: Decoding = Decoding()
    threshold: Threshold = Threshold()
    top: int = Field(default=10, ge=1, le=50, description="neurons kept for each layer and token")
    neurons: NeuronSet = NeuronSet()
    probe: ScoredBy = None

    def reading(self, answer: str) -> ExploreRequest:
        """This request with a given answer, which is then read and not generated again."""
        return self.model_copy(update={"answer": answer, "decoding": Decoding()})


class OwnAlpha(Strict):
    """A neuron with an alpha of its own."""

    neuron: NeuronId
    alpha: Alpha


class CompareSettings(Strict):
    """The settings of a comparison, each validated by itself.

    A draft may be inconsistent, for instance with the same alpha twice: `CompareRequest` validates the combination.
    """

    neurons: NeuronSet = NeuronSet()
    alphas: tuple[Alpha, ...] = Field(default=(0.0,), max_length=16)
    own: tuple[OwnAlpha, ...] = Field(default=(), max_length=10_000)
    against: NeuronSet = Field(default=NeuronSet(), description="a further arm, as a probe's negative weights")
    against_alpha: Alpha = 0.0
    controls: int = Field(default=1, ge=0, le=20, description="random twins of each kind, for each arm of control_arms")
    control_kinds: Annotated[tuple[Literal["layer", "free"], ...], EachOnce] = ("layer",)
    control_arms: Annotated[tuple[int, ...], EachOnce] = (0,)
    control_seed: int = Field(default=0, ge=0, lt=2**31)
    positions: Positions = "all"


CONTROL_KINDS = {"layer": "same layers", "free": "any layer"}
"""What the kinds of random neurons are called: where they are drawn from."""


class CompareRequest(CompareSettings, Asked, Request):
    """The same prompt under several interventions, as rows of one batch.

    Rows, in order: the baseline; all `neurons` at each of `alphas`; the neurons of `own`, each at its own alpha;
    a further set, `against`, at `against_alpha`; then, for each kind in `control_kinds`, `controls` random twins of
    each arm in `control_arms` (indices into the intervened rows; by default the first).
    """

    decoding: Decoding = Decoding()
    probe: ScoredBy = None

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if len(set(self.alphas)) != len(self.alphas):
            raise ValueError("an alpha stands twice: each is one row; name it once")
        if len({own.neuron for own in self.own}) != len(self.own):
            raise ValueError("a neuron has two own alphas: only one can hold; name it once")
        if self.alphas and not self.neurons and not self.own and not self.against:
            raise ValueError("no neuron is chosen: there is nothing to switch; choose at least one")
        # The default cannot be distinguished from the same value typed by a person.
        if self.alphas not in ((), (0.0,)) and not self.neurons:
            raise ValueError(
                "alphas are named and no neurons that they would scale: those of own and against have alphas of their "
                "own; name neurons, or leave alphas out"
            )
        arms = self.intervened_rows
        if any(arm < 0 or arm >= max(arms, 1) for arm in self.control_arms):
            raise ValueError(
                f"control_arms names a row that is not there: rows 0 to {arms - 1} are intervened; name one"
            )
        if self.controls and not self.control_kinds:
            raise ValueError(
                f"random twins are asked for (controls = {self.controls}), and no kind of them (control_kinds): they "
                "are drawn from the same layers or from any; name layer or free, or set controls to 0"
            )
        if 1 + arms + self.control_rows > MAX_ROWS:
            raise ValueError(
                f"{1 + arms + self.control_rows} rows are too many: a batch holds {MAX_ROWS}; ask for fewer controls"
            )
        return self

    @property
    def intervened_rows(self) -> int:
        """Number of rows with a chosen intervention, without controls."""
        return (len(self.alphas) if self.neurons else 0) + bool(self.own) + bool(self.against)

    @property
    def twin_seeds(self) -> range:
        """The seeds of the random twins of one arm and kind, in the order of the rows."""
        return range(self.control_seed, self.control_seed + self.controls)

    @property
    def control_rows(self) -> int:
        """Number of rows with a random twin."""
        arms = len(self.control_arms) if self.intervened_rows else 0
        return self.controls * len(self.control_kinds) * arms


class NeuronRequest(Request):
    """One neuron's card, with its CETT along `text` if one is given."""

    neuron: NeuronId
    text: ExploreRequest | None = None
    top: int = Field(default=10, ge=1, le=50, description="output tokens each way")


class LensRequest(Request):
    """Which output tokens each of these neurons raises and lowers, whatever the text."""

    neurons: NeuronSet
    top: int = Field(default=10, ge=1, le=50, description="output tokens each way")

    @field_validator("neurons")
    @classmethod
    def _check_neurons(cls, value: NeuronSet) -> NeuronSet:
        if not 0 < len(value) <= MAX_LENS:
            raise ValueError(f"{len(value)} neurons are named: a look-up takes 1 to {MAX_LENS}; name them as L12:N345")
        return value


class CettRequest(Strict):
    """The full array [layer, token, neuron] of a text, unchanged; with `chat`, as a user's message."""

    text: Annotated[Text, Field(min_length=1, max_length=2_000_000)]
    chat: bool = False
