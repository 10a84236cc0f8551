"""Probes as tables for a person at a terminal. `--json` shows everything; nothing is computed here."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from backend.cli.output import plain, stdout_console, write_line
from backend.cli.tables import plain_table
from backend.types import Exploration
from backend.types.estimate import Estimate
from backend.types.identify import Scores
from backend.types.numbers import counted, fixed, per_cent, short
from backend.types.probe import Probe, ProbeSummary
from backend.types.report import PathPoint, Report
from backend.types.requests import CONTROL_KINDS
from backend.types.scoring import Scoring

SHOWN = 12


def probe_list(console: Console, summaries: Iterable[ProbeSummary]) -> None:
    """One line per probe."""
    table = plain_table("probe", "H-neurons", "negative weights", "AUROC", "made", "made on")
    for summary in summaries:
        made = "built-in" if summary.ships else summary.made[:10] or "elsewhere"
        reached = "-" if summary.auroc is None else fixed(summary.auroc.value, 3)
        table.add_row(
            plain(summary.name), str(summary.positive), str(summary.negative), reached, made, plain(_made_on(summary))
        )
    console.print(table)


def _made_on(summary: ProbeSummary) -> str:
    return f"{summary.model or 'another model'}, used on {summary.forced}" if summary.forced else summary.model


def estimate_text(estimate: Estimate | None) -> str:
    """0.79 [0.74, 0.83] n 310; "-" for None."""
    return "-" if estimate is None else f"{_interval(estimate)} n {estimate.n:,}"


def _interval(estimate: Estimate) -> str:
    return f"{fixed(estimate.value, 3)} [{fixed(estimate.low, 3)}, {fixed(estimate.high, 3)}]"


def score_along(console: Console, exploration: Exploration) -> None:
    """What the score of the answer means, and the score so far at each token."""
    score = exploration.score
    if score is None:
        console.print("There is no answer to score.")
        return
    for sentence in score.sentences:
        console.print(plain(sentence))
    name = score.probe.name
    console.print(plain(f"Where the score of {name} changes, from 0 (like right answers) to 1 (like wrong ones):"))
    scores = plain_table("token", "score so far")
    for token, chance in zip(exploration.tokens[exploration.answer_start :], score.chances, strict=True):
        scores.add_row(plain(token.shown), fixed(chance, 3))
    console.print(scores)


def report(console: Console, probe: Probe, tested: Sequence[Scoring] = ()) -> None:
    """The report card: how well the probe does, and how well simpler scores do; and how it did on other questions."""
    model = probe.model
    density = (
        f", {fixed(1000 * len(probe.h_neurons) / model.n_neurons, 3)} per mille of {model.n_neurons:,} neurons"
        if model
        else ""
    )
    console.print(
        plain(
            f"{probe.name}: {counted(len(probe.h_neurons), 'H-neuron')}{density}, "
            f"{counted(len(probe.against), 'negative weight')}"
        )
    )
    console.print(
        plain(f"model {model.name}, C {short(probe.c)}" if model and probe.c else probe.imported), style="dim"
    )
    if probe.forced:
        console.print(plain(f"made for another model, but used on {probe.forced}"))
    if probe.aside:
        console.print(plain(probe.aside_note))
    if probe.report is not None:
        _card(console, probe.report)
    for scoring in tested:
        console.print(plain(f"elsewhere, {scoring.source or 'other questions'}: {' '.join(scoring.sentences)}"))
    if not tested:
        console.print("not tested elsewhere: hneurons probe score NAME FILE")
    neurons = plain_table(
        "neuron", "weight", "weight x SD", "AUROC alone", "held out", "chosen in fits", "lost without it"
    )
    for entry in [*probe.of_sign(1)[:SHOWN], *probe.of_sign(-1)[:3]]:
        figures = (entry.effect, entry.auroc, entry.held_out, entry.frequency, entry.leave_out)
        shown = ("-" if value is None else fixed(value, 3) for value in figures)
        neurons.add_row(str(entry.neuron), fixed(entry.weight, 3), *shown)
    console.print(neurons)


def _card(console: Console, card: Report) -> None:
    funnel = card.funnel
    console.print(
        f"questions: {funnel.asked:,} asked, {funnel.sampled:,} also answered by sampling; of these "
        f"{funnel.uncertain:,} uncertain, {funnel.mixed:,} mixed, {funnel.right:,} right, {funnel.wrong:,} wrong; "
        f"words not found in {funnel.right_without_span} right and {funnel.wrong_without_span} wrong; balanced: "
        f"{funnel.balanced} right and {funnel.balanced} wrong; held out: {card.test_items}"
    )
    for agreement in card.agreement:
        kappa = "" if agreement.kappa is None else f", kappa {fixed(agreement.kappa, 3)}"
        judges = f"{agreement.one} and {agreement.other}"
        console.print(
            plain(f"{judges} agree on {estimate_text(agreement.share)}{kappa}, {agreement.unread} without verdict")
        )
    scores = plain_table("score on the held-out answers", "AUROC")
    for name, estimate in auroc_rows(card):
        scores.add_row(plain(name), estimate_text(estimate))
    console.print(scores)
    if card.null is not None:
        console.print(
            f"shuffled labels, {len(card.null.aurocs)} probes of {min(card.null.neurons)} to "
            f"{max(card.null.neurons)} H-neurons: mean AUROC {fixed(card.null.mean, 3)}, "
            f"largest {fixed(max(card.null.aurocs), 3)}; p = {fixed(card.null.p, 3)}"
        )
    if card.effects:
        _effects(console, card)
    if card.variations:
        _variations(console, card)


def _effects(console: Console, card: Report) -> None:
    first = card.effects[0]
    right = first.right_kept.n if first.right_kept else 0
    console.print(f"in per cent of {first.changed.n} held-out questions; {right} are answered right with no switch")
    rows = plain_table("switched", "alpha", "changed", "right kept", "made right", "made uncertain")
    for arm in card.effects:
        shares = (arm.changed, arm.right_kept, arm.wrong_righted, arm.wrong_uncertain)
        sets = f"{arm.sets} x " if arm.sets > 1 else ""
        rows.add_row(f"{arm.arm} ({sets}{arm.neurons})", short(arm.alpha), *map(_per_cent, shares))
    console.print(rows)


def _per_cent(estimate: Estimate | None) -> str:
    """66 [61, 71]; "-" for None."""
    if estimate is None:
        return "-"
    value, low, high = (per_cent(figure) for figure in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _variations(console: Console, card: Report) -> None:
    rows = plain_table("changed decision", "answers", "held out", "H-neurons", "AUROC", "shared")
    for variation in card.variations:
        reached = _interval(variation.auroc) if variation.auroc else "-"
        shared = "-" if variation.overlap is None else fixed(variation.overlap)
        held_out, h_neurons = (str(variation.auroc.n), str(variation.positive)) if variation.auroc else ("-", "-")
        rows.add_row(plain(variation.name), str(variation.items), held_out, h_neurons, reached, shared)
    console.print(rows)


def fit_outcome(console: Console, path: Iterable[PathPoint], scores: Scores | None) -> None:
    """How a probe fitted on features did: along the path of C, and on the held-out items."""
    rows = plain_table("C", "H-neurons", "negative", "AUROC in cross-validation", "stability")
    for point in path:
        rows.add_row(
            short(point.c), str(point.positive), str(point.negative), estimate_text(point.auroc), fixed(point.stability)
        )
    console.print(rows)
    if scores is None:
        console.print("no item was held out, so how well the probe does on other answers is not known")
    else:
        console.print(f"held out: AUROC {estimate_text(scores.auroc)}, accuracy {estimate_text(scores.accuracy)}")


def parts(card: Report) -> list[tuple[str, Estimate | None]]:
    """The AUROC of each sign's weights alone, as they are and refitted; None where it is not known."""
    return [
        ("H-neurons alone, weights as they are", card.positive_as_is),
        ("H-neurons alone, relations left out", card.carried_over),
        ("H-neurons alone, refitted", card.positive_only),
        ("negative weights alone, as they are", card.negative_as_is),
        ("negative weights alone, refitted", card.negative_only),
    ]


