"""What Identify says in words: the finding, what it is worth, and how each figure is read.

Owns the sentences; every number in them is the report's. Pure: no Streamlit.
"""

from __future__ import annotations

from backend.types.numbers import counted, fixed, per_cent, percent, signed
from backend.types.probe import Probe
from backend.types.report import RandomSets, Report

HOW_DENSITY = (
    "How many of every 1,000 feed-forward neurons of the model have a positive weight in the probe. The grey rows"
    " are the models of the paper (Gao et al. 2025, Table 1), each measured on other questions and with another "
    "filter. In brackets: the number of H-neurons in the probe."
)
HOW_AUROC = (
    "**AUROC** is the chance that a wrong answer gets a higher score than a right one: 0.5 is a coin toss, 1 is "
    "never mistaken. Every row is fitted on the same training answers and judged on the same held-out ones; the "
    "line is a 95 % interval over resampled entities. **Random neurons** are as many others, each draw fitted "
    "anew. **Kind of question** knows only the relation: items are balanced within it, so it cannot do better "
    "than chance here. **The answer's own words** knows how often training answers with the same words were "
    "wrong. **Shuffled labels** are whole fits on shuffled labels: what luck finds, from the smallest to the "
    "largest."
)
HOW_FUNNEL = (
    "Every question is answered greedily. Answers are then sampled only for a question that can be paired, within"
    " its relation, with one of the other side (right with wrong). A question is *kept* if its answers agree "
    "often enough (the filter). It counts only if the words that answer can be found. Within each relation, as "
    "many right as wrong ones are kept."
)
HOW_STEMS = (
    "Each triangle is a neuron of the probe at its layer. Up, an H-neuron: the larger its CETT, the higher the "
    "score, a sign of a wrong answer. Down: the larger, the lower. The height is the weight times the spread of "
    "its CETT: how much the neuron changes the score. This holds beside the probe's other neurons, not alone: by "
    "themselves, some H-neurons are larger in right answers. Click one to open its card."
)
HOW_EFFECTS = (
    "All H-neurons are multiplied by α while the model answers the held-out questions again, greedily. The "
    "**random twin** is as many neurons of the same layers. An effect counts only where it differs from the "
    "twin's. The price is the right answers that are lost."
)
HOW_PATH = (
    "One fit for each C. A larger C gives more neurons a weight. Squares and circles: AUROC in cross-validation "
    "on the training answers. Crosses: how many H-neurons two of its fits share (Jaccard). The square is the "
    "probe's C: unless the plan says otherwise, the one with the fewest neurons within a standard error of the "
    "best. Click a point to see what that C gives."
)
HOW_LAYERS = "Neurons in each layer by sign. The dashed line is what an even spread over the layers would give."
HOW_ROC = "Each threshold catches some wrong answers and accuses some right ones. The dashed line is a coin toss."
HOW_CALIBRATION = (
    "Answers in bins by the probe's chance of being wrong. On the dashed line, that chance equals the share that "
    "was wrong."
)
HOW_CONFOUNDS = (
    "Does the score only follow something simpler? *Within one relation*: only pairs of the same kind of question. "
    "*Relation left out*: scored by a fit that saw none of its items. *Same length*: only as many right as wrong "
    "answers of each length in tokens. *Neither subject nor answer seen*: only answers that share no name with the "
    "training part, so that nothing can be known by name."
)


PLURAL = {
    "these four together": "length and probability together do",
    "the answer's own words": "the answer's own words do",
}
"""Scores of the report that take a verb of their own."""


def heading(probe: Probe) -> str:
    """The finding in a sentence: of the H-neurons alone, and beside the best of the scores that need no neuron."""
    count = len(probe.h_neurons)
    is_one = count == 1
    noun = "neuron" if is_one else "neurons"
    card = probe.report
    if card is None:
        return f"{count} {noun} in a probe from {probe.imported or 'elsewhere'}, not judged here"
    score = card.positive_only
    # The probe has negative weights besides: what it reaches as a whole is another figure.
    alone = f"{count} {noun} by {'itself' if is_one else 'themselves'}"
    if score.low <= 0.5:
        return f"{alone} {'does' if is_one else 'do'} not tell wrong answers from right ones"
    rival = max(card.baselines, key=lambda baseline: baseline.auroc.value, default=None)
    if rival is not None and rival.auroc.value >= score.value:
        name = PLURAL.get(rival.name, f"{rival.name} does")
        return f"{alone} {'tells' if is_one else 'tell'} wrong answers from right ones no better than {name}"
    words = "a little" if score.value < 0.7 else ("something" if score.value < 0.85 else "much")
    return f"{alone} {'knows' if is_one else 'know'} {words} about when the model invents"


def worth(probe: Probe) -> str:
    """What the finding is worth, under it."""
    sentences = (
        f"Report card of {probe.name}, made on {probe.model.name}." if probe.model else f"From {probe.imported}."
    )
    return (
        f"{sentences} A probe is a weighted sum of a few neurons’ CETT; the grey rows show how far simpler scores get."
    )


def better(card: Report) -> RandomSets | None:
    """The random sets that the headline compares with: of the same layers."""
    return next((rival for rival in card.random if rival.kind == "layer"), None)


def verdicts(card: Report, c: float | None) -> list[str]:
    """What a reader should carry away, the worst first; `c` is the probe's."""
    sentences = []
    probe = card.scores.auroc.value
    rivals = [(baseline.auroc.value, baseline.name) for baseline in card.baselines] + [
        (card.all_neurons.value, "all neurons, L2")
    ]
    stronger = [name for value, name in sorted(rivals, reverse=True) if value >= probe]
    if stronger:
        sentences.append(f"As good or better without choosing neurons: {', '.join(stronger)}.")
    if card.adds.low <= 0 <= card.adds.high:
        sentences.append("Added to the simple scores, the probe gains nothing that can be told from chance.")
    else:
        sentences.append(f"Added to the simple scores, the probe gains {signed(card.adds.value, 3)} AUROC.")
    if card.length_correlation is not None:
        sentences.append(f"The score correlates with the answer's length: Spearman {signed(card.length_correlation)}.")
    if card.unseen is not None:
        sentences.append(
            f"Of {counted(card.test_items, 'held-out answer')} {card.unseen.n} share neither subject nor words with a "
            f"training answer; on them the AUROC is {fixed(card.unseen.value)} ({fixed(card.unseen.low)} to "
            f"{fixed(card.unseen.high)})."
        )
    point = next((point for point in card.path if point.c == c), None)
    if point is not None:
        shared = f"{percent(point.stability)} of their H-neurons"
        sentences.append(f"Two fits of the cross-validation share {shared} on average.")
    return sentences


def agreements(card: Report) -> list[str]:
    """How the judges of the answers agree."""
    return [
        f"{agreement.one.capitalize()} and {agreement.other} gave {percent(agreement.share.value)} of "
        f"{agreement.share.n:,} answers the same verdict "
        f"(95 % {per_cent(agreement.share.low)} to {per_cent(agreement.share.high)}"
        + ("" if agreement.kappa is None else f"; Cohen’s kappa {fixed(agreement.kappa)}")
        + (f"; {counted(agreement.unread, 'reply', 'replies')} held no verdict" if agreement.unread else "")
        + ")."
        for agreement in card.agreement
    ]


def forced(probe: Probe) -> str | None:
    """The mark of a probe that was put on another model; None for any other."""
    return (
        f"Made for another model and used on {probe.forced} anyway: none of its figures holds here."
        if probe.forced
        else None
    )
