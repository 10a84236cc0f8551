"""The shipped questions: forms that tell nothing of the answer, no answer in its own question, each asked once."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from backend.errors import BadInput
from backend.identify.questions.facts import shipped as facts
from backend.identify.questions.questions import asked_by, limit_per_relation, questions_key, shipped, without_repeats
from backend.identify.questions.templates import REQUESTS, TEMPLATES, worded
from backend.text.verdict import normalise
from backend.types.identify import Question
from backend.types.plan import QuestionSource


def question(text: str, *answers: str, id: str = "q") -> Question:
    return Question(id=id, text=text, answers=answers)


def test_every_fact_has_a_wording_and_every_wording_has_facts() -> None:
    assert {fact.relation for fact in facts()} == set(TEMPLATES)
    assert all(form.count("{}") == 1 for wordings in (*TEMPLATES.values(), REQUESTS) for form in wordings)


def test_a_relation_has_all_its_forms_about_equally_often() -> None:
    """Six forms: a form that one side's facts had more often would be learned instead of the answer."""
    of_relation = Counter(fact.relation for fact in facts())
    for relation, count in of_relation.items():
        forms = Counter(
            worded(relation, fact.subject).replace(fact.subject, "", 1) for fact in facts() if fact.relation == relation
        )
        if count >= 200:
            assert len(forms) >= 6 and sum(forms.most_common(6)[5][1:]) > 0.7 * count / 6, (relation, forms)
    assert worded("capital_of_country", "Peru") == worded("capital_of_country", "Peru")


def test_the_shipped_questions_are_many_and_each_is_one() -> None:
    found = shipped()
    assert len(found) > 10_000
    assert len({one.id for one in found}) == len({one.text.casefold() for one in found}) == len(found)
    assert {one.source for one in found} == {
        *("relations", "geonames", "cldr", "periodictable", "mendeleev", "wordnet")
    }


def test_a_wording_gives_no_answer_away() -> None:
    """Apart from the subject: a city may bear its country's name."""
    for fact in facts():
        question = worded(fact.relation, fact.subject).replace(fact.subject, "")
        said = normalise(question).split()
        assert not any(normalise(one) in said for one in fact.objects), (question, fact)


def test_the_same_question_is_asked_once_with_all_its_answers() -> None:
    found = without_repeats([question("Who?", "a"), question(" who? ", "b", "a", id="r"), question("Where?", "c")])
    assert [(one.text, one.answers) for one in found] == [("Who?", ("a", "b")), ("Where?", ("c",))]
    assert [one.id for one in found] == ["q", "q (2)"]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["q", "q", "q (2)"], ["q", "q (3)", "q (2)"]),
        (["q (2)", "q", "q", "q"], ["q (2)", "q", "q (3)", "q (4)"]),
        (["q", "q", "q (2)", "q (2)"], ["q", "q (3)", "q (2)", "q (2) (2)"]),
        (["q", "q", "r", "r"], ["q", "q (2)", "r", "r (2)"]),
    ],
)
def test_an_id_is_of_one_question_and_those_that_were_given_stay(ids: list[str], expected: list[str]) -> None:
    assert [one.id for one in without_repeats([question(f"Q{n}?", "b", id=id) for n, id in enumerate(ids)])] == expected


def test_a_file_in_which_every_question_has_the_same_id_is_numbered_in_a_moment() -> None:
    started = time.monotonic()
    found = without_repeats([question(f"Q{n}?", "b") for n in range(20_000)])
    assert len({one.id for one in found}) == 20_000 and time.monotonic() - started < 20


def test_a_question_whose_answers_hold_no_word_is_left_out() -> None:
    assert [one.text for one in without_repeats([question("Who?", "?"), question("Where?", "c")])] == ["Where?"]
    with pytest.raises(BadInput, match="no question"):
        without_repeats([question("Who?", "the")])


def test_too_many_questions_are_refused() -> None:
    with pytest.raises(BadInput, match="50,001 questions are too many"):
        without_repeats([question(f"Q{i}?", "b") for i in range(50_001)])


def test_an_unknown_relation_is_refused() -> None:
    with pytest.raises(BadInput, match="not a shipped relation"):
        shipped(["person_shoe_size"])


def test_a_draw_of_each_relation_is_the_same_again_and_another_with_another_seed() -> None:
    few = shipped(["adj_antonym", "work_location"], per_relation=20)
    assert len(few) == 40 and few == shipped(["adj_antonym", "work_location"], per_relation=20)
    assert few != shipped(["adj_antonym", "work_location"], per_relation=20, seed=1)
    assert limit_per_relation(few, 100, 0) == list(few)


def test_the_digest_hangs_on_every_text_and_answer() -> None:
    one = [question("Who?", "a")]
    assert questions_key(one) == questions_key(list(one))
    assert (
        len(
            {
                questions_key(one),
                questions_key([question("Who?", "b")]),
                questions_key([question("Whom?", "a")]),
                questions_key(one * 2),
            }
        )
        == 4
    )


def test_a_plan_of_a_file_never_asks_the_shipped_questions_in_its_place() -> None:
    with pytest.raises(BadInput, match=r"The questions of mine\.csv are not here: .*; give the file with --questions"):
        asked_by(QuestionSource(file="mine.csv"))
    assert len(asked_by(QuestionSource(limit=7))) == 7
