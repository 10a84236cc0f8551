"""A run from questions to a probe with its report card: the stages in order, each resuming where it stopped.

Owns the order of the stages and what each depends on: a changed filter or probe uses the answers that exist, and a
killed run loses at most one batch. The stages' own work is in their modules; `backend.runs.folder` names the files.
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
from backend.identify.answers.items import Answered, apply_filter, choose_items, items_needed, refuse_few
from backend.identify.answers.judge import rule_verdict
from backend.identify.answers.judges import ask_for_words, judge_answers, judge_later_answers
from backend.identify.answers.responses import greedy_answers, prompt_hash, sampled_answers
from backend.identify.context import Pool, RunContext
from backend.identify.evaluation import nulls
from backend.identify.evaluation.effects import Switch, effects, switches_of_probe
from backend.identify.evaluation.report import StageResults, neurons_of_sign, report
from backend.identify.evaluation.threshold import POPULATIONS, count_flagged, detector_figures
from backend.identify.evaluation.variations import variations
from backend.identify.features.extract import text_of_item
from backend.identify.features.study import Study, refuse_unsplit, split
from backend.identify.fit import describe
from backend.identify.fit.choice import Trained, train_probe
from backend.identify.fit.solver import Fit, h_neurons
from backend.identify.questions.questions import draw_questions
from backend.identify.questions.questions import questions_key as questions_key
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
"""Questions that are answered first, to estimate how many usable answers to expect of all."""


@dataclass(frozen=True)
class FilteredItems:
    """The items of one filter, and the counts of each step."""

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
        folder: created if it does not exist. name: of the probe.
        command: how the run was called, for the artefact.
    Raises BadInput where too few right or wrong answers are left, BadSettings where the folder has answers of another
    plan, StoreError or StoreProblem where another run works in the folder or the disk is full; Stopped.
    """
    refuse_few(questions, plan.training, plan.screening)
    llm.refuse_absent(plan.judge, folder)
    with runs.working(folder), at(runs.moment(folder)):
        questions = runs.questions_to_ask(folder, plan, questions)
        command = runs.begin(folder, plan, questions, model.info, command, prompt_hash(model, plan.sampling))
        by_id = {question.id: question for question in questions}
        with status.recorded(folder, watch) as askable:
            context = RunContext(model, plan, by_id, folder, runs.overrules(folder), runs.marked(folder), askable)
            built, tables = _build_probe(context, questions)
            probe = built.model_copy(update={"name": name, "command": command})
            library.write(folder, probe, tables)
        return probe


def _build_probe(context: RunContext, questions: Sequence[Question]) -> tuple[Probe, dict[str, pd.DataFrame]]:
    plan, info = context.plan, context.model.info
    answers = answer_questions(context, questions)
    context, agreement = judge_answers(context, answers)
    context = ask_for_words(context, answers, [plan.filter, *_other_filters(plan).values()])
    own, by_filter = _apply_filters(context, answers)
    pool, study = _pool_features(context, own, by_filter)
    trained = _train_probe(context, study)
    fit, seen = trained.fit, study.train.seen
    items_by_filter = {name: filtered.items for name, filtered in by_filter.items()}
    measured = StageResults(
        funnels={name: filtered.funnel for name, filtered in by_filter.items()},
        null=_measure_null(context, study, trained),
        flagged=_measure_threshold(context, study, fit),
        effects=_measure_effects(context, study, fit),
        variations=variations(context, pool, own.items, items_by_filter, set(h_neurons(fit).tolist())),
        agreement=agreement,
    )
    frequency = nulls.selection_frequencies(
        seen,
        plan.training,
        fit.c,
        plan.checks.bootstraps,
        plan.seed,
        # By the paper's criterion C depends on verdicts too, which are in neither plan nor items.
        context.journal("bootstrap", _training_items_text(study), repr(fit.c)),
        context.watch,
    )
    context.say("writing the report card")
    rows = describe.neuron_table(seen, fit, frequency, info.layout)
    probe = Probe(
        name="probe",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=info,
        template=chat.source(context.model.tokenizer),
        questions=questions_key(questions),
        plan=plan,
        c=fit.c,
        intercept=fit.intercept,
        rule=plan.rule,
        neurons=describe.neuron_cards(
            seen, study.test.seen, fit, rows, info.layout, study.train.items, context.questions, plan.sampling
        ),
        report=report(study, trained, plan, own.funnel, measured, info.layout, context.watch),
    )
    return probe, {"neurons": rows, "items": _item_table(study, fit)}


