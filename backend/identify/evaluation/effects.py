"""What switching a probe's neurons does to answers, compared with random twins and the negative weights.

Owns the switches that are tried and the comparison with the untouched answer, all rows of one batch. Every answer is
greedy, so that a difference comes from the switch and not from sampling. `backend.forward.interventions` scales the
neurons.
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
from backend.identify.answers.responses import ROWS, Prompts, answer_in_batches, record_of
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
class Switch:
    """A set of neurons at one alpha."""

    name: Name
    alpha: float
    neurons: NeuronSet

    @property
    def plan(self) -> RowPlan:
        """The plan of its row in a batch."""
        return RowPlan(arm="chosen", alpha=self.alpha, neurons=self.neurons)


def switches_of_probe(
    positive: NeuronSet, negative: NeuronSet, checks: Checks, layout: Layout, seed: int
) -> list[Switch]:
    """At each alpha the H-neurons, random twins in the same sites, and the negative weights. A twin has no neuron with
    a weight in the probe."""
    if not positive:
        return []
    twins = [
        NeuronSet(tuple(draw(positive, "layer", seed + number, layout, avoid=negative)))
        for number in range(checks.twins)
    ]
    switches = []
    for alpha in checks.alphas:
        switches.append(Switch("H-neurons", alpha, positive))
        switches += [Switch("random twin", alpha, twin) for twin in twins]
        switches += [Switch("negative weights", alpha, negative)] if negative else []
    return switches


def answers_under_switches(
    model: LoadedModel,
    questions: Sequence[Question],
    switches: Sequence[Switch],
    sampling: Sampling,
    journal: Journal,
    watch: Watch = SILENT,
) -> list[Samples]:
    """Each question's greedy answers: untouched, then under each switch. Resumes where `journal` ends.

    Raises InterventionUnused where a switch was never applied, Stopped between two tokens.
    """
    plans = [BASELINE, *(switch.plan for switch in switches)]

    def batch(prompts: Prompts) -> list[Samples]:
        rows = plans * len(prompts)
        prompts_by_row = [ids for _, ids in prompts for _ in plans]
        decoded = decode(model, prompts_by_row, sampling.greedy, plans=rows, lean=True, watch=watch)
        prove(rows, [answer.touched for answer in decoded], "all")
        records = [record_of(answer) for answer in decoded]
        return [
            Samples(question=question.id, answers=tuple(records[place * len(plans) : (place + 1) * len(plans)]))
            for place, (question, _) in enumerate(prompts)
        ]

    size = max(1, ROWS // len(plans))
    doing = "answering with neurons switched"
    return answer_in_batches(model, questions, sampling, journal, watch, Samples, batch, size, doing)


def answers_key(questions: Sequence[Question], switches: Sequence[Switch], sampling: Sampling, basis: str) -> str:
    """Hash of all that answers under switches depend on: 16 hexadecimal digits. `basis`: of the model, with its metric
    (`figures`)."""
    return digest([basis, sampling], [*questions, *(switch.plan for switch in switches)])[:16]


def effects(
    answered: Sequence[Samples],
    switches: Sequence[Switch],
    entities: Int[np.ndarray, " item"],
    verdict: Callable[[str, str], Verdict],
) -> tuple[Effect, ...]:
    """What the switches did. Switches of one name and alpha are one effect, whose shares are means over their sets.

    Args:
        answered: each question's answers, untouched and under each of `switches`. entities: of the questions.
        verdict: (question, answer) -> its verdict.
    """
    verdicts = np.array(
        [[verdict(records.question, answer.text) for answer in records.answers] for records in answered]
    )
    texts = np.array([[answer.text for answer in records.answers] for records in answered], dtype=object)
    groups: dict[tuple[Name, float], list[int]] = {}
    for place, switch in enumerate(switches, 1):
        groups.setdefault((switch.name, switch.alpha), []).append(place)
    measured = []
    for (name, alpha), places in groups.items():
        right, wrong = verdicts[:, 0] == "right", verdicts[:, 0] == "wrong"

        def share_became(mask: np.ndarray, became: Verdict, places: list[int] = places) -> np.ndarray:
            return (verdicts[mask][:, places] == became).mean(1)

        switched_answers = [records.answers[place] for records in answered for place in places]
        measured.append(
            Effect(
                arm=name,
                alpha=alpha,
                sets=len(places),
                neurons=len(switches[places[0] - 1].neurons),
                changed=mean_estimate((texts[:, places] != texts[:, :1]).mean(1), entities),
                right_kept=mean_estimate(share_became(right, "right"), entities[right]) if right.any() else None,
                wrong_righted=mean_estimate(share_became(wrong, "right"), entities[wrong]) if wrong.any() else None,
                wrong_uncertain=mean_estimate(share_became(wrong, "uncertain"), entities[wrong])
                if wrong.any()
                else None,
                cut=float(np.mean([answer.finish == "length" for answer in switched_answers])),
                mean_tokens=float(np.mean([answer.tokens for answer in switched_answers])),
            )
        )
    return tuple(measured)
