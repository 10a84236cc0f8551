"""Items are balanced within each relation, drawn by a seed, split by entity; the funnel loses nobody."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from backend.errors import BadInput
from backend.identify.answers.items import (
    MIN_SIDE,
    Answered,
    choose_items,
    entity_numbers,
    folds,
    items_needed,
    labels,
    refuse_few,
)
from backend.identify.features.study import refuse_unsplit, split
from backend.types.identify import Consistency, Greedy, Item, Question, Sample, Samples, Verdict
from backend.types.plan import Plan, Training

SOFT = Consistency(right=2, wrong=3, greedy=True)
PAPER = Consistency(right=3, wrong=3)


def answered(
    id: str, relation: str, greedy: str, samples: Sequence[str], answers: tuple[str, ...] = ("Cairo",)
) -> Answered:
    question = Question(id=id, text="What is the capital?", answers=answers, relation=relation, entity=id.split("/")[0])
    told = [Sample(text=text, tokens=1, finish="end") for text in samples]
    return Answered(
        question,
        Greedy(question=id, answer=Sample(text=greedy, tokens=1, finish="end"), log_probs=(), entropies=()),
        Samples(question=id, answers=tuple(told)),
    )


def known(id: str, relation: str = "x") -> Answered:
    return answered(id, relation, "It is Cairo.", ["Cairo"] * 3)


def invented(id: str, relation: str = "x") -> Answered:
    return answered(id, relation, "It is Rome.", ["Rome", "Paris", "Rome"])


def test_each_relation_gives_as_many_right_as_wrong_ones() -> None:
    many = [known(f"r{i}") for i in range(5)] + [invented(f"w{i}") for i in range(3)]
    many += [known(f"s{i}", "y") for i in range(2)] + [invented(f"v{i}", "y") for i in range(6)] + [known("z", "lone")]
    items, funnel = choose_items(many, SOFT, seed=0)
    sides = Counter((item.question[0], item.side) for item in items)
    assert sides == {("r", "right"): 3, ("w", "wrong"): 3, ("s", "right"): 2, ("v", "wrong"): 2}
    assert (funnel.right, funnel.wrong, funnel.balanced) == (8, 9, 5)
    assert funnel.relations == {"lone": (1, 0, 0), "x": (5, 3, 3), "y": (2, 6, 2)}
    assert choose_items(many, SOFT, seed=0)[0] == items
    assert choose_items(many, SOFT, seed=1)[0] != items


def asked_as(form: str, one: Answered) -> Answered:
    """The same answers to the question in another form."""
    question = one.question.model_copy(update={"text": form.format(one.question.entity)})
    return Answered(question, one.greedy, one.samples)


@pytest.mark.parametrize("seed", range(5))
def test_within_a_relation_both_sides_are_asked_in_the_same_forms_as_far_as_there_are_any(seed: int) -> None:
    """Right: 6 long, 2 short. Wrong: 5 long, 9 short. The eighth wrong one is of the only form that is left."""
    long, short = "Say in a sentence: where is {}?", "Where is {}?"
    many = [asked_as(long if n < 6 else short, known(f"r{n}")) for n in range(8)]
    many += [asked_as(long if n < 5 else short, invented(f"w{n}")) for n in range(14)]
    items, funnel = choose_items(many, SOFT, seed)
    forms = {one.question.id: one.question.text.startswith("Say") for one in many}
    assert funnel.balanced == 8
    assert Counter((item.side, forms[item.question]) for item in items) == {
        ("right", True): 6, ("right", False): 2, ("wrong", True): 5, ("wrong", False): 3,
    }  # fmt: skip


def test_questions_of_one_form_each_are_drawn_at_random() -> None:
    many = [asked_as(f"{n}, where is {{}}?", known(f"r{n}")) for n in range(3)]
    many += [asked_as(f"{n}, what is {{}}?", invented(f"w{n}")) for n in range(6)]
    drawn = {tuple(item.question for item in choose_items(many, SOFT, seed)[0]) for seed in range(20)}
    assert all(len(one) == 6 for one in drawn) and len(drawn) > 5


def test_every_question_is_counted_once_in_the_funnel() -> None:
    many = [
        known("a"), invented("b"), answered("c", "x", "Cairo", ["Rome", "Rome", "Cairo"]),
        answered("d", "x", "Cairo", ["I don't know", "Cairo", "Cairo"]),
        answered("e", "x", "the capital", ["the capital"] * 3),
        Answered(known("f").question, known("f").greedy, None),
    ]  # fmt: skip
    _, funnel = choose_items(many, SOFT, seed=0)
    assert (funnel.asked, funnel.sampled) == (6, 5)
    assert funnel.uncertain + funnel.mixed + funnel.right + funnel.wrong == funnel.sampled
    assert (funnel.uncertain, funnel.mixed, funnel.wrong_without_span) == (1, 1, 1)


def test_the_most_frequent_sample_stands_for_the_question_and_the_greedy_answer_where_it_must_agree() -> None:
    one = answered("a", "x", "Rome it is", ["Paris", "rome", "Rome."])
    other = known("b")
    assert [item.response for item in choose_items([one, other], PAPER, 0)[0]] == ["rome", "Cairo"]
    assert [item.response for item in choose_items([one, other], SOFT, 0)[0]] == ["Rome it is", "It is Cairo."]


def test_the_span_is_the_answer_in_its_response() -> None:
    items, _ = choose_items([known("a"), invented("b")], SOFT, 0)
    assert {item.side: item.response[item.start : item.end] for item in items} == {"right": "Cairo", "wrong": "Rome"}
    assert labels(items).tolist() == [0, 1]


def test_a_persons_verdict_stands_above_the_rules() -> None:
    many = [known("a"), invented("b"), invented("c")]
    overruled: dict[tuple[str, str], Verdict] = {("c", text): "right" for text in ("It is Rome.", "Rome", "Paris")}
    _, funnel = choose_items(many, PAPER, 0, overruled)
    assert (funnel.right, funnel.wrong, funnel.right_without_span) == (2, 1, 1)


def many_items(entities: int) -> tuple[list[Item], dict[str, Question]]:
    questions, items = {}, []
    for i in range(4 * entities):
        question = Question(id=f"q{i}", text="Q?", answers=("x",), relation=f"r{i % 3}", entity=f"e{i % entities}")
        questions[question.id] = question
        items.append(Item(question=question.id, side="right" if i % 2 else "wrong", response="x", start=0, end=1))
    return items, questions


def test_no_entity_stands_in_two_folds_and_each_fold_is_balanced() -> None:
    items, questions = many_items(60)
    found = folds(items, questions, 3, seed=0)
    entities = entity_numbers(items, questions)
    for entity in range(60):
        assert len(set(found[entities == entity])) == 1
    for fold in range(3):
        assert 60 <= (found == fold).sum() <= 100
        assert 0.35 <= labels(items)[found == fold].mean() <= 0.65
    assert np.array_equal(found, folds(items, questions, 3, seed=0))
    assert not np.array_equal(found, folds(items, questions, 3, seed=1))


def test_too_few_items_are_refused() -> None:
    items, questions = many_items(60)
    with pytest.raises(BadInput, match="4 items are too few"):
        folds(items[:4], questions, 3, seed=0)


@pytest.mark.parametrize("entities", [1, 2])
def test_too_few_entities_are_refused(entities: int) -> None:
    items, questions = many_items(24)
    few = {q.id: q.model_copy(update={"entity": f"e{n % entities}"}) for n, q in enumerate(questions.values())}
    with pytest.raises(
        BadInput, match=f"Items about {entities} entit.* are too few: .* so 3 folds need at least 3 entities"
    ):
        folds(items, few, 3, seed=0)
    few["q0"] = few["q0"].model_copy(update={"entity": ""})
    few["q1"] = few["q1"].model_copy(update={"entity": ""})
    assert len(folds(items, few, 3, seed=0)) == len(items), "a question without an entity is one of its own"


def test_questions_are_refused_only_where_no_answers_could_be_split() -> None:
    _, questions = many_items(6)
    refuse_few(questions.values(), Training(folds=5, held_out=6))
    for training in (Training(folds=6, held_out=2), Training(folds=2, held_out=7)):
        with pytest.raises(BadInput, match="Questions about 6 entities are too few"):
            refuse_few(questions.values(), training)


@pytest.mark.parametrize(
    ("folds", "held_out", "each"), [(5, 3, 10), (2, 3, 10), (20, 2, 40), (20, 20, 22), (2, 20, 20), (9, 3, 14)]
)
def test_as_many_of_each_side_are_needed_as_fill_each_fold_and_the_held_out_part(
    folds: int, held_out: int, each: int
) -> None:
    training = Training(folds=folds, held_out=held_out)
    assert items_needed(training) == each
    for count in (each, each - 1):
        left = count - math.ceil(count / held_out)
        assert (left >= folds and count >= max(MIN_SIDE, held_out)) == (count == each)


def test_fewer_questions_than_answers_are_needed_are_refused_before_they_are_asked() -> None:
    _, questions = many_items(60)
    twenty = list(questions.values())[:20]
    refuse_few(twenty, Training())
    with pytest.raises(BadInput, match="19 questions are too few: .* 10 right and 10 wrong"):
        refuse_few(twenty[:19], Training())
    with pytest.raises(BadInput, match="20 questions are too few: .* 14 right and 14 wrong"):
        refuse_few(twenty, Training(folds=9))


def test_a_training_part_that_makes_no_folds_is_refused_before_a_feature_is_read() -> None:
    items, questions = many_items(24)
    plan = Plan(training=Training(folds=5, held_out=3))
    _, test = split(items, questions, plan)
    assert len(refuse_unsplit(items, questions, test, plan)) == sum(item.question not in test for item in items)
    one_entity = {id: one.model_copy(update={"entity": "e"}) for id, one in questions.items()}
    with pytest.raises(BadInput, match="all items of an entity stay together, so 5 folds need at least 5 entities"):
        refuse_unsplit(items, one_entity, test, plan)
    right = frozenset(item.question for item in items if item.side == "right")
    with pytest.raises(BadInput, match="The held-out items are all of one side"):
        refuse_unsplit(items, questions, right, plan)
