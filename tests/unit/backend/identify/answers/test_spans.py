"""The answer's words are found by the documented rules, and nothing is found where nothing answers."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from backend.identify.answers.spans import Span, known_words, new_words, span_by_rule
from backend.text.verdict import matches
from backend.types.identify import Question, Side

CAPITAL = "What is the capital of Panama?"


def words(response: str, span: Span | None) -> str | None:
    return None if span is None else response[span.start : span.end]


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("The capital of Panama is Cartagena.", CAPITAL, "Cartagena"),
        ("Cartagena", CAPITAL, "Cartagena"),
        ("The answer is **New York City**.", "Where?", "New York City"),
        ("The CEO of Intel Corporation is: Elon Musk, who founded it", "Who is the CEO of Intel?", "Elon Musk"),
        ("Madagascar - the capital city of the Democratic", CAPITAL, "Madagascar"),
        ("He is the poet Bernardo O'Neill of Rome.", "Who is the father of Tasso?", "poet Bernardo O'Neill of Rome"),
        ("He is Bernardo O\u2019Neill", "Who is the father of Tasso?", "Bernardo O\u2019Neill"),
        ("The position is quarterback", "In which position does X play?", "quarterback"),
        ("It's Paris. Then London is big", CAPITAL, "Paris"),
        ("The University of Madrid", "Which university did Bill attend?", "Madrid"),
        ("Vienna (Wien), Austria", CAPITAL, "Vienna"),
        ("\u00abS\u00e3o Paulo\u00bb", CAPITAL, "S\u00e3o Paulo"),
    ],
)
def test_a_wrong_answers_span_is_what_the_question_has_not(response: str, question: str, expected: str) -> None:
    assert words(response, new_words(response, question)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "John F. Kennedy", "J.R.R. Tolkien", "J. R. R. Tolkien", "A. A. Milne", "John S. McCain", "C. S. Lewis",
        "Robert A. Heinlein", "George H.W. Bush", "F. Scott Fitzgerald", "\u00c9. Zola", "U.S. Steel",
        "St. Petersburg", "Mt. Everest", "Ft. Worth", "Lt. Col. Blake", "Mrs. Dalloway", "Dr. Strangelove",
        "Kramer vs. Kramer", "Plants vs. Zombies", "Chanel No. 5", "Sammy Davis Jr. Show", "Martin Luther King, Jr",
        "1,250", "3.5 million", "1,234,567.89", "10:30", "1939\u20131945", "Vitamin A", "Elizabeth I", "World War I",
        "C++",
    ],
)  # fmt: skip
def test_a_name_or_figure_with_full_stops_and_commas_stays_whole(name: str) -> None:
    for response in (name, f"It is {name}.", f"It is {name}. It was so", f"{name}, of course (or not)"):
        assert words(response, new_words(response, "Which one?")) == name


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("It is Paris. The city is old", "Paris"),
        ("It is Paris. Many know it", "Paris"),
        ("It is vitamin C. It helps", "vitamin C"),
        ("It is vitamin C. Oranges have it", "vitamin C"),
        ("It is vitamin A. Carrots have it", "vitamin A"),
        ("He lives in the U.S. The city has him", "lives in the U.S"),
        ("It is George W. He won", "George W"),
        ("It is Sammy Davis Jr. He sang", "Sammy Davis Jr"),
        ("Paris. A city", "Paris"),
        ("Rome, Paris", "Rome"),
        ("Rome,Paris", "Rome"),
        ("1, 2 and 3", "1"),
        ("No. Paris is", "Paris"),
        ("the main st. Louis", "main st"),
        ("John F.\nKennedy", "John F"),
        ("plan B. Smith knew", "plan B"),
        ("It is a dog", "dog"),
        ("The town I remember", "town I remember"),
        ("Which town I saw", "town I saw"),
        ("The one I know", "know"),
        ("ActiveSync - A one", "ActiveSync"),
    ],
)
def test_the_end_of_a_sentence_or_of_its_part_ends_a_run(response: str, expected: str) -> None:
    assert words(response, new_words(response, "Which one?")) == expected


@pytest.mark.parametrize(
    "response", ["", "   ", "...", "The capital of Panama.", "It is the capital of Panama", "What is the capital?"]
)
def test_a_response_that_only_repeats_the_question_has_no_span(response: str) -> None:
    assert new_words(response, CAPITAL) is None


@pytest.mark.parametrize(
    ("response", "answers", "expected"),
    [
        ("It is O\u2019Neill's house", ["ONeill's"], "O\u2019Neill's"),
        ("The answer: the Beatles.", ["The Beatles"], "Beatles"),
        ("New York City, New York", ["New York", "New York City"], "New York City"),
        ("Cairo. Cairo again", ["cairo"], "Cairo"),
        ("L'\u00c9quipe", ["lequipe"], "L'\u00c9quipe"),
        ("scatter", ["cat"], None),
        ("anything", ["the", ""], None),
        ("It is vitamin C or Vitamin A.", ["Vitamin A"], "Vitamin A"),
        ("It is Serie B", ["Serie A"], None),
        ("The Tale of the Two Cities!", ["A Tale of Two Cities"], "Tale of the Two Cities"),
        ("Both C and C++.", ["C++"], "C++"),
        ("St. Louis", ["st louis"], "St. Louis"),
    ],
)
def test_a_right_answers_span_is_its_first_known_spelling(
    response: str, answers: list[str], expected: str | None
) -> None:
    assert words(response, known_words(response, answers)) == expected


JAPAN = Question(id="q", text="In which country is Yamato Museum?", answers=("Japan",))


@pytest.mark.parametrize(
    ("response", "side", "blind", "known"),
    [
        ("Yamato Museum is in the city of Kure, Japan.", "right", None, "Japan"),
        ("Yamato Museum is located in Japan.", "right", "Japan", "Japan"),
        ("Yamato Museum is in southern Japan.", "right", "southern Japan", "Japan"),
        ("Yamato Museum is in southern China.", "wrong", "southern China", "southern China"),
        ("Which country is Yamato Museum?", "wrong", None, None),
    ],
)
def test_blind_words_are_found_alike_on_both_sides(
    response: str, side: Side, blind: str | None, known: str | None
) -> None:
    assert words(response, span_by_rule(response, JAPAN, side, "blind")) == blind
    assert words(response, span_by_rule(response, JAPAN, side, "known")) == known


@given(st.text(st.sampled_from("abc .,JapnCh"), max_size=40))
def test_blind_words_are_the_new_ones_or_none_whatever_the_side(response: str) -> None:
    new = new_words(response, JAPAN.text)
    assert span_by_rule(response, JAPAN, "wrong", "blind") == new
    assert span_by_rule(response, JAPAN, "right", "blind") in (new, None)


@given(
    st.text(st.sampled_from("abc .,'\u2019-AB+#"), max_size=30),
    st.text(st.sampled_from("abc +#"), min_size=1, max_size=5),
)
def test_where_the_judge_finds_a_spelling_the_span_does_too(response: str, answer: str) -> None:
    span = known_words(response, [answer])
    assert (span is not None) == matches(response, [answer])
    assert span is None or matches(response[span.start : span.end], [answer])


@given(st.text(max_size=60), st.text(max_size=40))
def test_a_span_lies_in_its_response_and_begins_and_ends_in_a_word(response: str, question: str) -> None:
    span = new_words(response, question)
    if span is not None:
        assert 0 <= span.start < span.end <= len(response)
        # Python's own table of letters may be older than that of `regex`.
        assert regex.match(r"[\p{L}\p{N}]", response[span.start])
        assert regex.match(r"[\p{L}\p{M}\p{N}+#\u266f]", response[span.end - 1])
