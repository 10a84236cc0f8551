"""A probe on questions that it was not made from: the request, and what was measured.

Nothing is fitted: weights, intercept and window are the probe's own. The one exception is the comparison `together`,
which is fitted by cross-validation on the answers themselves, and so is a strong opponent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from backend.neurons import NeuronId
from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import MAX_QUESTIONS, CalibrationBin, Question
from backend.types.names import ProbeRef
from backend.types.numbers import counted, fixed, percent
from backend.types.probe import Probe
from backend.types.requests import Text
from backend.types.results import ModelInfo
from backend.types.verbs import Request, Result

FEW, FEWEST = 30, 10
"""Right or wrong answers below which figures are called uncertain, and below which they say nothing: of a handful,
resampling gives intervals that are far too narrow."""


class ScoreRequest(Request):
    """Score a probe on questions.

    source: the name of their file. limit: at most so many are asked, drawn at random by `seed`; a larger limit later
    goes on from the same answers. go_on: ask the rest although none of the first answers is right, or none is wrong.
    """

    probe: ProbeRef
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=MAX_QUESTIONS)]
    source: Text = Field(default="", max_length=300)
    limit: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    go_on: bool = False


class ScoredCounts(Frozen):
    """From the questions given to the answers scored.

    given: questions, each once. in_training: those that the probe was made from or judged on, which are left out.
    unaskable: those drawn from the others that the model cannot read, as too long ones. asked: those that were asked.
    uncertain: answers that are neither right nor wrong. without_words: right or wrong answers whose words that answer
    were not found or cannot be read; the others are scored.
    """

    given: int
    in_training: int
    unaskable: int = 0
    asked: int
    right: int
    wrong: int
    uncertain: int
    without_words: int
    scored_right: int
    scored_wrong: int


class ScoredAurocs(Frozen):
    """AUROC of each score for "wrong", with its interval over entities; None where it cannot be computed.

    probe: all weights. positive, negative: the weights of one sign alone, as they are. length, log_probability,
    first_token, entropy: scores without neurons, their signs fixed before: longer, less probable and less certain means
    wrong. together: these four, by cross-validation on these answers. random: mean over random sets of as many neurons
    in the same layers, each with the weight of the H-neuron that it replaces; better: positive minus that mean.
    """

    probe: Estimate | None = None
    positive: Estimate | None = None
    negative: Estimate | None = None
    length: Estimate | None = None
    log_probability: Estimate | None = None
    first_token: Estimate | None = None
    entropy: Estimate | None = None
    together: Estimate | None = None
    random: Estimate | None = None
    better: Estimate | None = None


class NeuronElsewhere(Frozen):
    """One neuron of the probe alone: its AUROC on the items of the probe's making (`trained`) and on these answers."""

    neuron: NeuronId
    weight: float
    trained: float | None
    here: float

    @property
    def holds(self) -> bool:
        """Whether its direction here is that of its weight."""
        return (self.here - 0.5) * self.weight > 0


