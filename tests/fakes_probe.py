"""A canned probe with a whole report, for pages and charts. Every figure is invented, and none is a result."""

from __future__ import annotations

import numpy as np

from backend.neurons import NeuronId
from backend.types import ModelInfo, Threshold
from backend.types.estimate import CALIBRATION_RESAMPLES, Estimate
from backend.types.identify import CONSISTENCIES, CalibrationBin, Funnel, Scores
from backend.types.names import ProbeRef
from backend.types.plan import Plan
from backend.types.probe import Histogram, Probe, ProbeNeuron, TopItem
from backend.types.report import Agreement, Baseline, Effect, Flagged, Null, PathPoint, RandomSets, Report, Variation
from backend.types.score import Chance, Distance, Score
from backend.types.scoring import NeuronElsewhere, ScoredAurocs, ScoredCounts, ScoreRequest, Scoring


def estimate(value: float, width: float = 0.05, n: int = 310) -> Estimate:
    """An interval around a value."""
    return Estimate(value=value, low=value - width, high=value + width, n=n, clusters=n - 8)


FUNNEL = Funnel(
    asked=9000, sampled=3000, uncertain=12, mixed=1500, right=600, wrong=880, right_without_span=3,
    wrong_without_span=41, balanced=465, relations={"capital": (200, 300, 180), "author": (397, 539, 285)},
)  # fmt: skip


def neuron(layer: int, index: int, weight: float, number: int) -> ProbeNeuron:
    """One neuron with all that a card shows; its text holds markup, which must stay text."""
    rng = np.random.default_rng(number)
    edges = tuple(float(edge) for edge in np.linspace(0, 0.2, 25))
    right, wrong = (tuple(int(count) for count in rng.integers(0, 60, 24)) for _ in range(2))
    return ProbeNeuron(
        neuron=NeuronId(layer, index), weight=weight, mean=0.05, sd=0.02, effect=weight * 0.02, auroc=0.6, q=0.003,
        d=0.3, leave_out=0.004, frequency=0.72, partners=((NeuronId(2, 9), 0.61), (NeuronId(5, 1), -0.4)),
        histogram=Histogram(edges=edges, right=right, wrong=wrong),
        top=(
            TopItem(question="Who wrote <b>Emma</b>?", prompt="Who wrote <b>Emma</b>? Answer.",
                    response="Charlotte *Brontë*", side="wrong", cett=0.19),
            TopItem(question="What is the capital of Egypt?", prompt="What is the capital of Egypt? Answer.",
                    response="Cairo", side="right", cett=0.11),
        ),
    )  # fmt: skip


def report() -> Report:
    """Every part of the card filled."""
    cs = (0.3, 1.0, 3.0, 10.0)
    return Report(
        asked=9000, funnel=FUNNEL, funnels=dict.fromkeys(CONSISTENCIES, FUNNEL),
        relations={"capital": (120, 60), "author": (190, 95)}, train_items=620, test_items=310,
        path=tuple(
            PathPoint(c=c, positive=3 * n + 1, negative=2 * n, auroc=estimate(0.6 + 0.05 * n), stability=0.2 * n,
                      accuracy=estimate(0.55 + 0.05 * n), train_auroc=0.7 + 0.07 * n)
            for n, c in enumerate(cs)
        ),
        scores=Scores(auroc=estimate(0.74), accuracy=estimate(0.68), f1=estimate(0.69), brier=estimate(0.2, 0.02)),
        within=estimate(0.72), matched=estimate(0.66), left_out=estimate(0.63), positive_only=estimate(0.71),
        adds=estimate(0.03, 0.02),
        calibration=tuple(CalibrationBin(chance=c / 10, share=(c + 1) / 12, n=31) for c in range(10)),
        roc=((0.0, 0.0), (0.2, 0.5), (0.5, 0.8), (1.0, 1.0)),
        random=tuple(
            RandomSets(kind=kind, auroc=estimate(0.66), draws=(0.64, 0.68), better=estimate(0.08))
            for kind in ("layer", "free")
        ),
        null=Null(aurocs=(0.47, 0.5, 0.53), neurons=(2, 0, 5), mean=0.5, high=0.53, p=0.25), permutation_p=0.001,
        all_neurons=estimate(0.8),
        baselines=(Baseline(name="answer length", auroc=estimate(0.61)),
                   Baseline(name="kind of question", auroc=estimate(0.5))),
        unbalanced_prior=0.81, significant=1234,
        flagged=tuple(
            Flagged(threshold=Threshold(population=population), right=estimate(17, 0.2), wrong=estimate(17.1, 0.2),
                    auroc=estimate(0.52), h_right=0.1, h_wrong=0.12, overlap=0.4)
            for population in ("token", "layer", "model")
        ),
        effects=tuple(
            Effect(arm=arm, alpha=alpha, sets=3 if arm == "random twin" else 1, neurons=4, changed=estimate(share),
                   right_kept=estimate(1 - share, n=155), wrong_righted=estimate(0.04, 0.03, 155),
                   wrong_uncertain=None, cut=0.02, mean_tokens=9.5)
            for arm, share in (("H-neurons", 0.5), ("random twin", 0.12), ("negative weights", 0.3))
            for alpha in (0.0, 0.5, 2.0, 3.0)
        ),
        variations=(
            Variation(name="labels: 3-vs-1", items=930, positive=6, auroc=estimate(0.7), within=estimate(0.69),
                      overlap=0.3),
            Variation(name="filter: all samples (the paper)", items=0, note="Too few items: none; ask more."),
        ),
        length_correlation=0.21,
        agreement=(
            Agreement(one="the rules", other="some-llm", share=estimate(0.93, 0.02, 2000), kappa=0.81,
                      counts={"right/right": 700, "wrong/wrong": 1160, "right/wrong": 140}, unread=7),
        ),
    )  # fmt: skip


