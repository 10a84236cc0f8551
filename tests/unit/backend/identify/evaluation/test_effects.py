"""What a switch did is counted against the untouched answers: figures worked out by hand, and who is switched."""

from __future__ import annotations

import numpy as np
import pytest

from backend.identify.evaluation.effects import Switch, effects, switches_of_probe
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.statistics import intervals
from backend.types.identify import Sample, Samples, Verdict
from backend.types.plan import Checks
from backend.types.report import Effect

LAYOUT = Layout.dense((6, 6))
H = NeuronSet((NeuronId(0, 1), NeuronId(1, 2)))
TWINS = (NeuronSet((NeuronId(0, 5), NeuronId(1, 6))), NeuronSet((NeuronId(0, 7), NeuronId(1, 8))))
ARMS = [Switch("H-neurons", 0.0, H), *(Switch("random twin", 0.0, twin) for twin in TWINS)]
MEANS: dict[str, Verdict] = {"A": "right", "B": "wrong", "U": "uncertain"}
ANSWERS = ("A A A A", "A B A U", "B A B B", "B U B A")
"""A row a question: untouched, then under each arm."""


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 200)


def judged(rows: tuple[str, ...], entities: tuple[int, ...] = (0, 1, 2, 3)) -> dict[str, Effect]:
    """An answer "U" ran into the length's end; one has as many tokens as the number of its row, from 1 on."""
    answered = [
        Samples(
            question=f"q{number}",
            answers=tuple(
                Sample(text=text, tokens=number + 1, finish="length" if text == "U" else "end") for text in row.split()
            ),
        )
        for number, row in enumerate(rows)
    ]
    told = effects(answered, ARMS, np.array(entities[: len(rows)]), lambda question, text: MEANS[text])
    return {one.arm: one for one in told}


def test_shares_are_of_all_answers_of_the_right_ones_and_of_the_wrong_ones() -> None:
    found = judged(ANSWERS)["H-neurons"]
    assert found.right_kept and found.wrong_righted and found.wrong_uncertain
    assert (found.sets, found.neurons, found.alpha) == (1, 2, 0.0)
    assert (found.changed.value, found.changed.n) == (0.75, 4)
    assert (found.right_kept.value, found.right_kept.n) == (0.5, 2)
    assert (found.wrong_righted.value, found.wrong_uncertain.value, found.wrong_uncertain.n) == (0.5, 0.5, 2)
    assert found.cut == 0.25 and found.mean_tokens == 2.5


def test_the_twins_of_one_alpha_are_taken_together() -> None:
    found = judged(ANSWERS)["random twin"]
    assert found.right_kept and found.wrong_righted and found.wrong_uncertain
    assert (found.sets, found.neurons) == (2, 2)
    assert found.changed.value == 0.25 and found.changed.n == 4, "two sets make no question two"
    assert (found.right_kept.value, found.wrong_righted.value, found.wrong_uncertain.value) == (0.75, 0.25, 0.0)
    assert found.cut == 0.125


def test_intervals_hold_the_value_and_resample_entities() -> None:
    apart, together = judged(ANSWERS)["H-neurons"], judged(ANSWERS, (0, 0, 0, 0))["H-neurons"]
    for one in (apart.changed, apart.right_kept, apart.wrong_righted, apart.wrong_uncertain):
        assert one is not None and one.low <= one.value <= one.high and one.low < one.high
    assert together.changed.clusters == 1 and together.changed.low == together.changed.high == 0.75


def test_without_an_answer_of_a_side_its_shares_are_unknown_and_not_nought() -> None:
    found = judged(ANSWERS[2:])["H-neurons"]
    assert found.right_kept is None and found.wrong_righted is not None
    found = judged(ANSWERS[:2])["H-neurons"]
    assert found.wrong_righted is None and found.wrong_uncertain is None and found.right_kept is not None


def test_every_alpha_has_the_h_neurons_their_twins_and_the_negative_weights() -> None:
    negative = NeuronSet((NeuronId(0, 0),))
    checks = Checks(alphas=(0.0, 2.0), twins=3)
    found = switches_of_probe(H, negative, checks, LAYOUT, seed=4)
    names = ["H-neurons", *["random twin"] * 3, "negative weights"]
    assert [(one.alpha, one.name) for one in found] == [(alpha, name) for alpha in (0.0, 2.0) for name in names]
    twins = [one.neurons for one in found if one.name == "random twin"]
    assert twins[:3] == twins[3:] == [one.neurons for one in switches_of_probe(H, negative, checks, LAYOUT, 4)][1:4]
    for twin in twins:
        assert not set(twin) & (set(H) | set(negative)) and sorted(one.layer for one in twin) == [0, 1]
    assert switches_of_probe(NeuronSet(), negative, checks, LAYOUT, 0) == []
    assert {one.name for one in switches_of_probe(H, NeuronSet(), checks, LAYOUT, 0)} == {"H-neurons", "random twin"}
