"""Stage 2, responses: each question answered greedily and in samples, in batches that share a prompt's cache.

Owns batching, seeds and the checkpoint after every batch. Does not judge the answers.
Source: Gao et al. 2025, section 6.1.1; the authors' code for the decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from backend.forward.prompting import check_length, encode, made
from backend.forward.row import Running
from backend.forward.rows.generation import decode
from backend.models.loaded import LoadedModel
from backend.runs.pace import FIRST, Pace, batches
from backend.runs.records import read_records
from backend.types import Asked, StageEvent
from backend.types.base import digest
from backend.types.identify import Greedy, Question, Sample, Samples, Sampling
from backend.watch import SILENT, Watch, between
from cache.journal import Journal

ROWS = 120
"""Rows of a batch: larger batches are hardly faster on a processor, and checkpoints would be further apart."""

Answers = TypeVar("Answers", Greedy, Samples)
Prompts = Sequence[tuple[Question, tuple[int, ...]]]


def greedy_answers(
    model: LoadedModel,
    questions: Sequence[Question],
    sampling: Sampling,
    journal: Journal,
    watch: Watch = SILENT,
    doing: str = "answering greedily",
) -> list[Greedy]:
    """Each question's greedy answer, in the order of the questions. `doing` names the stage. Resumes and raises as
    `sampled_answers` does."""

    def batch(prompts: Prompts) -> list[Greedy]:
        decoded = decode(model, [ids for _, ids in prompts], sampling.greedy, watch=watch)
        return [
            Greedy(
                question=question.id,
                answer=record_of(answer),
                log_probs=tuple(answer.log_probs),
                entropies=tuple(answer.entropies),
            )
            for (question, _), answer in zip(prompts, decoded, strict=True)
        ]

    return answer_in_batches(model, questions, sampling, journal, watch, Greedy, batch, ROWS, doing)


def sampled_answers(
    model: LoadedModel,
    questions: Sequence[Question],
    sampling: Sampling,
    journal: Journal,
    watch: Watch = SILENT,
    on_batch: Callable[[list[Samples]], None] = lambda records: None,
) -> list[Samples]:
    """Each question's samples, in the order of the questions; those that `journal` has are not drawn again.

    A sample depends only on its question, its number and the seed, not on the other questions or the number of samples.

    Args:
        on_batch: called with each batch after it is kept.

    Raises BadPrompt for a question too long for the model, StoreProblem where the journal cannot be written,
    StoreError where it is damaged, Stopped between two tokens: finished batches are kept.
    """
    count = sampling.samples
    drawn_before = {record.question: record.answers for record in read_records(journal, Samples)}

    def batch(prompts: Prompts) -> list[Samples]:
        completed: list[Samples] = []
        # A run that was widened to more samples keeps those that it has, and draws the following numbers.
        for count_before in sorted({len(drawn_before.get(question.id, ())) for question, _ in prompts}):
            same_count = [prompt for prompt in prompts if len(drawn_before.get(prompt[0].id, ())) == count_before]
            drawn = _draw_samples(model, same_count, sampling, range(count_before, count), watch)
            completed += [
                Samples(question=question.id, answers=(*drawn_before.get(question.id, ()), *answers))
                for (question, _), answers in zip(same_count, drawn, strict=True)
            ]
        return completed

    size = max(1, ROWS // count)
    records = answer_in_batches(
        model, questions, sampling, journal, watch, Samples, batch, size, "drawing answers",
        is_complete=lambda record: len(record.answers) >= count, on_batch=on_batch,
    )  # fmt: skip
    return [record.model_copy(update={"answers": record.answers[:count]}) for record in records]


def _draw_samples(
    model: LoadedModel, prompts: Prompts, sampling: Sampling, numbers: range, watch: Watch
) -> list[tuple[Sample, ...]]:
    """Each question's samples of these numbers."""
    copies = len(numbers)
    seeds = [row_seed(sampling.seed, question.id, number) for question, _ in prompts for number in numbers]
    decoded = decode(
        model, [ids for _, ids in prompts], sampling.drawn, copies=copies, seeds=seeds, lean=True, watch=watch
    )
    drawn = [record_of(answer) for answer in decoded]
    return [tuple(drawn[place * copies : (place + 1) * copies]) for place in range(len(prompts))]


def prompt_hash(model: LoadedModel, sampling: Sampling) -> str:
    """The hash of the prompt that a question becomes: the tokens of a fixed question with suffix and chat template."""
    # Built without checking that the model can read it: the fixed question is not one of the run's.
    ids = made(model, Asked(prompt="Who wrote Emma?" + sampling.suffix)).ids
    check_length(model, len(ids), sampling.max_new_tokens)
    return digest([",".join(map(str, ids))])


def answer_in_batches(
    model: LoadedModel,
    questions: Sequence[Question],
    sampling: Sampling,
    journal: Journal,
    watch: Watch,
    kind: type[Answers],
    batch: Callable[[Prompts], list[Answers]],
    size: int,
    doing: str,
    is_complete: Callable[[Answers], bool] = lambda record: True,
    on_batch: Callable[[list[Answers]], None] = lambda records: None,
) -> list[Answers]:
    """The journal's records and those that it lacks, computed in batches of `size` questions of similar length; each
    batch is kept when it is done.

    Args:
        is_complete: whether a record has all that is asked for now; otherwise it is computed again.
        on_batch: called with each batch after it is kept.
    """
    with journal.writing():
        done: dict[str, Answers] = {
            record.question: record for record in read_records(journal, kind) if is_complete(record)
        }
        missing = [(question, _ids(model, question, sampling)) for question in questions if question.id not in done]
        missing.sort(key=lambda prompt: len(prompt[1]))
        pace = Pace(len(questions), len(questions) - len(missing))
        for part in batches(missing, size, max(1, FIRST * size // ROWS)):
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            answered = batch(part)
            journal.append(record.model_dump(mode="json") for record in answered)
            done.update((record.question, record) for record in answered)
            pace.add(len(answered))
            on_batch(answered)
    return [done[question.id] for question in questions]


def asked_with_suffix(question: Question, sampling: Sampling) -> Asked:
    """The question as the model gets it, with the suffix after it."""
    return Asked(prompt=question.text + sampling.suffix)


def _ids(model: LoadedModel, question: Question, sampling: Sampling) -> tuple[int, ...]:
    return encode(model, asked_with_suffix(question, sampling), sampling.max_new_tokens).ids


def record_of(answer: Running) -> Sample:
    """The record of a decoded answer."""
    assert answer.finish is not None, "decoding has ended"
    return Sample(text=answer.text, tokens=len(answer.ids), finish=answer.finish)


def row_seed(seed: int, question: str, number: int) -> int:
    """The seed of one sample, 0..2**63-1."""
    return int(digest([str(seed), question, str(number)])[:16], 16) >> 1
