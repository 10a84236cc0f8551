"""Writes docs/probe.md, the description of the shipped probe, from its report: `python -m tools.probe_page NAME`.

Owns docs/probe.md. Every figure in it is from the report.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from app.charts.probe_elsewhere import scored
from app.charts.probe_items import funnel_table
from app.identify import words
from backend.cli.probe_tables import auroc_rows
from backend.probes import library, scorings
from backend.runs.folder import RunFolder
from backend.types.probe import Probe
from backend.types.report import Report
from backend.types.scoring import Scoring
from cache import atomic
from tools.markdown import interval, per_cent, table

PAGE = Path(__file__).parent.parent / "docs" / "probe.md"
DEFAULT = "smollm2-135m-instruct"
FOREMOST = 10
_OTHERWISE = """Each row is the probe made again with one decision changed and C chosen again. Another filter keeps
other answers. Held out are then those about the same entities; of entities that are new, an equally large part is drawn
at random. *Shared*: Jaccard overlap of its H-neurons with the probe's."""
_READ = """Read the first table from below: what scores without neurons, or neurons drawn by chance, reach on the same
held-out answers is what the probe has to be better than. Intervals are 95 %, from entities drawn again with all their
answers; for random neurons and twins the mean over their draws is taken each time."""


def page(probe: Probe, tested: Sequence[Scoring] = ()) -> str:
    """docs/probe.md of this probe and the scorings that ship with it. Raises ValueError if it has no report."""
    card = probe.report
    if card is None:
        raise ValueError(f"{probe.name} has no report")
    funnel = funnel_table(card)
    parts = [
        [f"# The probe {probe.name}"],
        _heading(probe, card, tested),
        [f"## What tells wrong answers from right ones, on {card.test_items} held-out answers"],
        [_READ],
        table(
            ["score", "AUROC", "n"],
            (
                (name, interval(estimate), estimate.n if estimate is not None else "")
                for name, estimate in auroc_rows(card)
            ),
        ),
        _shuffled(card),
        *_elsewhere(tested),
        ["## From questions to answers"],
        table(funnel.columns, funnel.astype(str).to_numpy()),
        ["## What switching does"],
        _effects(card),
        ["## What if one decision were different?"],
        [_OTHERWISE],
        _variations(card),
        [f"## The {FOREMOST} H-neurons that move the score most"],
        _foremost(probe),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _heading(probe: Probe, card: Report, tested: Sequence[Scoring]) -> list[str]:
    total = probe.model.n_neurons if probe.model is not None else 0
    name = probe.model.name if probe.model is not None else ""
    return [
        f"**{words.heading(probe, tested)}.** {len(probe.h_neurons)} H-neurons, "
        f"{1000 * len(probe.h_neurons) / total:.2f} per mille of {total:,}, and {len(probe.against)} negative weights, "
        f"at C = {probe.c:g}; made {probe.made[:10]} on {name} by",
        "",
        f"    {probe.command}",
        "",
        *(f"- {line}" for line in (words.directions(probe, tested), *words.verdicts(card, probe.c)) if line),
    ]


def _elsewhere(tested: Sequence[Scoring]) -> list[list[str]]:
    """Each scoring with what it means, the worst first."""
    if not tested:
        return [["## Not tested elsewhere"]]
    return [
        part
        for scoring in tested
        for part in (
            [f"## Elsewhere: {scoring.source}, {scoring.n.asked:,} questions, nothing fitted again"],
            [f"- {sentence}" for sentence in scoring.sentences],
            table(["score", "AUROC", "n"], ((row.name, interval(row.auroc), row.auroc.n) for row in scored(scoring))),
        )
    ]


def _shuffled(card: Report) -> list[str]:
    if card.null is None:
        return []
    counts = card.null.neurons
    return [
        f"Labels shuffled within each relation, the probe made anew {len(card.null.aurocs)} times: AUROC "
        f"{card.null.mean:.3f} on average, the largest {max(card.null.aurocs):.3f}, {min(counts)} to {max(counts)} "
        f"\"H-neurons\" found by luck; p = {card.null.p:.3f}.",
    ]  # fmt: skip


def _effects(card: Report) -> list[str]:
    if not card.effects:
        return ["No switching was measured."]
    first = card.effects[0]
    right = first.right_kept.n if first.right_kept is not None else 0
    return [
        f"Per cent of the {first.changed.n} held-out questions, answered greedily; {right} of them are answered right "
        "by the model as it is.",
        "",
        *table(
            ["switched", "alpha", "answers changed", "right kept", "wrong made right", "wrong made uncertain"],
            (
                (
                    f"{effect.arm} ({f'{effect.sets} x ' if effect.sets > 1 else ''}{effect.neurons})",
                    f"{effect.alpha:g}",
                    *map(per_cent, (effect.changed, effect.right_kept, effect.wrong_righted, effect.wrong_uncertain)),
                )
                for effect in card.effects
            ),
        ),
    ]


def _variations(card: Report) -> list[str]:
    return table(
        ["decision", "answers", "held out", "H-neurons", "AUROC", "within one relation", "shared"],
        (
            [
                variation.name,
                variation.items,
                variation.auroc.n if variation.auroc else "",
                variation.positive,
                interval(variation.auroc) or variation.note,
                interval(variation.within),
                _two_digits(variation.overlap),
            ]
            for variation in card.variations
        ),
    )


def _foremost(probe: Probe) -> list[str]:
    best = sorted(probe.of_sign(1), key=lambda entry: -(entry.effect or 0.0))[:FOREMOST]
    return table(
        ["neuron", "weight", "weight x SD", "AUROC alone", "q (FDR)", "lost without it", "chosen in bootstraps"],
        (
            [
                entry.neuron,
                f"{entry.weight:.2f}",
                *map(_three_digits, (entry.effect, entry.auroc)),
                "< 0.001" if entry.q is not None and entry.q < 0.001 else _three_digits(entry.q),
                _three_digits(entry.leave_out),
                _two_digits(entry.frequency),
            ]
            for entry in best
        ),
    )


def _two_digits(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2f}"


def _three_digits(figure: float | None) -> str:
    return "" if figure is None else f"{round(figure, 3) or 0.0:.3f}"


def shipped(name: str = DEFAULT) -> Probe:
    """The probe of this name beside the code. Raises FileNotFoundError."""
    return library.read_file(RunFolder(library.SHIPPED / name).probe)


if __name__ == "__main__":
    probe = shipped(*sys.argv[1:2])
    atomic.export(PAGE, page(probe, scorings.shipped(probe.name)).encode())
    sys.stdout.write(f"{PAGE}\n")
