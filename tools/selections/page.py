"""Renders docs/selections.md from what was measured: `python -m tools.selections.page`.

Owns the text. Every figure in it is from the results beside this module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from backend.types.numbers import counted, fixed
from cache import atomic
from tools.markdown import interval, table
from tools.selections.measured import AIM, MOST, Candidate, Comparison

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "selections.md"
RESULTS = Path(__file__).resolve().parent / "results" / "smollm2-135m-instruct.json"


def page(found: Comparison) -> str:
    """docs/selections.md."""
    ranked = sorted(found.candidates, key=lambda one: -one.criterion)
    parts = [
        ["# Which selection carries over?"],
        _headline(found),
        ["## How it was found"],
        _method(found),
        ["## Every selection in every window, the best first"],
        _criterion(ranked),
        *(
            [["## On questions of another kind"], _elsewhere_words(found), *_elsewhere(found, ranked)]
            if found.files
            else []
        ),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _name(one: Candidate) -> str:
    return f"`{one.selection}` in the window `{one.window}`"


def _headline(found: Comparison) -> list[str]:
    chosen = found.chosen
    words = (
        f"**The criterion chooses {_name(chosen)}: {counted(chosen.positive, 'H-neuron')} of {found.neurons:,}, whose "
        f"own part has an AUROC of {interval(chosen.relations)} on relations and {interval(chosen.kinds)} on kinds of "
        "questions that were left out of the fit."
    )
    return [f"{words}{_verdict(found)}**"]


def _verdict(found: Comparison) -> str:
    """Whether the chosen set carries over to questions of another kind, and whether others would."""
    if not found.files:
        return ""
    if found.chosen.carries_over:
        return (
            f" It carries over: on all questions of another kind the lower end is {AIM:g} or more, and it is better "
            "than random neurons of the same layers."
        )
    carrying = [one for one in found.candidates if one.carries_over]
    others = (
        f" {counted(len(carrying), 'other candidate')} would: {', '.join(map(_name, carrying))}; but that is known "
        "from these questions, not from the criterion."
        if carrying
        else f" Neither does any other of the {len(found.candidates)} candidates."
    )
    return (
        f" On questions of another kind it does not reach the aim: a lower end of {AIM:g} on every set of questions, "
        f"and better than random neurons.{others}"
    )


def _method(found: Comparison) -> list[str]:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.kinds.items(), key=lambda pair: -pair[1]))
    return [
        f"- {found.items:,} answers of {found.model} (run `{found.answers_of}`), as many right as wrong ones of each "
        f"relation; {found.held_out:,} of them held out, whole entities together. By kind of question: {kinds}.",
        f"- A set has at most {MOST:g} per mille of the neurons: {int(MOST * found.neurons / 1000)}. Its C is the "
        "smallest whose cross-validated AUROC is within one standard error of the best one, among those that small.",
        "- *Own part*: CETT of the H-neurons times their weights as they are, nothing refitted and no negative weight.",
        "- *Criterion*, named before the last test: the own part's AUROC with relations left out of the fit (ten "
        "groups) and with each kind of question left out; the smaller lower end of both 95 % intervals decides. Only "
        "answers of one left-out group are compared with each other.",
        "- *Random*: as many neurons of the same layers with the same weights, 20 draws.",
    ]  # fmt: skip


def _criterion(ranked: Sequence[Candidate]) -> list[str]:
    columns = ("window", "selection", "H-neurons", "negative", "C", "whole probe, held out", "own part, held out",
               "own, relations left out", "own, kinds left out", "criterion")  # fmt: skip
    return table(columns, (_criterion_row(one) for one in ranked))


def _criterion_row(one: Candidate) -> Iterable[object]:
    if one.note:
        return (one.window, one.selection, one.note, *[""] * 7)
    return (
        one.window, one.selection, one.positive, one.negative, f"{one.c:g}", interval(one.probe), interval(one.own),
        interval(one.relations), interval(one.kinds), fixed(one.criterion, 3),
    )  # fmt: skip


def _elsewhere_words(found: Comparison) -> list[str]:
    return [
        f"- {name}: {one.asked:,} questions asked, {one.right:,} answered right and {one.wrong:,} wrong; "
        f"{one.scored_right} right and {one.scored_wrong} wrong answers scored."
        for name, one in found.files.items()
    ]


def _elsewhere(found: Comparison, ranked: Sequence[Candidate]) -> list[list[str]]:
    columns = ("window", "selection", "own part", "minus random", "direction holds", "negative weights", "whole probe")
    parts = []
    for file in found.files:
        rows = []
        for one in (one for one in ranked if file in one.elsewhere):
            here = one.elsewhere[file]
            rows.append(
                (one.window, one.selection, interval(here.own), interval(here.better),
                 f"{here.holds} of {one.positive}", interval(here.negative), interval(here.probe))
            )  # fmt: skip
        parts += [[f"### {file}"], table(columns, rows)]
    return parts


def main() -> None:
    """Write the page from the results."""
    found = Comparison.model_validate_json(RESULTS.read_bytes())
    atomic.export(PAGE, page(found).encode())
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
