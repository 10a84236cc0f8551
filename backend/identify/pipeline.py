"""A run from questions to a probe with its report card: the stages in order, each going on where it was.

Owns the order, and what hangs on what: a changed filter or probe uses the answers that are there, and a killed run
loses at most one batch. Refuses every stage's own work, and files (`backend.runs.folder` names them).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from backend.errors import BadInput
from backend.forward import chat
from backend.forward.templating import at
from backend.identify.answers import llm, screen
from backend.identify.answers.items import Answered, choose, kept, needed, refuse_few
from backend.identify.answers.judge import verdict
from backend.identify.answers.judges import deciding, judged, worded
from backend.identify.answers.responses import greedy_answers, prompt_hash, samples
from backend.identify.context import Ground, Pool
from backend.identify.evaluation import nulls
from backend.identify.evaluation.effects import Arm, arms, effects
from backend.identify.evaluation.report import Found, chosen, report
from backend.identify.evaluation.threshold import POPULATIONS, count, flagged
from backend.identify.evaluation.variations import variations
from backend.identify.features.extract import read_as
from backend.identify.features.study import Study, refuse_unsplit, split
from backend.identify.fit import describe
from backend.identify.fit.choice import Trained, train
from backend.identify.fit.solver import Fit, h_neurons
from backend.identify.questions.questions import drawn
from backend.identify.questions.questions import key as questions_key
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.probes import library
from backend.runs import runs, status
from backend.runs.folder import RunFolder
from backend.runs.records import read_records
from backend.statistics.intervals import mean_estimate
from backend.statistics.scores import auroc
from backend.types.estimate import Estimate
from backend.types.identify import CONSISTENCIES, Consistency, Funnel, Greedy, Item, Question, Samples
from backend.types.plan import Plan
from backend.types.probe import Probe
from backend.types.report import Effect, Flagged, Null
from backend.watch import SILENT, Watch
from cache.journal import Journal

PILOT = 60
"""Questions that are answered first, to tell what is to be expected of all."""


@dataclass(frozen=True)
class Chosen:
    """The items of one filter, and what it left on the way."""

    items: list[Item]
    funnel: Funnel


def run(
    model: LoadedModel,
    plan: Plan,
    questions: Sequence[Question],
    folder: Path,
    name: str,
    command: str = "",
    watch: Watch = SILENT,
) -> Probe:
    """Do every stage that is not done yet, and write the artefact.

    Args:
        folder: made where it is not there. name: the probe's.
        command: how the run was called, for the artefact.
    Raises BadInput where nothing is left to tell apart, StoreError or StoreProblem where another run works in the
    folder, another plan's answers are there, or the disk is full; Stopped.
    """
    refuse_few(questions, plan.training, plan.screening)
    llm.refuse_absent(plan.judge, folder)
    with runs.working(folder), at(runs.moment(folder)):
        questions = runs.questions_to_ask(folder, plan, questions)
        command = runs.begin(folder, plan, questions, model.info, command, prompt_hash(model, plan.sampling))
        by_id = {question.id: question for question in questions}
        with status.recorded(folder, watch) as askable:
            ground = Ground(model, plan, by_id, folder, runs.overrules(folder), runs.marked(folder), askable)
            found, tables = _made(ground, questions)
            probe = found.model_copy(update={"name": name, "command": command})
            library.write(folder, probe, tables)
        return probe


def _made(ground: Ground, questions: Sequence[Question]) -> tuple[Probe, dict[str, pd.DataFrame]]:
    plan, info = ground.plan, ground.model.info
    answers = answered(ground, questions)
    ground, agreement = judged(ground, answers)
    ground = worded(ground, answers, [plan.filter, *_named(plan).values()])
    mine, others = _filtered(ground, answers)
    pool, whole = _pooled(ground, mine, others)
    trained = _trained(ground, whole)
    fit, seen = trained.fit, whole.train.seen
    found = Found(
        funnels={name: one.funnel for name, one in others.items()},
        null=_null(ground, whole, trained),
        flagged=_flagged(ground, whole, fit),
        effects=_effects(ground, whole, fit),
        variations=variations(
            ground, pool, mine.items, {name: one.items for name, one in others.items()}, set(h_neurons(fit).tolist())
        ),
        agreement=agreement,
    )
    frequency = nulls.frequencies(
        seen,
        plan.training,
        fit.c,
        plan.checks.bootstraps,
        plan.seed,
        # By the paper's criterion C hangs on verdicts too, which are in neither plan nor items.
        ground.journal("bootstrap", _of(whole), repr(fit.c)),
        ground.watch,
    )
    ground.say("writing the report card")
    rows = describe.table(seen, fit, frequency, info.layout)
    probe = Probe(
        name="probe",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=info,
        template=chat.source(ground.model.tokenizer),
        questions=questions_key(questions),
        plan=plan,
        c=fit.c,
        intercept=fit.intercept,
        rule=plan.rule,
        neurons=describe.cards(
            seen, whole.test.seen, fit, rows, info.layout, whole.train.items, ground.questions, plan.sampling
        ),
        report=report(whole, trained, plan, mine.funnel, found, info.layout, ground.watch),
    )
    return probe, {"neurons": rows, "items": _item_table(whole, fit)}


def answered(ground: Ground, questions: Sequence[Question]) -> list[Answered]:
    """Every question with its answers; those that were not drawn for have the greedy one alone."""
    asked = {question.id for question in questions}
    held = {one.question for one in read_records(Journal(RunFolder(ground.folder).greedy), Greedy)} & asked
    pilot = drawn(questions, PILOT, ground.plan.seed)
    if len(questions) > len(pilot) and len(held) < len(questions):
        # A part at random first, to the end: whether enough of both sides will be there is told before the hours.
        _answered(ground, pilot, questions, {one.id for one in pilot})
    return _answered(ground, questions, questions, {one.id for one in pilot})


def _answered(
    ground: Ground, part: Sequence[Question], questions: Sequence[Question], pilot: Collection[str]
) -> list[Answered]:
    """A part of the questions with its answers, and what is to be expected of all told as they come in."""
    plan, model, watch = ground.plan, ground.model, ground.watch
    answers = Journal(RunFolder(ground.folder).greedy)
    known = {one.question for one in read_records(answers, Greedy)}
    with status.timed(ground.folder, "greedy", sum(question.id not in known for question in part)):
        greedy = greedy_answers(model, part, plan.sampling, answers, watch)
    journal = Journal(RunFolder(ground.folder).samples)
    # By the rules alone: a person's verdict on an answer does not change for which questions answers are drawn.
    sides = {one.question: verdict(one.answer.text, ground.questions[one.question]) for one in greedy}
    held = {one.question: one for one in read_records(journal, Samples) if one.question in sides}
    wanted = part
    if plan.screening is not None:
        wanted = screen.rather_drawn(
            screen.screened(part, sides, plan.screening.at_most, plan.seed, held, pilot),
            [question for question in part if question.id in held],
        )
    by_greedy = {one.question: one for one in greedy}

    def seen(found: list[Samples]) -> None:
        held.update((one.question, one) for one in found)
        known = [Answered(ground.questions[id], by_greedy[id], one) for id, one in held.items()]
        fates = kept(known, plan.filter, ground.overrules)[0]
        status.record_outlook(ground.folder, screen.outlook(questions, sides, fates, needed(plan.training)), watch)

    if held or not wanted:
        seen([])
    with status.timed(ground.folder, "drawn", sum(question.id not in held for question in wanted)):
        by_id = {one.question: one for one in samples(model, wanted, plan.sampling, journal, watch, seen)}
    return [Answered(ground.questions[one.question], one, by_id.get(one.question)) for one in greedy]


def _filtered(ground: Ground, answers: Sequence[Answered]) -> tuple[Chosen, dict[str, Chosen]]:
    """By the plan's filter, and by each named one where variations are wanted and made for so many samples."""
    plan = ground.plan
    drawn = plan.sampling.samples

    def by(filter: Consistency) -> Chosen:
        return Chosen(*choose(answers, filter.check(drawn), plan.seed, ground.overrules, ground.marked, plan.words))

    return by(plan.filter), {name: by(filter) for name, filter in _named(plan).items()}