def score(likeness: float = 0.6, named: ProbeRef | None = None, tokens: int = 7) -> Score:
    """Of an answer whose question is among those of the probe, and whose words that answer are "Elon Musk"."""
    share = Estimate(value=0.8, low=0.7, high=0.9, n=310, clusters=302, resamples=CALIBRATION_RESAMPLES)
    return Score(
        probe=named or ProbeRef(name="shipped", digest="0" * 64),
        along=tuple(float(point) for point in np.linspace(-1, 2, tokens)), log_odds=1.5,
        words=(21, 30), nearest="What is the capital of <b>Egypt</b>?", relation="capital",
        chance=Chance(wrong=share, balance=0.5),
        distances=(
            Distance(kind="nearest", value=likeness, low=0.3, high=0.9, share=0.4 if likeness > 0.3 else 0.0),
            Distance(kind="words", value=0.8, low=0.4, high=0.9, share=0.5),
            Distance(kind="answer_words", value=7, low=2, high=27, share=0.5),
        ),
    )  # fmt: skip


def probe(name: str, info: ModelInfo) -> Probe:
    """Four H-neurons and two negative weights of the model."""
    weights = ((17, 412, 9.0), (17, 1033, 5.5), (14, 87, 4.0), (21, 256, 3.0), (11, 940, -4.5), (16, 221, -2.0))
    return Probe(
        name=name, made="2026-01-01T00:00:00+00:00", command=f"hneurons identify run {name}", model=info,
        questions="0" * 64, plan=Plan(), c=3.0, intercept=-0.4, report=report(),
        neurons=tuple(
            sorted((neuron(*one, number) for number, one in enumerate(weights)), key=lambda one: one.neuron)
        ),
    )  # fmt: skip


def scoring(request: ScoreRequest, probe: Probe, info: ModelInfo) -> Scoring:
    """As if a third of the answers were right, and half of the H-neurons pointed the wrong way."""
    asked = min(len(request.questions), request.limit or len(request.questions))
    right = asked // 3
    counts = ScoredCounts(
        given=len(request.questions), in_training=0, asked=asked, right=right, wrong=asked - right, uncertain=0,
        without_words=0, scored_right=right, scored_wrong=asked - right,
    )  # fmt: skip
    bare = Scoring.of(request, probe, request.probe, info, counts, training_known=True)
    if not right:
        return bare
    auroc = ScoredAurocs(
        probe=estimate(0.78, n=asked), positive=estimate(0.33, n=asked), negative=estimate(0.83, n=asked),
        length=estimate(0.41, n=asked), log_probability=estimate(0.64, n=asked), first_token=estimate(0.62, n=asked),
        entropy=estimate(0.66, n=asked), together=estimate(0.7, n=asked), random=estimate(0.5, n=asked),
        better=estimate(-0.17, n=asked),
    )  # fmt: skip
    neurons = tuple(
        NeuronElsewhere(neuron=one.neuron, weight=one.weight, trained=one.auroc, here=0.62 if number % 2 else 0.38)
        for number, one in enumerate(probe.neurons)
    )
    return bare.model_copy(
        update={"auroc": auroc, "neurons": neurons, "random_sets": 20, "accuracy": estimate(0.61, n=asked)}
    )
