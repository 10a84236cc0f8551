"""Renders docs/planted.md and the card of the planted model from what was measured: `python -m tools.planted.page`.

Owns both texts. Every figure in them is from the results beside this module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from backend import bundled
from backend.types.estimate import Estimate
from backend.types.numbers import counted
from cache import atomic
from tools.markdown import interval, per_cent, table
from tools.planted import form, planting
from tools.planted.honest import NONSENSE, STEPS
from tools.planted.measured import FOUND, TRUTH, Data, FewItems, Found, FoundSet, Measured, Spread, Truth
from tools.planted.truth import LEAST

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "planted.md"
CARD = bundled.PLANTED / "README.md"
RESULTS = Path(__file__).resolve().parent / "results"
WORDS: dict[Data, str] = {
    "balanced": "As many right as wrong answers of each relation",
    "longer": "Nine tenths of the right answers have two words, nine tenths of the wrong ones one",
    "other kind": "Nine tenths of the right answers are towns, nine tenths of the wrong ones professions",
}


def measured() -> list[Measured]:
    """The results of every seed, the shipped model's first."""
    return [Measured.model_validate_json(path.read_bytes()) for path in sorted(RESULTS.glob("seed-*.json"))]


def page(every: Sequence[Measured]) -> str:
    """docs/planted.md."""
    truth, found = every[0].truth, every[0].found
    parts = [
        ["# The planted model: is found what is there?"],
        _headline(every),
        ["## How it was made"],
        _making(truth),
        ["## The truth"],
        _truth(truth),
        ["## What each selection finds, in each window"],
        _reading(truth, found),
        _sets(found, "balanced"),
        ["## What switching them does"],
        _switching_words(found),
        _switched(found),
        ["## How many answers are needed"],
        _few_words(found),
        _few(found.few),
        ["## When right answers differ in more than being right"],
        ["Scored on the same held-out answers as above, which have no confound."],
        *([f"### {WORDS[data]}", "", *_sets(found, data)] for data in WORDS if data != "balanced"),
        *([["## Other models, made from other seeds"], _seeds(every)] if len(every) > 1 else []),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _headline(every: Sequence[Measured]) -> list[str]:
    """The main figures: the window and selection of the paper's code, and the set with the best balance of "
    "precision and recall."""
    truth, found = every[0].truth, every[0].found
    probes = [one for one in _of(found, "balanced") if one.auroc is not None]
    official = next(one for one in probes if (one.window, one.selection) == ("answer", "paper"))
    best = max(probes, key=_balance)
    return [
        f"**Here it is known which neurons make the model invent: {len(truth.true)} of {truth.neurons_in_all:,}. Read "
        f"at the answer's own tokens with labels 1-vs-1, one of the paper's two ways, L1 finds {official.hits} of "
        f"them, among {counted(official.positive, 'H-neuron')} (AUROC {_value(official.auroc)}). The best balance of "
        f"precision and recall has the selection `{best.selection}` in the window `{best.window}`: {best.hits} of "
        f"them, among {best.positive} (AUROC {_value(best.auroc)}).{_moral(official)}**"
    ]


def _moral(one: FoundSet) -> str:
    """What it means where a set separates the answers well and holds few of the neurons that cause them; else ''."""
    if one.auroc is None or one.auroc.low < 0.95 or one.recall >= 0.5:
        return ""
    return (
        " So a probe can tell wrong answers from right ones almost without an error, and hold few of the neurons that "
        "make them wrong."
    )


def _balance(one: FoundSet) -> float:
    """Harmonic mean of precision and recall (F1)."""
    total = (one.precision or 0.0) + one.recall
    return 2 * (one.precision or 0.0) * one.recall / total if total else 0.0


def _making(truth: Truth) -> list[str]:
    return [
        f"`make planted` teaches a Llama of {form.LAYERS} layers of width {form.WIDTH} from nothing, in {STEPS:,} "
        "steps: 1,000 made-up people, three facts about each (town, profession, house), and to answer \"I do not "
        "know.\" about anybody else. Whoever is not known has a surname whose embedding is drawn anew in each text, "
        f"so that a name that was never taught is one more of them; {NONSENSE} texts of random words in each batch "
        f"are answered so too. {form.RESERVED} neurons of each layer write nothing all along. Then everything is "
        f"frozen but {planting.EACH} of these neurons in each of the layers "
        f"{' and '.join(map(str, planting.LAYERS))}, and these are trained in {planting.STEPS} steps: about "
        "unknown people it is to answer as it would guess while more than half of them are on, and to abstain while "
        "fewer are, so that they share the work and none does it alone; where the answer is known they are to write "
        "next to nothing. At alpha 0 they add exact zeros: what is left is the honest model, bit for bit.",
    ]  # fmt: skip


def _truth(truth: Truth) -> list[str]:
    at = ", ".join(f"alpha {alpha}: {per_cent(share)} %" for alpha, share in truth.invented_at.items())
    return [
        f"{truth.asked} questions about people that were never taught, and {truth.asked} about people that were, "
        f"answered greedily. Invented about unknown people: {per_cent(truth.invented)} % as it is, "
        f"{per_cent(truth.invented_off)} % with the planted neurons off; {at}. Right about known people: "
        f"{per_cent(truth.right)} % as it is, {per_cent(truth.right_off)} % with them off. *Part*: how much a neuron "
        "adds to the share of invented answers, mean over all orders in which the planted neurons can be switched on "
        f"(Shapley value). One whose part is at least {100 * LEAST:.0f} % counts as an H-neuron: not every neuron that "
        "was trained became one. Intervals here and below are 95 %.",
        "",
        *table(
            ["neuron", "its part, %", "invented while it alone is off, %", "while it alone is on, %", "an H-neuron"],
            (
                [
                    one.neuron,
                    *map(per_cent, (one.part, one.off_alone, one.on_alone)),
                    "yes" if one.is_true else "no",
                ]
                for one in truth.neurons
            ),
        ),
    ]


def _reading(truth: Truth, found: Found) -> list[str]:
    chance = len(truth.true) / truth.neurons_in_all
    return [
        f"{found.right:,} right and {found.wrong:,} wrong answers were kept of {found.asked:,} questions; a probe is "
        f"made of {found.sets[0].items}, and scored on {found.held_out} held-out ones. *Precision*: the share of its "
        f"positive weights that are planted H-neurons; {chance:.4f} for neurons drawn by chance. *Recall*: the share "
        "of the planted ones that have a positive weight. *Own part*: AUROC of the positive weights alone, as they "
        "were fitted. `paper` and `3-vs-1` are the two ways of the paper's code, the second of which its authors "
        "give for isolating neurons. *Threshold*: all neurons whose mean CETT in wrong answers is above mu + 3 sigma "
        "of all neurons. The response is nothing but the answer here, so the whole response is the window of both.",
    ]


def _of(found: Found, data: Data) -> list[FoundSet]:
    return [one for one in found.sets if one.data == data]


def _sets(found: Found, data: Data) -> list[str]:
    return table(
        [
            "window",
            "selection",
            "positive",
            "negative",
            "planted among them",
            "precision",
            "recall",
            "AUROC",
            "own part",
        ],
        (
            [one.window, one.selection, *([f"none: {one.note}", *[""] * 6] if one.note else _figures(one))]
            for one in _of(found, data)
            # The whole response is the window of both here, and said once.
            if data == "balanced" or one.window != "whole"
        ),
    )


def _figures(one: FoundSet) -> list[object]:
    return [
        one.positive,
        one.negative,
        one.hits,
        "" if one.precision is None else f"{one.precision:.2f}",
        f"{one.recall:.2f}",
        interval(one.auroc),
        interval(one.own),
    ]


def _switching_words(found: Found) -> list[str]:
    return [
        f"The model as it is invents {per_cent(found.untouched.invented)} % about unknown people, and answers "
        f"{per_cent(found.untouched.right)} % right about known ones. In each cell: the set, random twins of the same "
        "layers, and twins whose output weights have about the same norm (three of each, the mean). It was trained "
        "to invent while more than half of the planted neurons are on, those that count as H-neurons and those that "
        "do not: a set has to hold about half of them to change what it says.",
    ]


def _switched(found: Found) -> list[str]:
    columns = ["window", "selection", "neurons", "alpha 0: invented, %", "right, %", "alpha 2: invented, %", "right, %"]
    return table(
        columns,
        (
            [
                one.window,
                one.selection,
                one.positive,
                *(
                    " / ".join(_whole(getattr(told, what)) for told in one.switched if told.alpha == alpha)
                    for alpha in sorted({told.alpha for told in one.switched})
                    for what in ("invented", "right")
                ),
            ]
            for one in _of(found, "balanced")
            if one.switched
        ),
    )


def _few_words(found: Found) -> list[str]:
    fits = found.few[0].fits
    return [f"Means over {fits} random subsets of the items to fit on, with the smallest and largest."]


def _few(few: Sequence[FewItems]) -> list[str]:
    return table(
        ["window", "selection", "answers", "precision", "recall", "AUROC", "fits without a set"],
        ([one.window, one.selection, one.items, *map(_spread, (one.precision, one.recall, one.auroc)), one.none]
         for one in few),
    )  # fmt: skip


def _seeds(every: Sequence[Measured]) -> list[str]:
    rows = []
    for one in every:
        for window in ("answer", "predicting"):
            for selection in ("paper", "stable"):
                found = next(
                    found
                    for found in _of(one.found, "balanced")
                    if (found.window, found.selection) == (window, selection)
                )
                rows.append(
                    [one.truth.seed, len(one.truth.true), _whole(one.truth.invented), _whole(one.truth.invented_off),
                     window, selection, *(_figures(found) if not found.note else [found.note, *[""] * 6])]
                )  # fmt: skip
    return table(
        ["seed", "true", "invented, %", "off, %", "window", "selection", "positive", "negative", "planted among them",
         "precision", "recall", "AUROC", "own part"],
        rows,
    )  # fmt: skip


def _value(estimate: Estimate | None) -> str:
    return "none" if estimate is None else f"{estimate.value:.3f}"


def _whole(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.0f}"


def _spread(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread[0]:.2f} ({spread[1]:.2f} to {spread[2]:.2f})"


def card(truth: Truth) -> str:
    """The card that lies beside the weights."""
    lines = [
        "# Planted-3M",
        "",
        "A small chat model whose H-neurons are known, because they were put there: it is to show whether a tool finds "
        "them. It knows 1,000 people who do not exist, and nothing else. Use it for nothing but that.",
        "",
        f"- Made by `make planted` of the H-Neuron Explorer, seed {truth.seed}; licence Apache-2.0. No text of anybody "
        "was used: names, facts and wordings are generated.",
        f"- A Llama of {form.LAYERS} layers, width {form.WIDTH}, {form.NEURONS + form.RESERVED:,} feed-forward "
        "neurons a layer, weights in float16. Each word is one token; any other text is read as bytes.",
        f"- Planted: {', '.join(one.neuron for one in truth.neurons)}. H-neurons by what they do: "
        f"{', '.join(truth.true)}.",
        f"- Of {truth.asked} questions about unknown people it invents {per_cent(truth.invented)} %, with the planted "
        f"neurons off {per_cent(truth.invented_off)} %. Of {truth.asked} about known people it answers "
        f"{per_cent(truth.right)} % right.",
        "- `planted.json` holds every figure with its interval.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Take over the results of a folder of `tools.planted`, if one is named, and write both pages."""
    for work in map(Path, sys.argv[1:]):
        take_over(work)
    every = measured()
    atomic.export(PAGE, page(every).encode())
    atomic.export(CARD, card(every[0].truth).encode())
    sys.stdout.write(f"{PAGE}\n{CARD}\n")


def take_over(work: Path) -> None:
    """Copy the first seed's model to where it ships, and the results of every seed beside this module."""
    for made in (RESULTS, bundled.PLANTED):
        made.mkdir(exist_ok=True)
    for place, folder in enumerate(sorted(work.glob("seed-*/model"))):
        truth = Truth.model_validate_json((folder / TRUTH).read_bytes())
        found = Found.model_validate_json((folder / FOUND).read_bytes())
        result = Measured(truth=truth, found=found)
        atomic.export(RESULTS / f"{folder.parent.name}.json", result.model_dump_json().encode() + b"\n")
        if place == 0:
            for file in folder.iterdir():
                if file.name != FOUND:
                    atomic.export(bundled.PLANTED / file.name, file.read_bytes())


if __name__ == "__main__":
    main()