def _named(plan: Plan) -> dict[str, Consistency]:
    """The named filters other than the plan's own: they are made for ten samples."""
    wanted = plan.checks.variations and plan.sampling.samples == 10
    return {name: one for name, one in CONSISTENCIES.items() if wanted and one != plan.filter}


def _pooled(ground: Ground, mine: Chosen, others: dict[str, Chosen]) -> tuple[Pool, Study]:
    funnel = mine.funnel
    if not funnel.sampled:
        raise BadInput(
            "No question is left to draw answers for",
            f"of {funnel.asked:,} answered greedily, none is of a kind in which the model is right on one and wrong "
            "on another",
            "ask more questions of one kind (the run can be widened), or draw for every question",
        )
    if not mine.items:
        raise BadInput(
            "No question is left in which a right and a wrong answer stand side by side",
            f"of {funnel.sampled:,} answered in samples, {funnel.right:,} were kept right and {funnel.wrong:,} wrong, "
            f"{funnel.right_without_span + funnel.wrong_without_span:,} of them without words that answer",
            "ask more questions of one kind (the run can be widened), or soften the filter",
        )
    if funnel.balanced < (least := needed(ground.plan.training)):
        raise BadInput(
            f"{funnel.balanced} right and {funnel.balanced} wrong answers are too few",
            f"a probe of fewer than {least} of each tells nothing",
            "widen the run: ask more questions, or soften the filter; the answers that are there stay",
        )
    _, held = split(mine.items, ground.questions, ground.plan)
    refuse_unsplit(mine.items, ground.questions, held, ground.plan)
    every = [*mine.items, *(item for one in others.values() for item in one.items)]
    items = tuple({(item.question, item.response): item for item in every}.values())
    pool = Pool(items, ground.features(items, ground.plan.rule), held)
    return pool, pool.study(ground, mine.items)


