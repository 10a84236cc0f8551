"""What is asked for after a flip, and what it is joined with: the same comparison as one batch of all rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.compare.rows import join, missing
from app.compare.switches import BESIDE
from app.compare.words import joined
from app.roles import labels, marks
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, CompareSettings, Decoding
from tests.comparisons import MODEL, comparison, compose

A, B = NeuronId(3, 5), NeuronId(4, 7)
REQUESTS = st.builds(
    lambda alphas, settings, **beside: compose("Q", alphas, settings, **beside),
    st.fixed_dictionaries({A: st.sampled_from([0.0, 2.0, 0.5]), B: st.sampled_from([0.0, 2.0])}),
    st.builds(
        CompareSettings,
        controls=st.integers(0, 3),
        control_kinds=st.sampled_from([("layer",), ("layer", "free")]),
    ),
    beside=st.lists(st.sampled_from(list(BESIDE)), unique=True, max_size=3).map(tuple),
    others=st.sampled_from([(), (0.3,), (0.3, 1.25)]),
    against=st.sampled_from([NeuronSet(), NeuronSet.of("L2:N9")]),
)


@given(REQUESTS, REQUESTS)
def test_new_rows_and_kept_ones_make_the_comparison_that_one_batch_makes(
    before: CompareRequest, wanted: CompareRequest
) -> None:
    shown = comparison(before)
    part = missing(wanted, shown, MODEL.fingerprint)
    new = None if part is None else comparison(part)
    made = comparison(wanted) if part == wanted else join(wanted, shown, new)
    assert made is not None and made.request == wanted
    order = sorted((repr(row.plan), row.text) for row in made.rows)
    assert order == sorted((repr(row.plan), row.text) for row in comparison(wanted).rows)
    assert part is None or part.intervened_rows <= wanted.intervened_rows


def test_what_is_there_is_not_asked_again() -> None:
    before = compose("Q", {A: 0.0})
    wanted = compose("Q", {A: 0.0}, beside=("Half",))
    part = missing(wanted, comparison(before), MODEL.fingerprint)
    assert part is not None and part.alphas == (0.5,) and part.control_arms == (0,)
    made = join(wanted, comparison(before), comparison(part))
    assert made is not None and joined(made) and "Suppressed" in made.notes[0] and "Half" not in made.notes[0]
    assert missing(before, made, MODEL.fingerprint) is None


def test_nothing_is_kept_of_another_question_other_settings_or_another_model() -> None:
    request = compose("Q", {A: 0.0}, beside=("Half",))
    shown = comparison(compose("Q", {A: 0.0}))
    assert missing(request, None, MODEL.fingerprint) == request
    assert missing(request, shown, "0" * 64) == request
    for other in ({"prompt": "R"}, {"positions": "answer"}, {"decoding": Decoding(seed=1)}, {"system": "Be brief"}):
        assert missing(request.model_copy(update=other), shown, MODEL.fingerprint) == request.model_copy(update=other)


def test_a_setting_that_rows_are_not_told_apart_by_is_one_of_all_of_them() -> None:
    class Wider(CompareRequest):
        jitter: int = 0

    shown = comparison(compose("Q", {A: 0.0}))
    before = Wider.model_validate(shown.request.model_dump())
    wanted = before.model_copy(update={"jitter": 1})
    assert missing(before, shown.model_copy(update={"request": before}), MODEL.fingerprint) is None
    assert missing(wanted, shown.model_copy(update={"request": before}), MODEL.fingerprint) == wanted


def test_rows_of_two_baselines_are_never_joined() -> None:
    before, wanted = compose("Q", {A: 0.0}), compose("Q", {A: 0.0}, beside=("Half",))
    shown = comparison(before)
    part = missing(wanted, shown, MODEL.fingerprint)
    assert part is not None
    new = comparison(part)
    other = new.rows[0].model_copy(update={"token_ids": (*new.rows[0].token_ids, 1)})
    assert join(wanted, shown, new.model_copy(update={"rows": (other, *new.rows[1:])})) is None


@given(REQUESTS)
def test_every_row_has_a_name_of_its_own_and_no_two_picked_ones_a_mark(request: CompareRequest) -> None:
    plans = [row.plan for row in comparison(request).rows]
    names, shapes = labels(plans), marks(plans)
    assert len(set(names)) == len(names)
    picked = [shape for plan, shape in zip(plans, shapes, strict=True) if plan.arm != "control"]
    assert len(set(picked)) == len(picked) and not any(shape.startswith("diamond") for shape in picked)
    twins = [shape for plan, shape in zip(plans, shapes, strict=True) if plan.arm == "control"]
    assert all(shape.startswith("diamond") for shape in twins)


def test_rows_whose_alphas_have_no_name_of_their_own_are_told_apart_by_them() -> None:
    told = labels([row.plan for row in comparison(compose("Q", {A: 0.0}, others=(0.3,))).rows])
    assert set(told) == {
        "Baseline", "Suppressed", "Suppressed (α = 0.3)", "Random twin", "Random twin of suppressed (α = 0.3)",
    }  # fmt: skip
