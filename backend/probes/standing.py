"""How far a user's own question is from those that a probe was made from, and what share of held-out answers with a
given score was wrong.

Owns the distances and the calibration, both from the files beside the artefact: its items and its questions. An
imported probe has neither, and a note says so. Does not compute the score (`backend.probes.scoring` does).
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
from backend.identify.answers.spans import span_by_rule
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
"""With fewer held-out answers of a side no share of wrong ones is given: of ten its 95 % interval is +- 30 points."""
_COLUMNS = {
    "question": object, "side": object, "response": object, "start": int, "end": int, "held_out": bool,
    "log_odds": float,
}  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """Log-odds of a probe -> the share of wrong answers among held-out ones that score so, by logistic regression on
    the score (Platt 1999), with a 95 % interval over resampled entities.

    log_odds is ascending; chance, low and high belong to each of its values. n answers were held out, of `clusters`
    entities, and `wrong` of them were wrong: a share that was balanced when the probe was made.
    """

    log_odds: tuple[float, ...]
    chance: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    clusters: int
    wrong: int

    def at(self, log_odds: float) -> Chance:
        """The share at a score; outside the range of held-out scores the share at its end."""
        figures = (float(np.interp(log_odds, self.log_odds, curve)) for curve in (self.chance, self.low, self.high))
        value, low, high = figures
        wrong = Estimate(
            value=value, low=low, high=high, n=self.n, clusters=self.clusters, resamples=CALIBRATION_RESAMPLES
        )
        return Chance(wrong=wrong, balance=self.wrong / self.n)


def standing(probe: Probe, folder: Path, asked: Asked, response: str) -> tuple[Standing, Calibration | None]:
    """How far this question and its answer are from the probe's own, which are in `folder`; and the calibration of its
    scores, None where there are too few held-out answers."""
    question = _without_suffix(asked.prompt, probe)
    rule = probe.plan.words if probe.plan is not None else "blind"
    span = span_by_rule(response, Question(id="", text=question, answers=("",)), "wrong", rule)
    words_span = None if span is None else (span.start, span.end)
    try:
        reference = _items_of(folder, probe)
    except _NoItemsError as error:
        return Standing(words=words_span, note=str(error)), None
    nearest, likeness = reference.nearest(question)
    values: dict[Kind, float] = {
        "nearest": likeness,
        "words": _share_known(question, reference.vocabulary),
        **_lengths(question, response, response[span.start : span.end] if span is not None else ""),
    }
    question_standing = Standing(
        words=words_span,
        distances=tuple(
            _distance(kind, value, reference.held_out[kind])
            for kind, value in values.items()
            if span is not None or kind != "read_words"
        ),
        nearest=nearest.text if likeness > 0 else "",
        relation=nearest.relation if likeness > 0 else "",
        otherwise=_asking_differences(asked),
        note="" if reference.calibration else f"Fewer than {FEWEST} answers of either side were held out.",
    )
    return question_standing, reference.calibration


def warm(probe: Probe, folder: Path) -> None:
    """Read in advance what `standing` needs of the probe, which takes a second."""
    with suppress(_NoItemsError):
        _items_of(folder, probe)


class _NoItemsError(Exception):
    """Why there is nothing to compare a score with, as a sentence."""


@dataclass(frozen=True)
class _ProbeItems:
    """The probe's own questions and answers, prepared for comparing others with them."""

    questions: tuple[Question, ...]
    """Those of the training part."""
    terms: TfidfVectorizer
    matrix: csr_matrix
    vocabulary: frozenset[str]
    held_out: dict[Kind, np.ndarray]
    calibration: Calibration | None

    def nearest(self, text: str) -> tuple[Question, float]:
        """The training question that is most similar to `text`, and the similarity, 0..1."""
        likeness = _similarities(self.terms, self.matrix, text)
        place = int(likeness.argmax())
        return self.questions[place], float(likeness[place])


def _without_suffix(prompt: str, probe: Probe) -> str:
    """The question without the suffix that the run added to each of its questions."""
    suffix = probe.plan.sampling.suffix.strip() if probe.plan is not None else ""
    return prompt.strip().removesuffix(suffix).strip() if suffix else prompt.strip()


def _asking_differences(asked: Asked) -> tuple[str, ...]:
    differences = []
    if asked.system is not None:
        differences.append("with a system prompt")
    if not asked.chat:
        differences.append("without the chat template")
    return tuple(differences)


def questions_of_items(probe: Probe, folder: Path) -> tuple[Question, ...] | None:
    """The questions of the items that the probe was fitted on or judged on; None where not all of them are known."""
    if probe.imported:
        return None
    try:
        of_items = set(library.read_items(folder, {"question": object})["question"])
        found = tuple(question for question in _questions(folder) if question.id in of_items)
        return found if len({question.id for question in found}) == len(of_items) else None
    except (OSError, EOFError, zlib.error, ValueError, StoreError):
        return None


