"""How a person's own question stands to those that a probe was made from, and what share of held-out answers with a
given score was wrong.

Owns the distances and the calibration, both from what lies beside the artefact: its items and its questions. A probe
from a file of others has neither, and then says so. Refuses the score itself (`backend.probes.scoring`).
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from backend.errors import StoreError
from backend.identify.answers.spans import answering
from backend.probes import library
from backend.runs.folder import RunFolder, packed_path
from backend.statistics.scores import calibration_curve
from backend.text.verdict import words
from backend.types import Asked
from backend.types.estimate import CALIBRATION_RESAMPLES, Estimate
from backend.types.identify import Question
from backend.types.probe import Probe
from backend.types.score import Chance, Distance, Kind, Standing

TAIL = 0.01
"""Share of the held-out questions at either end, beyond which a question counts as outside."""
FEWEST = 10
"""Held-out answers of each side below which no share of wrong ones is told: ten is 95 % +- 30 points."""
_COLUMNS = {
    "question": object, "side": object, "response": object, "start": int, "end": int, "held_out": bool,
    "log_odds": float,
}  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """Log-odds of a probe -> the share of wrong answers among held-out ones that score so, by logistic regression on
    the score (Platt 1999), with a 95 % interval over resampled entities.

    log_odds is ascending; chance, low, high stand for each. n answers were held out, of `clusters` entities, and
    `wrong` of them were wrong: a share that whoever made the probe balanced.
    """

    log_odds: tuple[float, ...]
    chance: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    clusters: int
    wrong: int

    def at(self, log_odds: float) -> Chance:
        """The share at a score; beyond the held-out scores that of the outermost one."""
        told = (float(np.interp(log_odds, self.log_odds, curve)) for curve in (self.chance, self.low, self.high))
        value, low, high = told
        wrong = Estimate(
            value=value, low=low, high=high, n=self.n, clusters=self.clusters, resamples=CALIBRATION_RESAMPLES
        )
        return Chance(wrong=wrong, balance=self.wrong / self.n)


def standing(probe: Probe, folder: Path, asked: Asked, response: str) -> tuple[Standing, Calibration | None]:
    """How this question and its answer stand to the probe, whose own lie in `folder`; and what its scores are worth,
    where it brings enough held-out answers."""
    question = _bare(asked.prompt, probe)
    rule = probe.plan.words if probe.plan is not None else "blind"
    span = answering(response, Question(id="", text=question, answers=("",)), "wrong", rule)
    found = None if span is None else (span.start, span.end)
    try:
        ground = _ground(folder, probe)
    except _NoItemsError as error:
        return Standing(words=found, note=str(error)), None
    nearest, likeness = ground.nearest(question)
    values: dict[Kind, float] = {
        "nearest": likeness,
        "words": _share_known(question, ground.vocabulary),
        **_lengths(question, response, response[span.start : span.end] if span is not None else ""),
    }
    told = Standing(
        words=found,
        distances=tuple(
            _distance(kind, value, ground.held[kind])
            for kind, value in values.items()
            if span is not None or kind != "read_words"
        ),
        nearest=nearest.text if likeness > 0 else "",
        relation=nearest.relation if likeness > 0 else "",
        otherwise=_otherwise(asked),
        note="" if ground.calibration else f"Fewer than {FEWEST} answers of either side were held out.",
    )
    return told, ground.calibration


def warm(probe: Probe, folder: Path) -> None:
    """Read now what `standing` will need of the probe, which takes a second."""
    with suppress(_NoItemsError):
        _ground(folder, probe)


class _NoItemsError(Exception):
    """Why there is nothing to hold a score to, as a sentence."""


@dataclass(frozen=True)
class _Ground:
    """The probe's own questions, in a form that others can be held to."""

    questions: tuple[Question, ...]
    """Those of the training part."""
    terms: TfidfVectorizer
    matrix: csr_matrix
    vocabulary: frozenset[str]
    held: dict[Kind, np.ndarray]
    calibration: Calibration | None

    def nearest(self, text: str) -> tuple[Question, float]:
        """The training question that is most like `text`, and how like, 0..1."""
        found = _likeness(self.terms, self.matrix, text)
        place = int(found.argmax())
        return self.questions[place], float(found[place])


def _bare(prompt: str, probe: Probe) -> str:
    """The question without the words that the run put behind each of its own."""
    suffix = probe.plan.sampling.suffix.strip() if probe.plan is not None else ""
    return prompt.strip().removesuffix(suffix).strip() if suffix else prompt.strip()


def _otherwise(asked: Asked) -> tuple[str, ...]:
    told = []
    if asked.system is not None:
        told.append("with a system prompt")
    if not asked.chat:
        told.append("without the chat template")
    return tuple(told)


def _ground(folder: Path, probe: Probe) -> _Ground:
    """Raises _NoItemsError."""
    if probe.imported:
        raise _NoItemsError("It came from a file that holds no judged answers, so no share of wrong ones is known.")
    try:
        held = RunFolder(folder).items.stat()
    except OSError as error:
        raise _NoItemsError("The answers that it was judged on do not lie beside it.") from error
    return _read_ground(folder, held.st_mtime_ns, held.st_size)


