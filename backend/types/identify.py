"""The data of finding H-neurons: questions, sampling settings, answers and scores.

Source of the steps and of the defaults: Gao et al. 2025, section 6.1, and the authors' code where the paper is
silent (10 samples, temperature 1.0, top-k 50, top-p 0.9, 50 tokens).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from backend.types.base import Frozen, Strict
from backend.types.estimate import Estimate
from backend.types.requests import MIN_TEMPERATURE, Decoding, Text
from backend.types.results import Finish

SUFFIX = " Respond with the answer only, without any explanation."
"""What the authors' code appends to every question."""

Side = Literal["right", "wrong"]
Verdict = Literal["right", "wrong", "uncertain"]
Pooling = Literal["mean", "max"]
WordRule = Literal["phrase", "blind", "known"]
"""How the words that answer are found.

phrase: the phrase that answers. blind: the first new words. Both use the same rule for right and wrong answers; a right
answer whose words contain nothing of a known spelling is left out and counted. known: in right answers the known
spelling, in wrong ones as for blind.
"""
Fate = Literal["right", "wrong", "mixed", "uncertain"]
"""Result of the consistency filter for a question: the side on which it is kept, or why it is left out."""


MAX_TEXT = 2_000
"""The longest question, in characters."""
MAX_QUESTIONS = 50_000
"""The most questions that one request may bring."""


class Question(Frozen):
    """A question with all accepted spellings of its answer. `relation` is its kind, `entity` what it is about."""

    id: Text
    text: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]
    answers: Annotated[tuple[Text, ...], Field(min_length=1)]
    relation: Text = ""
    entity: Text = ""
    source: Text = ""


class ReadQuestions(Frozen):
    """The questions of a person's file, and the numbers of rows that were left out, by reason.

    incomplete: without a question or an answer. unusable: no answer has a letter or digit besides an article, so that
    answers could not be compared with it. unclear: another program turned an answer into a text that cannot be parsed.
    long: more than `MAX_TEXT` characters, or more answers than are read. broken: not text, or not a row. repeated: the
    same question as in another row; the answers were added to that row. where: the places of the first rows of each
    reason. Rows that were not drawn because of a limit are not counted.
    """

    questions: tuple[Question, ...]
    rows: int
    incomplete: int = 0
    unusable: int = 0
    unclear: int = 0
    long: int = 0
    broken: int = 0
    repeated: int = 0
    where: dict[str, tuple[Text, ...]] = {}

    @property
    def left_out(self) -> str:
        """The rows that were left out, in words; '' if there are none."""
        reasons = ", ".join(self.reasons({name: getattr(self, name) for name in _LOST}, self.where))
        return f"Left out of {self.rows:,} rows: {reasons}." if reasons else ""

    @staticmethod
    def reasons(lost: Mapping[str, int], where: Mapping[str, Sequence[str]]) -> list[str]:
        """For each reason, in words, how many rows were left out, with the places of the first ones."""
        reasons = []
        for name, description in _LOST.items():
            if count := lost.get(name, 0):
                places = where.get(name, ())
                more = ", and others" if places and count > len(places) else ""
                reasons.append(f"{count:,} {description}" + (f" ({'; '.join(places)}{more})" if places else ""))
        return reasons


_LOST = {
    "incomplete": "without a question or an answer",
    "unusable": "whose answers have no letter or digit beside an article",
    "unclear": "with a list, object, moment or letter of a choice that cannot be read back",
    "long": f"with a question of more than {MAX_TEXT:,} characters, or with longer answers than are read",
    "broken": "that are no text",
    "repeated": "that ask what another one asks (their answers count there)",
}


class Sampling(Strict):
    """How each question is answered: once greedily, and `samples` times by sampling."""

    samples: int = Field(default=10, ge=1, le=100)
    temperature: float = Field(default=1.0, ge=MIN_TEMPERATURE, le=5.0)
    top_k: int = Field(default=50, ge=0, le=1000)
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    max_new_tokens: int = Field(default=50, ge=1, le=512)
    suffix: Text = Field(default=SUFFIX, max_length=500)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def drawn(self) -> Decoding:
        """Decoding of the samples."""
        return Decoding(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p
        )

    @property
    def greedy(self) -> Decoding:
        """Decoding of the greedy answer."""
        return Decoding(max_new_tokens=self.max_new_tokens)