def auroc_rows(card: Report) -> list[tuple[str, Estimate | None]]:
    """Every AUROC of the report card by its name, the probe's first."""
    rows: list[tuple[str, Estimate | None]] = [
        ("the probe", card.scores.auroc),
        *card.harder.items(),
        *((name, part) for name, part in parts(card) if part is not None),
    ]
    rows += [
        (f"random neurons, {CONTROL_KINDS[sets.kind]}, {len(sets.draws)} draws", sets.auroc) for sets in card.random
    ]
    rows += [("all neurons, L2", card.all_neurons)]
    rows += [(baseline.name, baseline.auroc) for baseline in card.baselines]
    return rows + [(f"strong neurons, by {flag.threshold.population}", flag.auroc) for flag in card.flagged]


def write_outcome(fields: dict[str, Any], words: str, json: bool) -> None:
    """What was done: `fields` as JSON, or `words` for a person."""
    if json:
        write_line(jsonlib.dumps(fields))
    else:
        stdout_console().print(plain(words), soft_wrap=True)


def show_probe(probe: Probe, json: bool, tested: Sequence[Scoring] = ()) -> None:
    """The probe as JSON, or its report card with how it did elsewhere."""
    if json:
        write_line(probe.model_dump_json())
    else:
        report(stdout_console(), probe, tested)
