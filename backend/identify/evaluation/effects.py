"""What switching a probe's neurons does to answers, beside random twins and the negative weights.

Owns the arms and the comparison with the untouched answer, all rows of one batch. Every answer is greedy, so that a
difference is the switch and not the draw. Refuses the switch itself (`backend.forward.interventions`).
Source: Gao et al. 2025, section 3 (all H-neurons scaled together); the paper reports no random twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from backend.forward.controls import BASELINE, draw
from backend.forward.row import prove
from backend.forward.rows.generation import decode
from backend.identify.answers.responses import ROWS, Prompts, resumed, sample
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.statistics.intervals import mean_estimate
from backend.types import RowPlan
from backend.types.base import digest
from backend.types.identify import Question, Samples, Sampling, Verdict
from backend.types.plan import Checks
from backend.types.report import Effect
from backend.watch import SILENT, Watch
from cache.journal import Journal

Name = Literal["H-neurons", "random twin", "negative weights"]


@dataclass(frozen=True)
class Arm:
    """One switch: a set of neurons at one alpha."""

    name: Name
    alpha: float
    neurons: NeuronSet

    @property
    def plan(self) -> RowPlan:
        """Its row of a batch."""
        return RowPlan(arm="chosen", alpha=self.alpha, neurons=self.neurons)


def arms(positive: NeuronSet, negative: NeuronSet, checks: Checks, layout: Layout, seed: int) -> list[Arm]:
    """H-neurons, twins of the same sites and the negative weights at each alpha; none of them counts as a twin."""
    if not positive:
        return []
    twins = [
        NeuronSet(tuple(draw(positive, "layer", seed + number, layout, avoid=negative)))
        for number in range(checks.twins)
    ]
    found = []
    for alpha in checks.alphas:
        found.append(Arm("H-neurons", alpha, positive))
        found += [Arm("random twin", alpha, twin) for twin in twins]
        found += [Arm("negative weights", alpha, negative)] if negative else []
    return found


def answers(
    model: LoadedModel,
    questions: Sequence[Question],
    arms: Sequence[Arm],
    sampling: Sampling,
    journal: Journal,
    watch: Watch = SILENT,
) -> list[Samples]:
    """Each question's greedy answers: untouched, then under each arm. Resumes where `journal` ends.

    Raises InterventionUnused where an arm changed nothing at all, Stopped between two tokens.
    """
    plans = [BASELINE, *(arm.plan for arm in arms)]

    def batch(prompts: Prompts) -> list[Samples]:
        rows = plans * len(prompts)
        every = [ids for _, ids in prompts for _ in plans]
        decoded = decode(model, every, sampling.greedy, plans=rows, lean=True, watch=watch)
        prove(rows, [answer.touched for answer in decoded], "all")
        told = [sample(answer) for answer in decoded]
        return [
            Samples(question=question.id, answers=tuple(told[place * len(plans) : (place + 1) * len(plans)]))
            for place, (question, _) in enumerate(prompts)
        ]

    size = max(1, ROWS // len(plans))
    doing = "answering with neurons switched"
    return resumed(model, questions, sampling, journal, watch, Samples, batch, size, doing)


def key(questions: Sequence[Question], arms: Sequence[Arm], sampling: Sampling, basis: str) -> str:
    """What answers under arms hang on: 16 hexadecimal digits. `basis`: of the model, with its metric (`figures`)."""
    return digest([basis, sampling], [*questions, *(arm.plan for arm in arms)])[:16]


def effects(
    answered: Sequence[Samples],
    arms: Sequence[Arm],
    entities: Int[np.ndarray, " item"],
    verdict: Callable[[str, str], Verdict],
) -> tuple[Effect, ...]:
    """What each arm did, the sets of an arm at one alpha taken together: shares are means over them.

    Args:
        answered: a question's answers, untouched and under each of `arms`. entities: of the questions.
        verdict: (question, answer) -> what it is.
    """
    verdicts = np.array([[verdict(found.question, one.text) for one in found.answers] for found in answered])
    texts = np.array([[one.text for one in found.answers] for found in answered], dtype=object)
    groups: dict[tuple[Name, float], list[int]] = {}
    for place, arm in enumerate(arms, 1):
        groups.setdefault((arm.name, arm.alpha), []).append(place)
    told = []
    for (name, alpha), places in groups.items():
        right, wrong = verdicts[:, 0] == "right", verdicts[:, 0] == "wrong"

        def of(mask: np.ndarray, became: Verdict, places: list[int] = places) -> np.ndarray:
            return (verdicts[mask][:, places] == became).mean(1)

        kinds = [found.answers[place] for found in answered for place in places]
        told.append(
            Effect(
                arm=name,
                alpha=alpha,
                sets=len(places),
                neurons=len(arms[places[0] - 1].neurons),
                changed=mean_estimate((texts[:, places] != texts[:, :1]).mean(1), entities),
                right_kept=mean_estimate(of(right, "right"), entities[right]) if right.any() else None,
                wrong_righted=mean_estimate(of(wrong, "right"), entities[wrong]) if wrong.any() else None,
                wrong_uncertain=mean_estimate(of(wrong, "uncertain"), entities[wrong]) if wrong.any() else None,
                cut=float(np.mean([one.finish == "length" for one in kinds])),
                mean_tokens=float(np.mean([one.tokens for one in kinds])),
            )
        )
    return tuple(told)
