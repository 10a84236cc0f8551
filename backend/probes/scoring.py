"""A probe's score of an answer: from the CETT of its neurons to log-odds of "wrong", token by token as they are read.

Owns the score: which neurons it uses, where it reads them, and how it is computed. How to judge it is
`backend.probes.standing`'s. Runs no forward and captures nothing: callers pass CETT.

    log-odds = intercept + sum over neurons of weight x pooled CETT        Gao et al. 2025, section 6.1.3

pooled over positions by the probe's own rule: mean or maximum; at the answer's tokens themselves, at those that predict
them, at both, or over the whole response.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import BadInput
from backend.neurons import NeuronSet
from backend.probes import library
from backend.types import Asked, ModelInfo, TokenInfo
from backend.types.names import ProbeRef
from backend.types.probe import Probe
from backend.types.score import Score, Standing

if TYPE_CHECKING:
    from backend.probes.standing import Calibration

_NONE = " \t\n\r\ufffd"
"""Characters that a token's text may consist of although they are not in the answer: a part of a character decodes to
U+FFFD."""
VERSION = "score 1"
"""A part of the key of every result that holds a score. Raise it when a stored score would be different today: by the
arithmetic here, or by which words answer (`backend.identify.answers`)."""


def scorer(named: ProbeRef, info: ModelInfo) -> Scorer:
    """The scorer of this model's answers by that probe.

    Raises Unknown; BadInput where the probe has changed since, is of another model and not forced, or has no neurons;
    BadNeurons; StoreError.
    """
    probe, folder = library.read_by_digest(named)
    is_forced = not probe.is_of(info)
    if is_forced and not named.force and probe.forced != info.name:
        raise BadInput(
            f"The probe {probe.name} scores no answer of {info.name}",
            "it was made for another model",
            "name a probe of this model, or none, or force it",
        )
    if not probe.neurons:
        raise BadInput(f"The probe {probe.name} scores no answer", "it has no neurons", "name another probe, or none")
    info.layout.check(probe.all)
    return Scorer(named, probe, folder, is_forced)


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores answers of one model."""

    named: ProbeRef
    probe: Probe
    folder: Path
    """The folder of the probe, with the answers that it was made from."""
    is_forced: bool = False
    """Whether it was made for another model."""

    @property
    def neurons(self) -> NeuronSet:
        """The neurons whose CETT the score needs, in this order."""
        return self.probe.all

    @property
    def ahead(self) -> int:
        """How many tokens before the answer's first one reading begins: 0 where only its own tokens are read."""
        return self.probe.rule.ahead

    @property
    def lead(self) -> int:
        """How many more positions are read than the answer has tokens."""
        return self.probe.rule.lead

    def running(self) -> RunningScore:
        """The score of an answer before its first token."""
        weights = {probe_neuron.neuron: probe_neuron.weight for probe_neuron in self.probe.neurons}
        return RunningScore(
            np.array([weights[neuron] for neuron in self.neurons]),
            self.probe.intercept,
            self.probe.rule.pooling == "max",
            self.lead,
        )

    def score(self, asked: Asked, answer: str, tokens: Sequence[TokenInfo], cett: np.ndarray) -> Score | None:
        """The probe's score of a whole answer; None for an answer without a token.

        Args:
            tokens: of the answer.
            cett: of `neurons` at the positions that are read, from `ahead` before the first of these tokens on:
                `lead` more than tokens, [answer pos set].
        Raises BadInput, StoreError.
        """
        if not tokens:
            return None
        from backend.probes.standing import standing  # scikit-learn takes a second to import

        running = self.running()
        running.read(cett)
        read_text = _text_as_read(tokens, answer)
        question_standing, calibration = standing(self.probe, self.folder, asked, read_text)
        places = [] if question_standing.words is None else _tokens_of_words(tokens, read_text, question_standing.words)
        log_odds = None
        if places:
            over_words = self.running()
            over_words.read(cett[self._rows(places, len(tokens))])
            log_odds = over_words.along[-1]
        return assemble_score(self.named, running.along, log_odds, question_standing, calibration, self.is_forced)

    def _rows(self, places: Sequence[int], tokens: int) -> list[int]:
        """The rows of CETT that belong to the answer's tokens at `places`."""
        if self.probe.rule.position == "whole":
            return list(range(tokens + self.lead))
        return sorted({place + step for place in places for step in range(1 + self.lead)})


def assemble_score(
    named: ProbeRef,
    along: Sequence[float],
    log_odds: float | None,
    standing: Standing,
    calibration: Calibration | None,
    is_forced: bool = False,
) -> Score:
    """A score with what helps to judge it: the share of wrong held-out answers of that score, and the distances of the
    question to those that the probe was made from."""
    chance = None if calibration is None or log_odds is None else calibration.at(log_odds)
    return Score(**dict(standing), probe=named, along=tuple(along), log_odds=log_odds, chance=chance, forced=is_forced)


@dataclass(eq=False)
class RunningScore:
    """The score over the tokens that have been read so far.

    weights [set]. lead: positions that are read before there is a score. pooled [set]: sum, or maximum, of CETT so far.
    positions: how many have been read. along: log-odds after each token.
    """

    weights: np.ndarray
    intercept: float
    is_largest: bool
    lead: int = 0
    pooled: np.ndarray | None = None
    positions: int = 0
    along: list[float] = field(default_factory=list)

    def read(self, cett: np.ndarray) -> None:
        """Add the CETT at further positions, [pos set]."""
        for cett_at_token in cett.astype(np.float64):
            if self.pooled is None:
                self.pooled = cett_at_token
            else:
                self.pooled = np.maximum(self.pooled, cett_at_token) if self.is_largest else self.pooled + cett_at_token
            self.positions += 1
            mean_or_largest = self.pooled if self.is_largest else self.pooled / self.positions
            if self.positions > self.lead:
                self.along.append(float(mean_or_largest @ self.weights + self.intercept))


def _text_as_read(tokens: Sequence[TokenInfo], answer: str) -> str:
    """The answer as the model read it. A tokenizer may change a given answer's letters (NFC, lower case): where a
    token's text is not in the answer, the texts of the tokens are returned.
    """
    placed = zip(tokens, _spans(tokens, answer), strict=True)
    lost = any(token.text.strip(_NONE) and start == stop for token, (start, stop) in placed)
    return "".join(token.text for token in tokens) if lost else answer


def _tokens_of_words(tokens: Sequence[TokenInfo], answer: str, words: tuple[int, int]) -> list[int]:
    """The tokens that touch these characters of the answer."""
    return [place for place, span in enumerate(_spans(tokens, answer)) if _touches(span, words)]


def _spans(tokens: Sequence[TokenInfo], answer: str) -> Iterator[tuple[int, int]]:
    """Start and end of each token in the answer's text; a token without a character of its own (a part of a character,
    a control token) has an empty span where the next token begins."""
    at = 0
    for token in tokens:
        remaining = answer[at:]
        text = token.text if remaining.startswith(token.text) else token.text.lstrip()
        length = len(text) if remaining.startswith(text) else 0
        yield at, at + length
        at += length


def _touches(span: tuple[int, int], words: tuple[int, int]) -> bool:
    start, end = span
    return words[0] <= start < words[1] if start == end else max(start, words[0]) < min(end, words[1])
