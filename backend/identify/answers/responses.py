"""Stage 2, responses: each question answered greedily and in samples, in batches that share a prompt's cache.

Owns batching, seeds and the checkpoint after every batch. Refuses to judge.
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
"""Rows of a batch: more are hardly faster on a processor, and a checkpoint comes later."""

Told = TypeVar("Told", Greedy, Samples)
Prompts = Sequence[tuple[Question, tuple[int, ...]]]


def greedy_answers(
    model: LoadedModel, questions: Sequence[Question], sampling: Sampling, journal: Journal, watch: Watch = SILENT
) -> list[Greedy]:
    """Each question's likeliest answer, in their order. Resumes and raises as `samples` does."""

    def batch(prompts: Prompts) -> list[Greedy]:
        decoded = decode(model, [ids for _, ids in prompts], sampling.greedy, watch=watch)
        return [
            Greedy(
                question=question.id,
                answer=sample(answer),
                log_probs=tuple(answer.log_probs),
                entropies=tuple(answer.entropies),
            )
            for (question, _), answer in zip(prompts, decoded, strict=True)
        ]

    return resumed(model, questions, sampling, journal, watch, Greedy, batch, ROWS, "answering greedily")


def samples(
    model: LoadedModel,
    questions: Sequence[Question],
    sampling: Sampling,
    journal: Journal,
    watch: Watch = SILENT,
    seen: Callable[[list[Samples]], None] = lambda found: None,
) -> list[Samples]:
    """Each question's samples, in their order; those that `journal` has are not drawn again.

    A sample hangs on its question, its number and the seed alone, not on what else is asked, nor on how many are.

    Args:
        seen: told of each batch when it is kept.

    Raises BadPrompt for a question too long for the model, StoreProblem where the journal cannot be written,
    StoreError where it is damaged, Stopped between two tokens: the batches that were finished are kept.
    """
    count = sampling.samples
    held = {one.question: one.answers for one in read_records(journal, Samples)}

    def batch(prompts: Prompts) -> list[Samples]:
        found: list[Samples] = []
        # Where a run was widened to more samples, those that are there stay, and the next numbers are drawn.
        for have in sorted({len(held.get(question.id, ())) for question, _ in prompts}):
            part = [one for one in prompts if len(held.get(one[0].id, ())) == have]
            drawn = _drawn(model, part, sampling, range(have, count), watch)
            found += [
                Samples(question=question.id, answers=(*held.get(question.id, ()), *answers))
                for (question, _), answers in zip(part, drawn, strict=True)
            ]
        return found

    size = max(1, ROWS // count)
    told = resumed(
        model, questions, sampling, journal, watch, Samples, batch, size, "drawing answers",
        whole=lambda one: len(one.answers) >= count, seen=seen,
    )  # fmt: skip
    return [one.model_copy(update={"answers": one.answers[:count]}) for one in told]


def _drawn(
    model: LoadedModel, prompts: Prompts, sampling: Sampling, numbers: range, watch: Watch
) -> list[tuple[Sample, ...]]:
    """The samples of these numbers to each question."""
    copies = len(numbers)
    seeds = [row_seed(sampling.seed, question.id, number) for question, _ in prompts for number in numbers]
    decoded = decode(
        model, [ids for _, ids in prompts], sampling.drawn, copies=copies, seeds=seeds, lean=True, watch=watch
    )
    drawn = [sample(answer) for answer in decoded]
    return [tuple(drawn[place * copies : (place + 1) * copies]) for place in range(len(prompts))]


def prompt_hash(model: LoadedModel, sampling: Sampling) -> str:
    """The hash of how a question is put to the model: of a question that is always the same, with all around it."""
    # It is never read: a word of it that the model cannot read is no fault of the questions.
    ids = made(model, Asked(prompt="Who wrote Emma?" + sampling.suffix)).ids
    check_length(model, len(ids), sampling.max_new_tokens)
    return digest([",".join(map(str, ids))])


def resumed(
    model: LoadedModel,
    questions: Sequence[Question],
    sampling: Sampling,
    journal: Journal,
    watch: Watch,
    kind: type[Told],
    batch: Callable[[Prompts], list[Told]],
    size: int,
    doing: str,
    whole: Callable[[Told], bool] = lambda found: True,
    seen: Callable[[list[Told]], None] = lambda found: None,
) -> list[Told]:
    """What the journal has, and the rest in batches of `size` questions of like length, each kept when done.

    Args:
        whole: whether a record is all of what is asked for now; else it is made again.
    """
    with journal.writing():
        done: dict[str, Told] = {one.question: one for one in read_records(journal, kind) if whole(one)}
        missing = [(question, _ids(model, question, sampling)) for question in questions if question.id not in done]
        missing.sort(key=lambda prompt: len(prompt[1]))
        pace = Pace(len(questions), len(questions) - len(missing))
        for part in batches(missing, size, max(1, FIRST * size // ROWS)):
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text(doing), fraction=pace.fraction))
            found = batch(part)
            journal.append(one.model_dump(mode="json") for one in found)
            done.update((one.question, one) for one in found)
            pace.add(len(found))
            seen(found)
    return [done[question.id] for question in questions]


def asked(question: Question, sampling: Sampling) -> Asked:
    """The question as it is put, with the suffix behind it."""
    return Asked(prompt=question.text + sampling.suffix)


def _ids(model: LoadedModel, question: Question, sampling: Sampling) -> tuple[int, ...]:
    return encode(model, asked(question, sampling), sampling.max_new_tokens).ids


def sample(answer: Running) -> Sample:
    """What is kept of a decoded answer."""
    assert answer.finish is not None, "decoding has ended"
    return Sample(text=answer.text, tokens=len(answer.ids), finish=answer.finish)


def row_seed(seed: int, question: str, number: int) -> int:
    """The seed of one sample, 0..2**63-1."""
    return int(digest([str(seed), question, str(number)])[:16], 16) >> 1