@lru_cache(maxsize=8)
def _read_ground(folder: Path, changed: int, size: int) -> _Ground:
    """Read once for each state of the file. Raises _NoItemsError."""
    try:
        items = library.items(folder, _COLUMNS)
        asked = {one.id: one for one in _questions(folder)}
    except (OSError, EOFError, zlib.error, ValueError, StoreError) as error:
        raise _NoItemsError("The answers that it was judged on cannot be read.") from error
    is_text = items["response"].map(lambda response: isinstance(response, str))
    items = items[items["question"].isin(list(asked)) & np.isfinite(items["log_odds"]) & is_text]
    train, test = items[~items["held_out"]], items[items["held_out"]]
    if train.empty or test.empty:
        raise _NoItemsError("None of the answers that it was judged on lies beside it with its question.")
    questions = tuple(asked[id] for id in dict.fromkeys(train["question"]))
    terms = TfidfVectorizer(analyzer=_terms)
    frames = [_frame(one) for one in questions]
    try:
        matrix = terms.fit_transform(frames)
    except ValueError as error:  # scikit-learn's word for no word at all
        raise _NoItemsError("None of its own questions has a word that others could be like.") from error
    vocabulary = frozenset(word for frame in frames for word in words(frame))
    texts = [asked[id].text for id in test["question"]]
    spans = zip(test["response"], test["start"], test["end"], strict=True)
    lengths = [_lengths(text, whole, whole[start:end]) for text, (whole, start, end) in zip(texts, spans, strict=True)]
    held: dict[Kind, np.ndarray] = {
        "words": np.array([_share_known(text, vocabulary) for text in texts]),
        "nearest": np.array([float(_likeness(terms, matrix, text).max()) for text in texts]),
        "question_words": np.array([one["question_words"] for one in lengths]),
        "answer_words": np.array([one["answer_words"] for one in lengths]),
        "read_words": np.array([one["read_words"] for one in lengths]),
    }
    return _Ground(questions, terms, matrix, vocabulary, held, _calibration(test, asked))


def _questions(folder: Path) -> list[Question]:
    """The run's questions, packed where the probe ships. Raises OSError, EOFError, zlib.error, ValidationError (a
    ValueError)."""
    path = RunFolder(folder).questions
    payload = path.read_bytes() if path.exists() else gzip.decompress(packed_path(path).read_bytes())
    return [Question.model_validate_json(line) for line in payload.splitlines() if line.strip()]


def _calibration(test: pd.DataFrame, asked: dict[str, Question]) -> Calibration | None:
    labels = (test["side"] == "wrong").to_numpy().astype(np.int64)
    if min(int(labels.sum()), len(labels) - int(labels.sum())) < FEWEST:
        return None
    entities = pd.factorize(np.array([asked[id].entity or id for id in test["question"]]))[0]
    points, curves = calibration_curve(labels, test["log_odds"].to_numpy(dtype=np.float64), entities)
    value, low, high = (tuple(map(float, curve)) for curve in curves)
    return Calibration(
        log_odds=tuple(map(float, points)), chance=value, low=low, high=high, n=len(labels),
        clusters=len(set(entities.tolist())), wrong=int(labels.sum()),
    )  # fmt: skip


def _frame(question: Question) -> str:
    """A question without the name that it asks about: names of many languages would make any text look familiar. The
    held-out questions keep theirs, as a person's does."""
    frame = question.text.replace(question.entity, " ") if question.entity else question.text
    # Where the name is all of the question, it is what a question of that kind looks like.
    return frame if words(frame) else question.text


def _terms(text: str) -> list[str]:
    """Words and pairs of neighbours: a pair tells the kind of question better than its words do."""
    held = words(text)
    return [*held, *(f"{one} {other}" for one, other in zip(held, held[1:], strict=False))]


def _likeness(terms: TfidfVectorizer, matrix: csr_matrix, text: str) -> np.ndarray:
    """Cosine to each training question, [question]. Words that none of them has count in the length as the rarest
    there are: scikit-learn leaves them out, and nonsense would be like whatever its "what is the" is like."""
    found = terms.transform([text])
    counts = Counter(_terms(text))
    weights = {term: terms.idf_[place] for term, place in terms.vocabulary_.items() if term in counts}
    inside = sum((count * weights[term]) ** 2 for term, count in counts.items() if term in weights)
    unknown = sum((count * terms.idf_.max()) ** 2 for term, count in counts.items() if term not in weights)
    part = np.sqrt(inside / (inside + unknown)) if inside else 0.0
    return (matrix @ found.T).toarray().ravel() * part


def _share_known(text: str, vocabulary: frozenset[str]) -> float:
    held = words(text)
    return sum(word in vocabulary for word in held) / len(held) if held else 0.0


def _lengths(question: str, response: str, read: str) -> dict[Kind, float]:
    told: dict[Kind, str] = {"question_words": question, "answer_words": response, "read_words": read}
    return {kind: float(len(words(text))) for kind, text in told.items()}


def _distance(kind: Kind, value: float, held: Sequence[float] | np.ndarray) -> Distance:
    low, high = np.quantile(held, [TAIL, 1 - TAIL])
    return Distance(
        kind=kind, value=value, low=float(low), high=float(high), share=float(np.mean(np.asarray(held) <= value))
    )
