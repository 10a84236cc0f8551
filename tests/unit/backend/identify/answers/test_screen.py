"""Who is drawn for: as many wrong as right questions of each kind, at most two right for one wrong, by the seed."""

from __future__ import annotations

from collections import Counter

from backend.identify.answers.screen import prefer_drawn, screened
from backend.types.identify import Question, Verdict

KINDS: dict[str, tuple[int, int, int]] = {
    "mostly right": (9, 3, 2),
    "mostly wrong": (2, 12, 1),
    "only right": (4, 0, 0),
    "only wrong": (0, 4, 5),
}
"""Kind -> how many questions are answered rightly, wrongly, unsurely."""


def asked() -> tuple[list[Question], dict[str, Verdict]]:
    questions, greedy = [], dict[str, Verdict]()
    for kind, counts in KINDS.items():
        sides: tuple[Verdict, ...] = ("right", "wrong", "uncertain")
        for side, count in zip(sides, counts, strict=True):
            for number in range(count):
                question = Question(id=f"{kind} {side} {number}", text="Who?", answers=("a",), relation=kind)
                questions.append(question)
                greedy[question.id] = side
    return questions, greedy


def test_each_kind_gives_what_has_a_partner_and_nothing_unsure() -> None:
    questions, greedy = asked()
    drawn = screened(questions, greedy, None, 0)
    assert len({one.id for one in drawn}) == len(drawn)
    assert Counter((one.relation, greedy[one.id]) for one in drawn) == {
        ("mostly right", "right"): 6,
        ("mostly right", "wrong"): 3,
        ("mostly wrong", "right"): 2,
        ("mostly wrong", "wrong"): 2,
    }


def test_the_same_seed_draws_the_same_in_the_same_order_and_another_one_others() -> None:
    questions, greedy = asked()
    first = [one.id for one in screened(questions, greedy, None, 7)]
    assert first == [one.id for one in screened(questions, greedy, None, 7)]
    others = [[one.id for one in screened(questions, greedy, None, seed)] for seed in range(8, 12)]
    assert any(set(first) != set(other) for other in others) and all(first != other for other in others)


def test_a_run_cut_short_has_drawn_the_beginning_of_the_same_order() -> None:
    questions, greedy = asked()
    whole = screened(questions, greedy, None, 3)
    assert screened(questions, greedy, 5, 3) == whole[:5]
    assert screened(questions, greedy, 500, 3) == whole
    assert {one.relation for one in whole[:6]} == {"mostly right", "mostly wrong"}, "the kinds are mixed"


def test_without_partners_nothing_is_drawn() -> None:
    questions, greedy = asked()
    lonely = [one for one in questions if one.relation.startswith("only")]
    assert screened(lonely, greedy, None, 0) == []


def test_what_has_been_drawn_stays_drawn_when_verdicts_change() -> None:
    """Ten samples a question cost hours: a better rule of judging must not ask for others while these would do."""
    questions, greedy = asked()
    drawn = screened(questions, greedy, 9, 0)
    other: dict[Verdict, Verdict] = {"right": "wrong", "wrong": "right", "uncertain": "uncertain"}
    again = screened(questions, {id: other[side] for id, side in greedy.items()}, 9, 0)
    assert {one.id for one in again} != {one.id for one in drawn}, "the verdicts would choose others"
    assert {one.id for one in prefer_drawn(again, drawn)} == {one.id for one in drawn}


def test_without_a_changed_verdict_a_run_goes_on_with_the_questions_it_had_chosen() -> None:
    questions, greedy = asked()
    whole = screened(questions, greedy, None, 0)
    for count in range(len(whole) + 1):
        assert {one.id for one in prefer_drawn(whole, whole[:count])} == {one.id for one in whole}
        fewer = screened(questions, greedy, count, 0)
        assert {one.id for one in prefer_drawn(fewer, whole)} == {one.id for one in fewer}


def test_where_too_few_are_drawn_the_rest_is_chosen_by_the_verdicts_of_now() -> None:
    questions, greedy = asked()
    chosen = screened(questions, greedy, None, 0)
    others = [one for one in questions if one not in chosen][:2]
    told = prefer_drawn(chosen, others)
    assert len(told) == len(chosen) and told[:2] == others and set(told[2:]) < set(chosen)
