"""A probe's score of an answer: from the CETT of its neurons to log-odds of "wrong", token by token as they are read.

Owns the score: which neurons it follows, where it reads them, how it adds up, and how it is told. What it can be held
to is `backend.probes.standing`'s. Refuses forwards and captures: CETT is handed in.

    log-odds = intercept + sum over neurons of weight x pooled CETT        Gao et al. 2025, section 6.1.3

pooled over the tokens that are read by the probe's own rule: mean or maximum; at the answer's tokens themselves, or at
those that predict them.
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
"""What a token may have for text and stand nowhere: a part of a character has the mark of one."""
VERSION = "score 1"
"""Joins the key of every result that holds a score. Raised when a stored one would be told differently today: by the
arithmetic here, or by which words answer (`backend.identify.answers`)."""


def scorer(named: ProbeRef, info: ModelInfo) -> Scorer:
    """What scores answers of this model by that probe.

    Raises Unknown; BadInput where it was made anew since, is of another model and not forced, or has no neurons;
    BadNeurons; StoreError.
    """
    probe, folder = library.read_as(named)
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
    """Where its own answers lie."""
    is_forced: bool = False
    """Whether it was made for another model."""

    @property
    def neurons(self) -> NeuronSet:
        """Those whose CETT it is given, in this order."""
        return self.probe.all

    @property
    def ahead(self) -> int:
        """How many tokens before the answer's first one it begins to read: 1 where it reads what predicts a token."""
        return 1 if self.probe.rule.position == "predicting" else 0

    def running(self) -> Running:
        """A score of an answer of which nothing has been read."""
        weights = {found.neuron: found.weight for found in self.probe.neurons}
        return Running(
            np.array([weights[neuron] for neuron in self.neurons]),
            self.probe.intercept,
            self.probe.rule.pooling == "max",
        )

    def score(self, asked: Asked, answer: str, tokens: Sequence[TokenInfo], cett: np.ndarray) -> Score | None:
        """What the probe says of a whole answer; None where it has no token.

        Args:
            tokens: the answer's.
            cett: of `neurons` where each of these is read, [answer pos set].
        Raises BadInput, StoreError.
        """
        if not tokens:
            return None
        from backend.probes.standing import standing  # scikit-learn takes a second to import

        along = self.running()
        along.read(cett)
        said = _said(tokens, answer)
        told, calibration = standing(self.probe, self.folder, asked, said)
        places = [] if told.words is None else _places(tokens, said, told.words)
        log_odds = None
        if places:
            over = self.running()
            over.read(cett[places])
            log_odds = over.along[-1]
        return held_to(self.named, along.along, log_odds, told, calibration, self.is_forced)


def held_to(
    named: ProbeRef,
    along: Sequence[float],
    log_odds: float | None,
    told: Standing,
    calibration: Calibration | None,
    is_forced: bool = False,
) -> Score:
    """A score with what it can be held to: the share of held-out answers like it, and how far the question lies."""
    chance = None if calibration is None or log_odds is None else calibration.at(log_odds)
    return Score(**dict(told), probe=named, along=tuple(along), log_odds=log_odds, chance=chance, forced=is_forced)


@dataclass(eq=False)
class Running:
    """A score as far as tokens have been read.

    weights [set]. pooled [set]: sum, or maximum, of CETT so far. along: log-odds after each token.
    """

    weights: np.ndarray
    intercept: float
    is_largest: bool
    pooled: np.ndarray | None = None
    along: list[float] = field(default_factory=list)

    def read(self, cett: np.ndarray) -> None:
        """Go on with the CETT at further tokens, [pos set]."""
        for token in cett.astype(np.float64):
            if self.pooled is None:
                self.pooled = token
            else:
                self.pooled = np.maximum(self.pooled, token) if self.is_largest else self.pooled + token
            over = self.pooled if self.is_largest else self.pooled / (len(self.along) + 1)
            self.along.append(float(over @ self.weights + self.intercept))


def _said(tokens: Sequence[TokenInfo], answer: str) -> str:
    """The answer as its tokens have it: a given one may be written otherwise, and its tokenizer changes letters (NFC,
    lower case). Where a token's text does not stand in the answer, what the tokens say is what the model read.
    """
    placed = zip(tokens, _spans(tokens, answer), strict=True)
    lost = any(token.text.strip(_NONE) and start == stop for token, (start, stop) in placed)
    return "".join(token.text for token in tokens) if lost else answer


def _places(tokens: Sequence[TokenInfo], answer: str, words: tuple[int, int]) -> list[int]:
    """The tokens that touch these characters of the answer."""
    return [place for place, span in enumerate(_spans(tokens, answer)) if _touches(span, words)]


def _spans(tokens: Sequence[TokenInfo], answer: str) -> Iterator[tuple[int, int]]:
    """Where each token of the answer stands in its text; one that has no character of its own (a part of one, a
    control token) stands where the next begins."""
    at = 0
    for token in tokens:
        rest = answer[at:]
        text = token.text if rest.startswith(token.text) else token.text.lstrip()
        length = len(text) if rest.startswith(text) else 0
        yield at, at + length
        at += length


def _touches(span: tuple[int, int], words: tuple[int, int]) -> bool:
    start, end = span
    return words[0] <= start < words[1] if start == end else max(start, words[0]) < min(end, words[1])