class Scoring(Result):
    """How a probe did on questions that it was not made from.

    forced: the model's name if the probe was made for another one. accuracy: balanced, at the probe's own threshold of
    log-odds 0. why_no_sets: why no random sets could be drawn. training_known: whether the questions that the probe was
    made from are known, so that they could be left out.
    """

    probe: str
    digest: str
    model: str
    fingerprint: str
    forced: str = ""
    source: str = ""
    made: str = ""
    n: ScoredCounts
    auroc: ScoredAurocs
    accuracy: Estimate | None = None
    calibration: tuple[CalibrationBin, ...] = ()
    neurons: tuple[NeuronElsewhere, ...] = ()
    random_sets: int = 0
    why_no_sets: str = ""
    training_known: bool = True

    @classmethod
    def of(
        cls,
        request: ScoreRequest,
        probe: Probe,
        named: ProbeRef,
        info: ModelInfo,
        n: ScoredCounts,
        training_known: bool,
    ) -> Scoring:
        """A scoring before its figures."""
        return cls(
            probe=probe.name,
            digest=named.digest,
            model=info.name,
            fingerprint=info.fingerprint,
            forced="" if probe.is_of(info) else info.name,
            source=request.source,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            n=n,
            auroc=ScoredAurocs(),
            training_known=training_known,
        )

    def of_sign(self, sign: int) -> tuple[NeuronElsewhere, ...]:
        """The neurons whose weight has this sign."""
        return tuple(one for one in self.neurons if one.weight * sign > 0)

    @property
    def worth(self) -> float | None:
        """AUROC of the H-neurons alone, with their weights as they are; of the whole probe where it has none."""
        part = self.auroc.positive or self.auroc.probe
        return None if part is None else part.value

    @property
    def held(self) -> float | None:
        """The share of H-neurons whose direction holds here; None without any."""
        h_neurons = self.of_sign(1)
        return sum(one.holds for one in h_neurons) / len(h_neurons) if h_neurons else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the figures mean, in words, the worst first."""
        n, words = self.n, []
        if self.forced:
            words.append(f"The probe was made for another model than {self.forced}: its weights mean nothing here.")
        if self.auroc.probe is None:
            words.append(
                f"Of {counted(n.asked, 'answer')}, {n.scored_right} right and {n.scored_wrong} wrong have words that "
                "could be read, so nothing can be told apart: give questions of which the model knows some and misses "
                "some."
            )
        else:
            fewest = min(n.scored_right, n.scored_wrong)
            scored = counted(fewest, f"{'right' if fewest == n.scored_right else 'wrong'} answer")
            if fewest < FEWEST:
                words.append(f"Only {scored} could be scored: too few, so nothing is to be read from these figures.")
            words += [*self._parts(), *self._directions()]
            if FEWEST <= fewest < FEW:
                words.append(f"Only {scored} could be scored: the figures are uncertain, see the intervals.")
        if n.in_training == 1:
            words.append("One question stands in the probe's own items, and was left out.")
        elif n.in_training:
            words.append(f"{n.in_training:,} questions stand in the probe's own items, and were left out.")
        if n.unaskable:
            questions = "question is" if n.unaskable == 1 else "questions are"
            words.append(f"{n.unaskable:,} {questions} left out: too long for the model, or not readable by it.")
        if not self.training_known:
            words.append("The questions that this probe was made from are not known, so none could be left out.")
        return tuple(words)

    def _parts(self) -> list[str]:
        positive, better = self.auroc.positive, self.auroc.better
        if positive is None:
            return []
        if positive.high < 0.5:
            verdict = "as a set they point the wrong way"
        elif positive.low <= 0.5:
            verdict = "that may be chance"
        elif better is not None and better.low <= 0:
            verdict = "above chance, but not more than random neurons of the same layers"
        else:
            verdict = "above chance" + ("" if better is None else ", and more than random neurons of the same layers")
        without = f" {self.why_no_sets}" if self.why_no_sets else ""
        return [f"The H-neurons alone, with their weights as they are, have an AUROC of {fixed(positive.value, 3)} "
                f"(95 % {fixed(positive.low, 3)} to {fixed(positive.high, 3)}): {verdict}.{without}"]  # fmt: skip

    def _directions(self) -> list[str]:
        count, held = len(self.of_sign(1)), sum(one.holds for one in self.of_sign(1))
        if not count:
            return ["The probe has no H-neuron."]
        if all(one.here < 0.5 for one in self.of_sign(1)):
            each = "The H-neuron points" if count == 1 else f"All {count} H-neurons point"
            return [f"{each} the wrong way here: the CETT is larger in right answers."]
        return [f"{held} of {counted(count, 'H-neuron')} ({percent(held / count)}) "
                f"{'has' if held == 1 else 'have'} a larger CETT in wrong answers here too."]  # fmt: skip
