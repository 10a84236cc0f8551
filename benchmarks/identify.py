"""The timed pieces of work of identification, and how the peers do them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from backend.forward import prompting
from backend.forward.pooling import BATCH, RegionText
from backend.forward.rows.lane import left_padded
from backend.identify.answers.responses import ROWS, asked_with_suffix, sampled_answers
from backend.identify.answers.spans import known_words
from backend.identify.features.extract import extract, text_of_item
from backend.identify.fit.solver import Fit, path
from backend.identify.questions.questions import shipped
from backend.models.loaded import LoadedModel
from backend.runs.folder import RunFolder
from backend.statistics.permutation import permuted_aurocs
from backend.types.identify import Item, Question, RegionRule, Sampling
from benchmarks.peers import own_tree, plain_batches
from benchmarks.work import Work, rise_of
from cache.journal import Journal

ITEMS, NEURONS, TRUE = 2_000, 46_080, 20
HELD_OUT, RELATIONS, PERMUTATIONS = 400, 30, 1_000
CS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0)


def some_questions(count: int) -> list[Question]:
    """Shipped questions of every kind, as many of each as it takes."""
    pool = shipped(per_relation=1 + count // 30)
    random = np.random.default_rng(0)
    return [pool[place] for place in random.permutation(len(pool))[:count]]


def draw_samples(model: LoadedModel, questions: list[Question], sampling: Sampling) -> None:
    """Ours: the stage itself, its journal on disk."""
    with tempfile.TemporaryDirectory() as folder:
        sampled_answers(model, questions, sampling, Journal(RunFolder(Path(folder)).samples))


def generate_samples(model: LoadedModel, questions: list[Question], sampling: Sampling) -> None:
    """The peer's: `generate` with as many returned sequences, the same rows per batch, sorted by length."""
    prompts = sorted(
        (prompting.encode(model, asked_with_suffix(question, sampling)).ids for question in questions), key=len
    )
    size = ROWS // sampling.samples
    generate = cast("Any", own_tree(model)).generate
    for start in range(0, len(prompts), size):
        ids, mask = left_padded(prompts[start : start + size], min(model.ends), model.device)
        with torch.inference_mode():
            generate(
                ids, attention_mask=torch.ones_like(ids) if mask is None else mask.long(), do_sample=True,
                num_return_sequences=sampling.samples, max_new_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p,
            )  # fmt: skip


@dataclass(frozen=True)
class FeatureTexts:
    """Items whose features are read, and the same texts for the peer."""

    items: list[Item]
    questions: dict[str, Question]
    texts: Sequence[RegionText]


def feature_texts(model: LoadedModel, count: int) -> FeatureTexts:
    """`count` questions, each with a sentence that names its known answer."""
    questions = {question.id: question for question in some_questions(count)}
    items = []
    for question in questions.values():
        response = f"The answer to the question is {question.answers[0]}."
        span = known_words(response, question.answers)
        if span is not None:
            items.append(Item(question=question.id, side="right", response=response, start=span.start, end=span.end))
    texts = [text_of_item(model, item, questions, Sampling(), RegionRule()) for item in items]
    return FeatureTexts(items, questions, texts)


def read_features(model: LoadedModel, texts: FeatureTexts) -> None:
    """Ours: the stage itself, arrays and confidences on disk."""
    with tempfile.TemporaryDirectory() as folder:
        extract(model, texts.items, texts.questions, Sampling(), RegionRule(), Path(folder))


def synthetic_study() -> tuple[np.ndarray, np.ndarray]:
    """CETT-like features of 2,000 items, TRUE of whose neurons tell right from wrong."""
    random = np.random.default_rng(0)
    features = np.exp(random.standard_normal((ITEMS, NEURONS), np.float32) - np.float32(5))
    chosen = features[:, random.choice(NEURONS, TRUE, replace=False)].astype(np.float64)
    z = (chosen - chosen.mean(0)) / chosen.std(0)
    labels = (random.random(ITEMS) < 1 / (1 + np.exp(-z.sum(1) / 2))).astype(np.int64)
    return features, labels


def by_liblinear(features: np.ndarray, labels: np.ndarray) -> list[Fit]:
    """The peer's: scikit-learn's liblinear, one value of C after another, intercept hardly penalised."""
    mean = features.mean(0, dtype=np.float64)
    centred = features - mean
    fits = []
    for c in CS:
        fit = LogisticRegression(l1_ratio=1.0, C=c, solver="liblinear", intercept_scaling=100.0, random_state=0)
        fit.fit(centred, labels)
        weights = fit.coef_[0].astype(np.float64)
        fits.append(Fit(c, weights, float(fit.intercept_[0] - weights @ mean)))
    return fits


def objective(fit: Fit, features: np.ndarray, labels: np.ndarray) -> float:
    """What both minimise: |w|_1 + C * sum of log(1 + exp(-y (w x + b)))."""
    signs = np.where(labels == 1, 1, -1)
    return float(np.abs(fit.weights).sum() + fit.c * np.logaddexp(0, -signs * fit.logits(features)).sum())


def table(model: LoadedModel) -> list[Work]:
    """The rows that compare two times."""
    questions, texts, sampling = some_questions(64), feature_texts(model, 1_000), Sampling()
    features, labels = synthetic_study()
    return [
        Work(f"{sampling.samples} samples for {len(questions)} questions, at most {sampling.max_new_tokens} tokens",
             f"generate(num_return_sequences={sampling.samples}), same batch size", 1.5, True,
             lambda: draw_samples(model, questions, sampling), lambda: generate_samples(model, questions, sampling)),
        Work(f"features of {len(texts.items):,} items, answer and rest, with confidences, on disk",
             "plain batched forward passes without output head", 1.15, False,
             lambda: read_features(model, texts), lambda: plain_batches(model, texts.texts, BATCH)),
        Work(f"C path of {len(CS)} values, {ITEMS:,} x {NEURONS:,}", "liblinear, one value after another", 4, True,
             lambda: path(features, labels, CS, standardise=False), lambda: by_liblinear(features, labels)),
    ]  # fmt: skip


def worst_excess() -> float:
    """The largest relative excess of our objective over liblinear's; negative if ours is always lower."""
    features, labels = synthetic_study()
    pairs = zip(path(features, labels, CS, standardise=False), by_liblinear(features, labels), strict=True)
    return max(objective(ours, features, labels) / objective(peer, features, labels) - 1 for ours, peer in pairs)


def permutations() -> Callable[[], object]:
    """Permutations of the held-out labels within their relations."""
    random = np.random.default_rng(0)
    labels, strata = np.arange(HELD_OUT) % 2, random.integers(0, RELATIONS, HELD_OUT)
    scores = random.normal(size=HELD_OUT)
    return lambda: permuted_aurocs(labels, scores, strata, PERMUTATIONS)


def path_memory() -> float:
    """GB by which the peak memory of the path exceeds that of the process with its data before it."""
    code = "from benchmarks.identify import report_path; report_path()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def report_path() -> None:
    """In its own process: compile on a small path, run the whole one, and write the rise of memory to stdout. Linux."""
    features, labels = synthetic_study()
    path(features[:100, :200], labels[:100], CS[:2], standardise=False)
    sys.stdout.write(f"{rise_of(lambda: path(features, labels, CS, standardise=False))}\n")