def _trained(ground: Ground, whole: Study) -> Trained:
    ground.say("fitting the probe")
    right = [item for item in whole.train.items if item.side == "right"][: ground.plan.checks.kept]
    paper = ground.plan.training.choice == "paper" and right
    trained = train(
        whole.train.seen,
        ground.plan.training,
        (lambda neurons: _kept(ground, right, neurons)) if paper else None,
        ground.watch,
    )
    if not len(h_neurons(trained.fit)):
        raise BadInput(
            "No neuron speaks for wrong answers",
            f"at C {trained.fit.c:g} no weight is positive",
            "allow a larger C, or ask more questions",
        )
    return trained


def _kept(ground: Ground, items: Sequence[Item], neurons: np.ndarray) -> Estimate:
    """The share of these right answers that stay right with the neurons off (Gao et al. 2025, section 6.1.3)."""
    entities = np.arange(len(items))
    if not len(neurons):
        return mean_estimate(np.ones(len(items)), entities)
    off = Arm("H-neurons", 0.0, NeuronSet(tuple(ground.model.info.layout.neurons(neurons))))
    told = ground.switched([ground.questions[item.question] for item in items], [off], "kept")
    ground = deciding(ground, told)
    right = [ground.verdict(one.question, one.answers[1].text) == "right" for one in told]
    return mean_estimate(np.array(right, dtype=np.float64), entities)


def _of(whole: Study) -> str:
    """What fits on the training part hang on."""
    return "\0".join(item.canonical() for item in whole.train.items)


def _null(ground: Ground, whole: Study, trained: Trained) -> Null | None:
    plan = ground.plan
    return nulls.null(
        whole.train.seen,
        whole.test.seen,
        whole.train.strata,
        plan.training,
        auroc(whole.test.seen.labels, trained.fit.logits(whole.test.seen.answer)),
        plan.checks.refits,
        plan.seed,
        # Its AUROCs are of the held-out items, whose words a person may have marked since.
        ground.journal("null", _of(whole), "".join(item.canonical() for item in whole.test.items)),
        ground.watch,
    )


def _flagged(ground: Ground, whole: Study, fit: Fit) -> tuple[Flagged, ...]:
    """The threshold detector on the held-out items, over each population."""
    ground.say("counting neurons above the threshold")
    plan, test, layout = ground.plan, whole.test, ground.model.info.layout
    texts = [read_as(ground.model, item, ground.questions, plan.sampling, plan.rule) for item in test.items]
    positive = chosen(fit, layout, 1)
    threshold = plan.checks.threshold
    counts = count(ground.model, texts, threshold.k, positive, ground.watch)
    return tuple(
        flagged(
            counts[population],
            threshold.model_copy(update={"population": population}),
            test.seen.labels,
            test.seen.entities,
            layout.size,
            len(positive),
        )
        for population in POPULATIONS
    )


def _effects(ground: Ground, whole: Study, fit: Fit) -> tuple[Effect, ...]:
    plan, layout = ground.plan, ground.model.info.layout
    switches = arms(chosen(fit, layout, 1), chosen(fit, layout, -1), plan.checks, layout, plan.seed)
    if not switches:
        return ()
    draw = np.random.default_rng(plan.seed)
    places = draw.permutation(len(whole.test.items))[: plan.checks.answers]
    questions = [ground.questions[whole.test.items[place].question] for place in places]
    told = ground.switched(questions, switches, "effects")
    return effects(told, switches, whole.test.seen.entities[places], deciding(ground, told).verdict)


def _item_table(whole: Study, fit: Fit) -> pd.DataFrame:
    """A row an item: what was asked and answered, its part, and the probe's log-odds."""
    frames = [
        pd.DataFrame(
            {
                "question": [item.question for item in part.items],
                "relation": part.relations,
                "side": [item.side for item in part.items],
                "response": [item.response for item in part.items],
                "start": [item.start for item in part.items],
                "end": [item.end for item in part.items],
                "tokens": part.lengths,
                "held_out": held,
                "log_odds": fit.logits(part.seen.answer),
            }
        )
        for held, part in ((False, whole.train), (True, whole.test))
    ]
    return pd.concat(frames, ignore_index=True)