def answer_questions(context: RunContext, questions: Sequence[Question]) -> list[Answered]:
    """Every question with its answers; questions that no samples are drawn for have the greedy answer alone."""
    ids = {question.id for question in questions}
    records = read_records(Journal(RunFolder(context.folder).greedy), Greedy)
    answered_before = {record.question for record in records} & ids
    pilot = draw_questions(questions, PILOT, context.plan.seed)
    if len(questions) > len(pilot) and len(answered_before) < len(questions):
        # A random part first, with its samples: then it is known early whether both sides will have enough answers.
        _answer_part(context, pilot, questions, {question.id for question in pilot})
    return _answer_part(context, questions, questions, {question.id for question in pilot})


def _answer_part(
    context: RunContext, part: Sequence[Question], questions: Sequence[Question], pilot: Collection[str]
) -> list[Answered]:
    """A part of the questions with its answers; updates the outlook for all questions after each batch."""
    plan, model, watch = context.plan, context.model, context.watch
    answers = Journal(RunFolder(context.folder).greedy)
    answered_before = {record.question for record in read_records(answers, Greedy)}
    with status.timed(context.folder, "greedy", sum(question.id not in answered_before for question in part)):
        greedy = greedy_answers(model, part, plan.sampling, answers, watch)
    journal = Journal(RunFolder(context.folder).samples)
    # By the rules alone: a person's verdict does not change which questions samples are drawn for.
    sides = {record.question: rule_verdict(record.answer.text, context.questions[record.question]) for record in greedy}
    drawn_before = {record.question: record for record in read_records(journal, Samples) if record.question in sides}
    wanted = part
    if plan.screening is not None:
        wanted = screen.prefer_drawn(
            screen.screened(part, sides, plan.screening.at_most, plan.seed, drawn_before, pilot),
            [question for question in part if question.id in drawn_before],
        )
    by_greedy = {record.question: record for record in greedy}

    def update_outlook(new_records: list[Samples]) -> None:
        drawn_before.update((record.question, record) for record in new_records)
        known_answers = [Answered(context.questions[id], by_greedy[id], record) for id, record in drawn_before.items()]
        fates = apply_filter(known_answers, plan.filter, context.overrules)[0]
        outlook = screen.outlook(questions, sides, fates, items_needed(plan.training))
        status.record_outlook(context.folder, outlook, watch)

    if drawn_before or not wanted:
        update_outlook([])
    with status.timed(context.folder, "drawn", sum(question.id not in drawn_before for question in wanted)):
        sampled = sampled_answers(model, wanted, plan.sampling, journal, watch, update_outlook)
    by_id = {record.question: record for record in sampled}
    return [Answered(context.questions[record.question], record, by_id.get(record.question)) for record in greedy]


def _apply_filters(context: RunContext, answers: Sequence[Answered]) -> tuple[FilteredItems, dict[str, FilteredItems]]:
    """The items by the plan's filter, and by each of the other named filters that variations compare it with."""
    plan = context.plan
    count = plan.sampling.samples

    def by(filter: Consistency) -> FilteredItems:
        checked = filter.check(count)
        return FilteredItems(*choose_items(answers, checked, plan.seed, context.overrules, context.marked, plan.words))

    return by(plan.filter), {name: by(filter) for name, filter in _other_filters(plan).items()}


def _other_filters(plan: Plan) -> dict[str, Consistency]:
    """The named filters other than the plan's own, where the plan wants variations and draws ten samples, which they
    are defined for."""
    wanted = plan.checks.variations and plan.sampling.samples == 10
    return {name: filter for name, filter in CONSISTENCIES.items() if wanted and filter != plan.filter}


def _pool_features(context: RunContext, own: FilteredItems, by_filter: dict[str, FilteredItems]) -> tuple[Pool, Study]:
    funnel = own.funnel
    if not funnel.sampled:
        raise BadInput(
            "No question is left to sample answers for",
            f"among {funnel.asked:,} questions answered greedily, no kind of question has both a right and a wrong "
            "answer",
            "ask more questions of the same kinds (widen the run), or sample answers for every question",
        )
    if not own.items:
        raise BadInput(
            "No kind of question has both a right and a wrong answer left",
            f"of {funnel.sampled:,} questions answered by sampling, {funnel.right:,} were kept as right and "
            f"{funnel.wrong:,} as wrong, and in {funnel.right_without_span + funnel.wrong_without_span:,} of these the "
            "words that answer were not found",
            "ask more questions of the same kinds (widen the run), or soften the filter",
        )
    if funnel.balanced < (least := items_needed(context.plan.training)):
        raise BadInput(
            f"{funnel.balanced} right and {funnel.balanced} wrong answers are too few",
            f"a probe needs at least {least} of each",
            "widen the run: ask more questions, or soften the filter; the answers that exist are kept",
        )
    _, held_out = split(own.items, context.questions, context.plan)
    refuse_unsplit(own.items, context.questions, held_out, context.plan)
    every = [*own.items, *(item for filtered in by_filter.values() for item in filtered.items)]
    items = tuple({(item.question, item.response): item for item in every}.values())
    pool = Pool(items, context.features(items, context.plan.rule), held_out)
    return pool, pool.study(context, own.items)


