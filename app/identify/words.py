"""What Identify says in words: the finding, what it is worth, and how each figure is read.

Owns the sentences; every number in them is the report's. Pure: no Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.types.numbers import counted, fixed, per_cent, percent, signed
from backend.types.probe import Probe
from backend.types.report import RandomSets, Report
from backend.types.scoring import FEW, Scoring

HOW_DENSITY = (
    "H-neurons (neurons with a positive weight in the probe) per 1,000 feed-forward neurons of the model. Grey rows: "
    "the models in the paper (Gao et al. 2025, Table 1), whose H-neurons were found on other questions and with "
    "another filter. In brackets: how many H-neurons the probe has."
)
HOW_AUROC = (
    "**AUROC** is the chance that a wrong answer gets a higher score than a right one: 0.5 is a coin toss, 1 is never "
    "mistaken. Every row is fitted on the same training answers and judged on the same held-out ones. The line is a "
    "95 % interval over resampled entities. **Random neurons**: as many other neurons, each draw fitted again. **Kind "
    "of question**: uses only the relation, within which right and wrong answers are balanced, so it cannot do better "
    "than chance here. **The answer's own words**: how often training answers with the same words were wrong. "
    "**Shuffled labels**: complete fits on shuffled labels, which show what luck finds, from the smallest to the "
    "largest."
)
HOW_FUNNEL = (
    "Every question is first answered greedily (always the likeliest token). Several answers are sampled if its "
    "relation has a question with the opposite verdict to pair it with. A question is *kept* if its answers agree "
    "often enough (the filter). It counts only if the words that answer can be found. Within each relation, equally "
    "many right and wrong answers are used."
)
HOW_STEMS = (
    "Each triangle is a neuron of the probe, at its layer. Pointing up, an H-neuron: a larger CETT raises the score, "
    "which speaks for a wrong answer. Pointing down: a larger CETT lowers it. The height is the weight times the "
    "spread (standard deviation) of the neuron's CETT: how much the neuron changes the score. This holds together with "
    "the probe's other neurons, not alone: some H-neurons by themselves have a larger CETT in right answers. Click a "
    "triangle to open the neuron's card."
)
HOW_EFFECTS = (
    "The model answers the held-out questions again, greedily, while the activations of all H-neurons are multiplied "
    "by α. The **random twin** is as many other neurons of the same layers. An effect counts where it differs from the "
    "twin's. Right answers that are lost are the price."
)
HOW_PATH = (
    "**C** is the inverse of the penalty on weights: the larger C, the more neurons get a weight. There is one fit for "
    "each C. Squares and circles: AUROC in cross-validation on the training answers. Crosses: the share of H-neurons "
    "that the fits of two folds have in common (Jaccard index). The square is the C of the probe: unless the plan says "
    "otherwise, the one with the fewest neurons within a standard error of the best AUROC. Click a point to see what "
    "that C gives."
)
HOW_LAYERS = (
    "How many neurons of the probe are in each layer, by the sign of their weight. The dashed line is what an even "
    "spread over the layers would give."
)
HOW_ROC = (
    "Each threshold on the score catches some wrong answers and wrongly accuses some right ones. The dashed line is a "
    "coin toss."
)
HOW_CALIBRATION = (
    "Answers are grouped in bins by the probability of being wrong that the probe gives. On the dashed line that "
    "probability is honest: it equals the share of answers that were wrong."
)
HOW_CONFOUNDS = (
    "Each row is the probe's AUROC on a harder comparison. *Within one relation*: only pairs of the same kind of "
    "question. *Relation left out*: each relation is scored by a fit that saw none of its answers. *Same length*: "
    "equally many right and wrong answers of each length in tokens. *Neither subject nor answer seen*: only answers "
    "that share no name with the training answers, so that the probe cannot know them by name."
)


PLURAL = {
    "these four together": "length and probability together do",
    "the answer's own words": "the answer's own words do",
}
"""Scores of the report that take a verb of their own."""


def heading(probe: Probe, tested: Sequence[Scoring] = ()) -> str:
    """The finding in a sentence, the worst that is known: of the H-neurons alone, on the questions of their kind beside
    the best of the scores that need no neuron, and on others (`tested`)."""
    count = len(probe.h_neurons)
    is_one = count == 1
    noun = "neuron" if is_one else "neurons"
    card = probe.report
    if card is None:
        return f"{count} {noun} in a probe from {probe.imported or 'elsewhere'}, not judged here"
    score = card.own
    # The probe has negative weights besides: what it reaches as a whole is another figure.
    alone = f"{count} {noun} by {'itself' if is_one else 'themselves'}"
    if score.low <= 0.5:
        return f"{alone} {'does' if is_one else 'do'} not tell wrong answers from right ones"
    parts = [part for one in telling(tested) if (part := one.auroc.positive) is not None]
    if any(part.high < 0.5 for part in parts):
        return f"{alone} {'points' if is_one else 'point'} the wrong way on other questions"
    if any(part.low <= 0.5 for part in parts):
        return f"{alone} {'does' if is_one else 'do'} not tell wrong answers from right ones on other questions"
    rival = max(card.baselines, key=lambda baseline: baseline.auroc.value, default=None)
    if rival is not None and rival.auroc.value >= score.value:
        name = PLURAL.get(rival.name, f"{rival.name} does")
        return f"{alone} {'tells' if is_one else 'tell'} wrong answers from right ones no better than {name}"
    words = "a little" if score.value < 0.7 else ("something" if score.value < 0.85 else "much")
    return f"{alone} {'knows' if is_one else 'know'} {words} about when the model invents"


def telling(tested: Sequence[Scoring]) -> list[Scoring]:
    """Those that say something of the probe: with enough answers of both sides, by the model that it was made for."""
    return [
        scoring
        for scoring in tested
        if not scoring.forced and min(scoring.n.scored_right, scoring.n.scored_wrong) >= FEW
    ]


def worth(probe: Probe, tested: Sequence[Scoring] = ()) -> str:
    """What the finding is worth, under it, and where it was tested elsewhere, the worst first."""
    what = "A probe is a weighted sum of a few neurons’ CETT"
    none = "Tested elsewhere on too few answers only." if tested else "Not tested elsewhere."
    elsewhere = " ".join(map(_told, telling(tested)[:2])) or none
    if probe.report is None:
        return f"{probe.name} has no report card. {what}. {elsewhere}"
    made = f", made on {probe.model.name}" if probe.model else ""
    below = "the grey rows below show how well one can do without it"
    return f"Report card of {probe.name}{made}. {what}; {below}. {elsewhere}"


def _told(scoring: Scoring) -> str:
    part, what = scoring.auroc.positive, "the H-neurons alone have"
    if part is None:
        part, what = scoring.auroc.probe, "the probe has"
    assert part is not None, "only scorings with a figure are told"
    where = scoring.source or "other questions"
    figure = f"AUROC {fixed(part.value)} [{fixed(part.low)}, {fixed(part.high)}]"
    return f"On {where} (elsewhere, {counted(part.n, 'answer')}) {what} {figure}."


def directions(probe: Probe, tested: Sequence[Scoring] = ()) -> str:
    """How many H-neurons have, alone, a larger CETT in wrong answers: in training, held out, and elsewhere. '' where
    none of it is known."""
    ours = probe.of_sign(1)
    places: list[tuple[str, Sequence[float | None]]] = [
        ("the training answers", [one.auroc for one in ours]),
        ("those held out", [one.held_out for one in ours]),
    ]
    places += [
        (f"{one.source or 'other questions'} (elsewhere)", [n.here for n in one.of_sign(1)]) for one in telling(tested)
    ]
    counts = [
        f"{sum(value > 0.5 for value in values if value is not None)} in {where}"
        for where, values in places
        if values and all(value is not None for value in values)
    ]
    if not counts:
        return ""
    return (
        f"Of {counted(len(ours), 'H-neuron')}, each taken alone, so many have a larger CETT in wrong answers: "
        f"{', '.join(counts)}."
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
        sentences.append(f"As good as the probe or better, without choosing neurons: {', '.join(stronger)}.")
    if card.adds.low <= 0 <= card.adds.high:
        sentences.append("Added to the simple scores, the probe gives no gain in AUROC that could be told from chance.")
    else:
        sentences.append(f"Added to the simple scores, the probe changes their AUROC by {signed(card.adds.value, 3)}.")
    if card.length_correlation is not None:
        sentences.append(f"The score correlates with the answer's length: Spearman {signed(card.length_correlation)}.")
    if card.unseen is not None:
        sentences.append(
            f"Of {counted(card.test_items, 'held-out answer')}, {card.unseen.n} share neither subject nor words with a "
            f"training answer. On these the AUROC is {fixed(card.unseen.value)} (95 % {fixed(card.unseen.low)} to "
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
        + (f"; {counted(agreement.unread, 'reply', 'replies')} had no verdict" if agreement.unread else "")
        + ")."
        for agreement in card.agreement
    ]


def forced(probe: Probe) -> str | None:
    """The mark of a probe that was put on another model; None for any other."""
    return (
        f"Made for another model, but used on {probe.forced}: none of its figures is valid here."
        if probe.forced
        else None
    )