def _items_of(folder: Path, probe: Probe) -> _ProbeItems:
    """Raises _NoItemsError."""
    if probe.imported:
        raise _NoItemsError("It came from a file that holds no judged answers, so no share of wrong ones is known.")
    try:
        file_state = RunFolder(folder).items.stat()
    except OSError as error:
        raise _NoItemsError("The answers that it was judged on do not lie beside it.") from error
    return _read_items(folder, file_state.st_mtime_ns, file_state.st_size)


@lru_cache(maxsize=8)
def _read_items(folder: Path, changed: int, size: int) -> _ProbeItems:
    """The probe's own questions and answers, read once for each state of the file. Raises _NoItemsError."""
    try:
        items = library.read_items(folder, _COLUMNS)
        asked = {question.id: question for question in _questions(folder)}
    except (OSError, EOFError, zlib.error, ValueError, StoreError) as error:
        raise _NoItemsError("The answers that it was judged on cannot be read.") from error
    is_text = items["response"].map(lambda response: isinstance(response, str))
    items = items[items["question"].isin(list(asked)) & np.isfinite(items["log_odds"]) & is_text]
    train, test = items[~items["held_out"]], items[items["held_out"]]
    if train.empty or test.empty:
        raise _NoItemsError("None of the answers that it was judged on lies beside it with its question.")
    questions = tuple(asked[id] for id in dict.fromkeys(train["question"]))
    terms = TfidfVectorizer(analyzer=_terms)
    frames = [_without_entity(question) for question in questions]
    try:
        matrix = terms.fit_transform(frames)
    except ValueError as error:  # scikit-learn raises it for an empty vocabulary
        raise _NoItemsError("None of its own questions has a word that others could be like.") from error
    vocabulary = frozenset(word for frame in frames for word in words(frame))
    texts = [asked[id].text for id in test["question"]]
    spans = zip(test["response"], test["start"], test["end"], strict=True)
    lengths = [
        _lengths(text, full_response, full_response[start:end])
        for text, (full_response, start, end) in zip(texts, spans, strict=True)
    ]
    held_out: dict[Kind, np.ndarray] = {
        "words": np.array([_share_known(text, vocabulary) for text in texts]),
        "nearest": np.array([float(_similarities(terms, matrix, text).max()) for text in texts]),
        "question_words": np.array([counts["question_words"] for counts in lengths]),
        "answer_words": np.array([counts["answer_words"] for counts in lengths]),
        "read_words": np.array([counts["read_words"] for counts in lengths]),
    }
    return _ProbeItems(questions, terms, matrix, vocabulary, held_out, _calibration(test, asked))


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


def _without_entity(question: Question) -> str:
    """A question without the name that it asks about: names of many languages would make any text look familiar. The
    held-out questions keep their names, as a user's question does."""
    frame = question.text.replace(question.entity, " ") if question.entity else question.text
    # A question that is only a name is kept: questions of its kind look like that.
    return frame if words(frame) else question.text


def _terms(text: str) -> list[str]:
    """Words and pairs of neighbouring words: a pair shows the kind of question better than its words do."""
    in_order = words(text)
    return [*in_order, *(f"{first} {second}" for first, second in zip(in_order, in_order[1:], strict=False))]


def _similarities(terms: TfidfVectorizer, matrix: csr_matrix, text: str) -> np.ndarray:
    """Cosine similarity to each training question, [question]. Words that no training question has count in the norm
    like the rarest of theirs: scikit-learn leaves them out, and then nonsense with "what is the" in it would be as
    similar as that phrase alone."""
    vector = terms.transform([text])
    counts = Counter(_terms(text))
    weights = {term: terms.idf_[place] for term, place in terms.vocabulary_.items() if term in counts}
    inside = sum((count * weights[term]) ** 2 for term, count in counts.items() if term in weights)
    unknown = sum((count * terms.idf_.max()) ** 2 for term, count in counts.items() if term not in weights)
    part = np.sqrt(inside / (inside + unknown)) if inside else 0.0
    return (matrix @ vector.T).toarray().ravel() * part


def _share_known(text: str, vocabulary: frozenset[str]) -> float:
    words_of_text = words(text)
    return sum(word in vocabulary for word in words_of_text) / len(words_of_text) if words_of_text else 0.0


def _lengths(question: str, response: str, read: str) -> dict[Kind, float]:
    texts: dict[Kind, str] = {"question_words": question, "answer_words": response, "read_words": read}
    return {kind: float(len(words(text))) for kind, text in texts.items()}


def _distance(kind: Kind, value: float, held_out: Sequence[float] | np.ndarray) -> Distance:
    low, high = np.quantile(held_out, [TAIL, 1 - TAIL])
    return Distance(
        kind=kind, value=value, low=float(low), high=float(high), share=float(np.mean(np.asarray(held_out) <= value))
    )