class Sample(Frozen):
    """One answer. `tokens` is its number of tokens, without the end token."""

    text: str
    tokens: int
    finish: Finish


class Greedy(Frozen):
    """A question's greedy answer; `log_probs`, `entropies` (nats, at temperature 1) are those of its tokens."""

    question: str
    answer: Sample
    log_probs: tuple[float, ...]
    entropies: tuple[float, ...]


class Samples(Frozen):
    """A question's sampled answers, in the order of their numbers."""

    question: str
    answers: tuple[Sample, ...]


class Consistency(Strict):
    """Which questions are kept: those with at least `right` right samples, or at least `wrong` wrong ones.

    With `greedy` the greedy answer must be on the same side. A question with more than `uncertain` uncertain samples
    is left out. Named settings are in `CONSISTENCIES`; the first is the paper's.
    """

    right: int = Field(default=10, ge=1, le=100)
    wrong: int = Field(default=10, ge=1, le=100)
    greedy: bool = False
    uncertain: int = Field(default=0, ge=0, le=100)

    def check(self, samples: int) -> Self:
        """This filter. Raises ValueError if `samples` samples cannot meet it, or can meet both sides at once."""
        if max(self.right, self.wrong) > samples:
            wanted = max(self.right, self.wrong)
            raise ValueError(
                f"Only {samples} samples are drawn: no question can have {wanted} of one kind, as the filter asks; ask "
                "for fewer, or draw more samples"
            )
        if not self.greedy and self.right + self.wrong <= samples:
            raise ValueError(
                f"A question could be kept on both sides: {self.right} right and {self.wrong} wrong do not exceed the "
                f"{samples} samples; choose larger numbers"
            )
        return self


CONSISTENCIES: dict[str, Consistency] = {
    "all samples (the paper)": Consistency(right=10, wrong=10),
    "greedy and most samples": Consistency(right=6, wrong=10, greedy=True, uncertain=2),
    "greedy and half": Consistency(right=5, wrong=9, greedy=True, uncertain=3),
    "greedy alone": Consistency(right=1, wrong=1, greedy=True, uncertain=10),
}
"""Settings for 10 samples, strictest first."""


Position = Literal["answer", "predicting", "both", "whole"]
"""The window that CETT is read in. See `backend.identify.features.regions`."""


class RegionRule(Strict):
    """Where features are read. See `backend.identify.features.regions`."""

    position: Position = "answer"
    other: Literal["conversation", "response"] = "conversation"
    pooling: Pooling = "mean"

    @property
    def ahead(self) -> int:
        """How many positions before the response's first token reading begins."""
        return 0 if self.position == "answer" else 1

    @property
    def lead(self) -> int:
        """How many more positions are read than there are tokens: 1 where a token is read beside its predicting
        position."""
        return 1 if self.position in ("both", "whole") else 0

    @model_validator(mode="after")
    def _check_others_exist(self) -> Self:
        if self.position == "whole" and self.other == "response":
            raise ValueError(
                "the whole response is the answer here, and the other tokens are to be of the response: none is left; "
                "take the other tokens of the conversation, or another window"
            )
        return self


class Item(Frozen):
    """A kept question with one response. The characters `start`..`end` of the response are the answer."""

    question: str
    side: Side
    response: str
    start: int
    end: int


class Funnel(Frozen):
    """How many questions were left after each stage. `relations` has the last three numbers of each relation."""

    asked: int
    sampled: int
    uncertain: int
    mixed: int
    right: int
    wrong: int
    right_without_span: int
    wrong_without_span: int
    balanced: int
    """Number of items of each side after keeping equal numbers of both within each relation."""
    relations: dict[str, tuple[int, int, int]]
    """Relation -> (right with span, wrong with span, kept of each)."""


class Confidence(Frozen):
    """How sure the model was of an answer's `tokens` tokens.

    log_prob, entropy: means over them, in nats; first_probability: of the first one. At temperature 1.
    """

    tokens: int
    log_prob: float
    first_probability: float
    entropy: float


class Scores(Frozen):
    """How well a score separates wrong from right answers. accuracy, f1 at probability 0.5; brier of probabilities."""

    auroc: Estimate
    accuracy: Estimate
    f1: Estimate
    brier: Estimate


class CalibrationBin(Frozen):
    """Items whose predicted probability lies in a bin: the mean probability, and the share of wrong answers."""

    chance: float
    share: float
    n: int
