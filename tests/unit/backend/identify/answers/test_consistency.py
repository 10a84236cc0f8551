"""The filter keeps what was answered alike often enough, never on both sides, and says why it drops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.identify.answers.consistency import balanced, fate
from backend.types.identify import CONSISTENCIES, Consistency, Fate, Verdict

PAPER = CONSISTENCIES["all samples (the paper)"]
SOFT = Consistency(right=5, wrong=9, greedy=True, uncertain=3)


def drawn(right: int, wrong: int, uncertain: int = 0) -> list[Verdict]:
    counts: dict[Verdict, int] = {"right": right, "wrong": wrong, "uncertain": uncertain}
    return [verdict for verdict, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("filter", "greedy", "samples", "expected"),
    [
        (PAPER, None, drawn(10, 0), "right"),
        (PAPER, None, drawn(0, 10), "wrong"),
        (PAPER, "wrong", drawn(10, 0), "right"),
        (PAPER, None, drawn(9, 1), "mixed"),
        (PAPER, None, drawn(0, 9, 1), "uncertain"),
        (SOFT, "right", drawn(5, 5), "right"),
        (SOFT, "wrong", drawn(5, 5), "mixed"),
        (SOFT, "wrong", drawn(1, 9), "wrong"),
        (SOFT, "uncertain", drawn(1, 9), "mixed"),
        (SOFT, "right", drawn(7, 0, 3), "right"),
        (SOFT, "right", drawn(6, 0, 4), "uncertain"),
    ],
)
def test_the_fate_of_a_question(
    filter: Consistency, greedy: Verdict | None, samples: list[Verdict], expected: Fate
) -> None:
    assert fate(filter, greedy, samples) == expected


@given(st.lists(st.sampled_from(["right", "wrong", "uncertain"]), min_size=10, max_size=10))
def test_a_stricter_filter_keeps_no_question_that_a_softer_one_drops(samples: list[Verdict]) -> None:
    strict, soft = Consistency(right=9, wrong=9), Consistency(right=7, wrong=6)
    if fate(strict, None, samples) in ("right", "wrong"):
        assert fate(soft, None, samples) == fate(strict, None, samples)


@pytest.mark.parametrize("name", CONSISTENCIES)
def test_every_named_filter_can_be_met_with_ten_samples(name: str) -> None:
    CONSISTENCIES[name].check(10)


@pytest.mark.parametrize("filter", [Consistency(right=11), Consistency(right=5, wrong=5)])
def test_a_filter_that_cannot_be_met_or_keeps_on_both_sides_is_refused(filter: Consistency) -> None:
    with pytest.raises(ValueError, match="samples"):
        filter.check(10)


def test_balance_is_the_smaller_side_of_each_relation() -> None:
    fates: dict[str, Fate] = {"a": "right", "b": "wrong", "c": "wrong", "d": "right", "e": "mixed"}
    relations = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y"}
    assert balanced(fates, relations) == {"x": 1, "y": 0}
