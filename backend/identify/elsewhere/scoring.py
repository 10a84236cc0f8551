"""A probe is scored on questions: which are asked, how they are answered, and what is kept so that nothing is computed
twice.

Owns the order of the questions and the folder of a scoring. Answers, verdicts and words are made as in a run
(`backend.identify.pipeline`), by the probe's own plan; verdicts are those of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from backend.errors import BadInput, BadPrompt, StoreError
from backend.forward.prompting import encode
from backend.identify.answers.items import span_of
from backend.identify.answers.judge import rule_verdict
from backend.identify.answers.responses import asked_with_suffix, greedy_answers, prompt_hash
from backend.identify.elsewhere.measures import measure
from backend.identify.elsewhere.readings import Reader, read
from backend.identify.questions.questions import questions_key, without_repeats, wording_key
from backend.models.loaded import LoadedModel
from backend.probes.scoring import Scorer
from backend.runs.folder import ScoringFolder
from backend.runs.records import reason, write_text
from backend.types import StageEvent, figures
from backend.types.base import digest
from backend.types.identify import Greedy, Item, Question, Sampling, WordRule
from backend.types.scoring import ScoredCounts, ScoreRequest, Scoring
from backend.watch import SILENT, Watch, between
from cache.errors import remedy
from cache.files import Taken, content, own_folder, turn
from cache.journal import Journal

LOOK = 100
"""Answers after which it is said that right or wrong ones are missing, before hours are spent on the rest."""


def score(
    model: LoadedModel,
    scorer: Scorer,
    trained_on: frozenset[str] | None,
    request: ScoreRequest,
    scores: Path,
    watch: Watch = SILENT,
) -> Scoring:
    """Ask, judge, read and measure.

    Args:
        trained_on: `wording_key` of the questions of the probe's own items; None where they are not known.
        scores: the folder of all scorings. What is computed is kept in a folder of this one, and found there again.

    Raises BadInput where all questions are the probe's own, or where right or wrong answers are missing among the first
    `LOOK`; BadPrompt where the model can read none of the questions; StoreError; Stopped.
    """
    given = named_by_content(without_repeats(request.questions))
    fresh = [question for question in given if wording_key(question.text) not in (trained_on or frozenset())]
    if not fresh:
        raise BadInput(
            "Every question stands in the probe's own items",
            f"all {len(given):,} were left out, since a probe is not judged by what it was made from",
            "give other questions",
        )
    sampling = scorer.probe.plan.sampling if scorer.probe.plan is not None else Sampling()
    folder = ScoringFolder(scores / _key(model, scorer, sampling, given, request.seed))
    with _working(folder, watch):
        drawn = _drawn(fresh, request)
        asked = _askable(model, drawn, sampling)
        by_id = {question.id: question for question in asked}
        answers = _answered(model, asked, sampling, request.go_on, Journal(folder.greedy), watch)
        reader = Reader(model, scorer, sampling)
        words = scorer.probe.plan.words if scorer.probe.plan is not None else "phrase"
        items = [item for item in items_of(answers, by_id, words) if reader.can_read(item, by_id)]
        counts = _counts(
            answers, by_id, items, given=len(given), in_training=len(given) - len(fresh),
            unaskable=len(drawn) - len(asked),
        )  # fmt: skip
        readings = read(reader, items, by_id, Journal(folder.readings), watch)
        watch.emit(StageEvent(stage="computing the figures"))
        scoring = measure(
            Scoring.of(request, scorer.probe, scorer.named, model.info, counts, training_known=trained_on is not None),
            scorer, items, by_id, readings,
        )  # fmt: skip
        if scoring.n.asked >= _asked_before(folder):
            write_text(folder.result, scoring.model_dump_json(indent=1))
        return scoring


def _asked_before(folder: ScoringFolder) -> int:
    """How many questions the scoring that is kept there asked: one of fewer does not take its place."""
    try:
        return Scoring.model_validate_json(content(folder.result)).n.asked
    except (OSError, ValidationError):
        return 0


def items_of(answers: Sequence[Greedy], questions: Mapping[str, Question], words: WordRule) -> list[Item]:
    """The right and wrong answers whose words that answer are found by the rule `words`."""
    items = []
    for answer in answers:
        question, response = questions[answer.question], answer.answer.text
        side = rule_verdict(response, question)
        span = None if side == "uncertain" else span_of(side, response, question, {}, words)
        if span is not None and side != "uncertain":
            items.append(Item(question=question.id, side=side, response=response, start=span.start, end=span.end))
    return items


def named_by_content(questions: Sequence[Question]) -> list[Question]:
    """The questions with ids of their own text: a file that was renamed has the same answers."""
    return [question.model_copy(update={"id": digest([question.text])[:20], "source": ""}) for question in questions]


def _key(model: LoadedModel, scorer: Scorer, sampling: Sampling, questions: Sequence[Question], seed: int) -> str:
    """The name of the folder: all that answers and readings depend on, except how many are asked."""
    asked = (prompt_hash(model, sampling), sampling, questions_key(questions), str(seed))
    return digest([figures(model.info.basis), scorer.named.digest, *asked])[:16]


@contextmanager
def _working(folder: ScoringFolder, watch: Watch) -> Iterator[None]:
    """Be the only one that works in `folder`; waits for another one, which may do all the work meanwhile."""
    with ExitStack() as stack:
        try:
            own_folder(folder.path)
            _take_turn(folder, stack, watch)
        except OSError as error:
            raise StoreError(f"{folder.path} cannot be written", reason(error), remedy(error)) from error
        yield


def _take_turn(folder: ScoringFolder, stack: ExitStack, watch: Watch) -> None:
    is_told = False
    while True:
        try:
            stack.enter_context(turn(folder.lock, 0.5))
            return
        except Taken:
            if not is_told:
                watch.emit(StageEvent(stage="waiting: another program scores this probe on these questions"))
            is_told = True
            between(watch)


def _drawn(questions: Sequence[Question], request: ScoreRequest) -> list[Question]:
    """Those that are asked, in their order: a larger limit asks the same ones first."""
    order = np.random.default_rng(request.seed).permutation(len(questions))
    return [questions[place] for place in order[: request.limit]]


def _askable(model: LoadedModel, questions: Sequence[Question], sampling: Sampling) -> list[Question]:
    """Those that the model can read with room for an answer: one of a thousand that is too long stops no scoring.
    Raises BadPrompt where there are none."""
    askable, refusal = [], None
    for question in questions:
        try:
            encode(model, asked_with_suffix(question, sampling), sampling.max_new_tokens)
        except BadPrompt as error:
            refusal = error
        else:
            askable.append(question)
    if refusal is not None and not askable:
        raise refusal
    return askable


def _answered(
    model: LoadedModel,
    asked: Sequence[Question],
    sampling: Sampling,
    is_to_go_on: bool,
    journal: Journal,
    watch: Watch,
) -> list[Greedy]:
    """The greedy answer to each question. Raises BadInput."""
    by_id = {question.id: question for question in asked}
    if len(asked) > LOOK and not is_to_go_on:
        doing = f"answering the first {LOOK} of {len(asked):,} questions"
        first = greedy_answers(model, asked[:LOOK], sampling, journal, watch, doing)
        verdicts = {rule_verdict(answer.answer.text, by_id[answer.question]) for answer in first}
        missing = [side for side in ("right", "wrong") if side not in verdicts]
        if missing:
            raise BadInput(
                f"None of the first {LOOK} answers is {' or '.join(missing)}",
                f"right answers are told from wrong ones, and {len(asked):,} questions are to be asked",
                "give other questions, or go on with these all the same (--go-on): the answers are kept",
            )
    return greedy_answers(model, asked, sampling, journal, watch)


def _counts(
    answers: Sequence[Greedy], questions: Mapping[str, Question], items: Sequence[Item], **left_out: int
) -> ScoredCounts:
    verdicts = [rule_verdict(answer.answer.text, questions[answer.question]) for answer in answers]
    right, wrong, uncertain = (verdicts.count(side) for side in ("right", "wrong", "uncertain"))
    scored_wrong = sum(item.side == "wrong" for item in items)
    return ScoredCounts(
        **left_out, asked=len(answers), right=right, wrong=wrong, uncertain=uncertain,
        without_words=right + wrong - len(items), scored_right=len(items) - scored_wrong, scored_wrong=scored_wrong,
    )  # fmt: skip