def _train_probe(context: RunContext, study: Study) -> Trained:
    context.say("fitting the probe")
    right = [item for item in study.train.items if item.side == "right"][: context.plan.checks.kept]
    paper = context.plan.training.choice == "paper" and right
    trained = train_probe(
        study.train.seen,
        context.plan.training,
        (lambda neurons: _share_kept(context, right, neurons)) if paper else None,
        context.watch,
    )
    if not len(h_neurons(trained.fit)):
        raise BadInput(
            "The probe has no H-neuron",
            f"at C {trained.fit.c:g} no weight is positive",
            "allow a larger C, or ask more questions",
        )
    return trained


def _share_kept(context: RunContext, items: Sequence[Item], neurons: np.ndarray) -> Estimate:
    """The share of these right answers that stay right with the neurons off (Gao et al. 2025, section 6.1.3)."""
    entities = np.arange(len(items))
    if not len(neurons):
        return mean_estimate(np.ones(len(items)), entities)
    off = Switch("H-neurons", 0.0, NeuronSet(tuple(context.model.info.layout.neurons(neurons))))
    records = context.answers_under([context.questions[item.question] for item in items], [off], "kept")
    context = judge_later_answers(context, records)
    right = [context.verdict(record.question, record.answers[1].text) == "right" for record in records]
    return mean_estimate(np.array(right, dtype=np.float64), entities)


def _training_items_text(study: Study) -> str:
    """A text of all training items, for the keys of fits on them."""
    return "\0".join(item.canonical() for item in study.train.items)


def _measure_null(context: RunContext, study: Study, trained: Trained) -> Null | None:
    plan = context.plan
    return nulls.null_distribution(
        study.train.seen,
        study.test.seen,
        study.train.strata,
        plan.training,
        auroc(study.test.seen.labels, trained.fit.logits(study.test.seen.answer)),
        plan.checks.refits,
        plan.seed,
        # Its AUROCs are of the held-out items, and a person may mark other words of them.
        context.journal("null", _training_items_text(study), "".join(item.canonical() for item in study.test.items)),
        context.watch,
    )


def _measure_threshold(context: RunContext, study: Study, fit: Fit) -> tuple[Flagged, ...]:
    """The figures of the threshold detector on the held-out items, for each population."""
    context.say("counting neurons above the threshold")
    plan, test, layout = context.plan, study.test, context.model.info.layout
    texts = [text_of_item(context.model, item, context.questions, plan.sampling, plan.rule) for item in test.items]
    positive = neurons_of_sign(fit, layout, 1)
    threshold = plan.checks.threshold
    counts = count_flagged(context.model, texts, threshold.k, positive, context.watch)
    return tuple(
        detector_figures(
            counts[population],
            threshold.model_copy(update={"population": population}),
            test.seen.labels,
            test.seen.entities,
            layout.size,
            len(positive),
        )
        for population in POPULATIONS
    )


def _measure_effects(context: RunContext, study: Study, fit: Fit) -> tuple[Effect, ...]:
    plan, layout = context.plan, context.model.info.layout
    switches = switches_of_probe(
        neurons_of_sign(fit, layout, 1), neurons_of_sign(fit, layout, -1), plan.checks, layout, plan.seed
    )
    if not switches:
        return ()
    draw = np.random.default_rng(plan.seed)
    places = draw.permutation(len(study.test.items))[: plan.checks.answers]
    questions = [context.questions[study.test.items[place].question] for place in places]
    records = context.answers_under(questions, switches, "effects")
    return effects(records, switches, study.test.seen.entities[places], judge_later_answers(context, records).verdict)


def _item_table(study: Study, fit: Fit) -> pd.DataFrame:
    """One row for each item: question and answer, its part, and the probe's log-odds."""
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
                "held_out": is_held_out,
                "log_odds": fit.logits(part.seen.answer),
            }
        )
        for is_held_out, part in ((False, study.train), (True, study.test))
    ]
    return pd.concat(frames, ignore_index=True)
