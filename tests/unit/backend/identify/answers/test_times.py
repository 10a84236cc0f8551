"""A time or what is denied is no answer where another one is left, by one rule for right and wrong answers."""

from __future__ import annotations

import time

import pytest

from backend.identify.answers.phrases import phrase
from backend.identify.answers.times import Time, asks_time, times
from backend.identify.answers.wording import words_of


def said(response: str, question: str) -> str | None:
    span = phrase(response, question)
    return None if span is None else response[span.start : span.end]


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        # A time put first, or before the place.
        ("In 1928, Alexander Fleming discovered penicillin.", "Who discovered penicillin?", "Alexander Fleming"),
        ("In 1928 Alexander Fleming discovered penicillin.", "Who discovered penicillin?", "Alexander Fleming"),
        ("In May 1928, Alexander Fleming discovered it.", "Who discovered it?", "Alexander Fleming"),
        ("In 2011, Tim Cook was the CEO of Apple.", "Who is the CEO of Apple?", "Tim Cook"),
        ("On 4 May 1999, Graf won the match.", "Who won the match?", "Graf"),
        ("On July 20, 1969, Neil Armstrong walked there.", "Who walked on the Moon?", "Neil Armstrong"),
        ("On Monday, Graf won.", "Who won the match?", "Graf"),
        ("In August, Rome is hot.", "Which city is hot?", "Rome"),
        ("In the 1960s, the Beatles recorded it.", "Who recorded Help?", "Beatles"),
        ("In the 19th century, Charles Darwin proposed it.", "Who proposed evolution?", "Charles Darwin"),
        ("In the nineteenth century, Charles Darwin proposed it.", "Who proposed evolution?", "Charles Darwin"),
        ("In 44 BC, Brutus killed Caesar.", "Who killed Caesar?", "Brutus"),
        ("Since 2010 Sydney has been home of the team.", "Which city is home of the team?", "Sydney"),
        ("He was born in 1756 in Salzburg.", "Where was Mozart born?", "Salzburg"),
        ("In 1756 he was born in Salzburg.", "In which city was Mozart born?", "Salzburg"),
        ("Albert Einstein was born on March 14, 1879, in Ulm.", "Where was Einstein born?", "Ulm"),
        ("In 1945, Harry Truman was president.", "Who was president when the war ended?", "Harry Truman"),
        ("In 2010, 1,200 people worked there.", "How many people worked there?", "1,200"),
        # Other languages.
        ("En 1928, Alexander Fleming a découvert la pénicilline.", "Qui a découvert la pénicilline ?",
         "Alexander Fleming"),
        ("En 1928, Alexander Fleming descubrió la penicilina.", "¿Quién descubrió la penicilina?", "Alexander Fleming"),
        ("Mozart wurde 1756 in Salzburg geboren.", "Wo wurde Mozart geboren?", "Salzburg"),
    ],
)  # fmt: skip
def test_a_time_is_no_answer_where_another_is_left(response: str, question: str, expected: str) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        # A question for a time gets it, a date whole, with its year.
        ("The RMS Titanic sank on April 15, 1912.", "What year did the Titanic sink?", "April 15, 1912"),
        ("The RMS Titanic sank on 15 April 1912.", "What year did the Titanic sink?", "15 April 1912"),
        ("The Titanic sank on April 15, 1912.", "When did the Titanic sink?", "April 15, 1912"),
        ("The Titanic sank in April 1912.", "In what month did the Titanic sink?", "April 1912"),
        ("In 1928 Alexander Fleming discovered penicillin.", "When was penicillin discovered?", "1928"),
        ("In 1756 he was born in Salzburg.", "Where and when was Mozart born?", "1756"),
        ("Mozart wurde 1756 in Salzburg geboren.", "Wann wurde Mozart geboren?", "1756"),
        # Where nothing else is left, or only a verb or a word of the question.
        ("In 1928.", "Who discovered penicillin?", "1928"),
        ("It opened in 1912.", "Which theatre is it?", "1912"),
        # A number that no word makes a time.
        ("It is 1984.", "Which book did George Orwell write?", "1984"),
        ("The population was 1200 in 2010.", "What is the population?", "1200"),
        ("The company is 20th Century Fox.", "Which company made it?", "20th Century Fox"),
    ],
)
def test_a_time_that_is_asked_for_and_a_number_that_is_none_stay(response: str, question: str, expected: str) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was it?", True),
        ("On which date was it?", True),
        ("How long did it take?", True),
        ("The year of his birth?", True),
        ("En quelle année ?", True),
        ("Who was king in that year?", False),
        ("Where was she when it burnt?", False),
        ("Which city is it?", False),
    ],
)
def test_which_questions_ask_for_a_time(question: str, expected: bool) -> None:
    assert asks_time(question) == expected


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("The capital of Australia is not Sydney, but Canberra.", "What is the capital of Australia?", "Canberra"),
        ("It is not Sydney but Canberra.", "What is the capital of Australia?", "Canberra"),
        ("Not Sydney, but Canberra.", "What is the capital of Australia?", "Canberra"),
        ("The capital isn't Sydney, but rather Canberra.", "What is the capital of Australia?", "Canberra"),
        ("He did not attend Oxford but Cambridge.", "Which university did he attend?", "Cambridge"),
        ("Die Hauptstadt ist nicht Sydney, sondern Canberra.", "Was ist die Hauptstadt von Australien?", "Canberra"),
        ("La capitale n'est pas Sydney, mais Canberra.", "Quelle est la capitale de l'Australie ?", "Canberra"),
        ("La capital no es Sídney, sino Canberra.", "¿Cuál es la capital de Australia?", "Canberra"),
        ("La capitale non è Sydney, ma Canberra.", "Qual è la capitale dell'Australia?", "Canberra"),
        ("A capital não é Sydney, mas Canberra.", "Qual é a capital da Austrália?", "Canberra"),
        ("De hoofdstad is niet Sydney, maar Canberra.", "Wat is de hoofdstad van Australië?", "Canberra"),
        ("Столица не Сидней, а Канберра.", "Какая столица Австралии?", "Канберра"),
        ("澳大利亚的首都不是悉尼，而是堪培拉。", "澳大利亚的首都是哪里？", "堪培拉"),
        # Not denied, or not put right.
        ("It is not only Sydney, but also Canberra.", "Which cities are large?", "Sydney"),
        ("The capital is not Sydney.", "What is the capital of Australia?", "Sydney"),
        ("The city is not found in Europe but rather in the", "In which country is the city?", "Europe"),
    ],
)
def test_what_is_denied_and_put_right_is_no_answer(response: str, question: str, expected: str) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize("part", ["in 1928, ", "May 4, 1999, ", "not Rome but ", "not Rome ", "abcdefgh", "first "])
def test_a_response_of_many_times_or_denials_is_read_in_seconds(part: str) -> None:
    started = time.process_time()
    phrase(part * (100_000 // len(part)), "Who won the match?")
    # About a second on a slow core; a time that grows with the square of the length was minutes.
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Whose birthday is in May?", False),
        ("Whom did the year 1928 honour?", False),
        ("Why did it end in that year?", False),
        ("Where was he in that year?", False),
        ("Who was king when it burnt?", False),
        ("Who did it and when?", True),
        ("When did he die?", True),
        ("In which year did he die?", True),
    ],
)
def test_the_first_word_that_asks_says_whether_a_time_is_meant(question: str, expected: bool) -> None:
    assert asks_time(question) is expected


def test_two_times_side_by_side_are_two() -> None:
    response = "In 1928, on Monday he came."
    found = times(words_of(response), response)
    assert found == {0: Time(0, 2, True), 1: Time(0, 2, True), 2: Time(2, 4, True), 3: Time(2, 4, True)}
