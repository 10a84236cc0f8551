"""The phrase that answers: the same rule on both sides, and it agrees with words marked by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from backend.identify.answers import phrases
from backend.identify.answers.phrases import phrase
from backend.identify.answers.spans import new_words, span_by_rule
from backend.identify.answers.wording import Word, is_parted
from backend.types.identify import Question
from backend.types.plan import Plan
from benchmarks.words import agreement, marks


def said(response: str, question: str) -> str | None:
    span = phrase(response, question)
    return None if span is None else response[span.start : span.end]


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        # What is called so is the answer, "called" is not.
        ("The mineral is called talc.", "Which mineral is the softest?", "talc"),
        ("The softest one is a mineral named talc.", "Which mineral is the softest?", "talc"),
        ("It is a type of fruit that is often referred to as a “mango”.", "Which fruit?", "mango"),
        ("The answer: Paris", "Which city?", "Paris"),
        # What denies is read as "is" too.
        ("The seat of government isn't Lyon but Paris.", "What is the capital of France?", "Paris"),
        # A kind is passed over for what is of that kind.
        ("The North Sea is a part of the ocean between Britain and Norway.",
         "Between which countries is the North Sea?", "Britain and Norway"),
        ("It is a type of sauce.", "What is pesto?", "sauce"),
        ("Kure is a city in Japan.", "In which country is Kure?", "Japan"),
        ("It is a country.", "What is Peru?", "country"),
        ("It is red in the middle.", "What colour is it?", "red"),
        # A verb is passed over for its object.
        ("Jimi Hendrix plays the guitar.", "Which instrument does Jimi Hendrix play?", "guitar"),
        ("The dish originates from Italy.", "From which country does the dish Pizza come?", "Italy"),
        ("It is made in Japan.", "Where is Sushi made?", "Japan"),
        # Names stay whole, also with a word of the question; other words of the question do not belong.
        ("It is in New York City.", "In which city is the Met?", "New York City"),
        ("He attended the University of Bologna, Italy.", "Which university did he attend?", "University of Bologna"),
        ("It is in the constellation Andromeda.", "In which constellation is it?", "Andromeda"),
        ("It is a soil sampler.", "Which tool is used for soil?", "soil sampler"),
        ("The CEO of Tesla, Inc., is Elon Musk.", "Who is the chief executive of Tesla, Inc.?", "Elon Musk"),
        ("He is John F. Kennedy. He won", "Who is he?", "John F. Kennedy"),
        # What is put first, where the question asks where or when.
        ("In Japan, it is a shrine in Tokyo.", "In which country is the shrine?", "Japan"),
        ("In 1828, he was born in Tennessee.", "When was he born?", "1828"),
        # A subject that the question has not.
        ("Zirconium is a chemical element with the symbol Zr.", "Which element has the symbol Zr?", "Zirconium"),
        ("Paris is the capital.", "What is the capital of France?", "Paris"),
        # A figure where one is asked for.
        ("It is an element with the atomic number of 13.", "What is the atomic number of aluminum?", "13"),
        ("He became the 17th President in 1817.", "In which year did he become president?", "1817"),
        # Said again behind "be".
        ("The past tense of “hit” is “hit”.", "What is the past tense of “hit”?", "hit"),
        ("The capital of Hong Kong is Hong Kong.", "What is the capital of Hong Kong?", "Hong Kong"),
        # Words that say nothing elsewhere, in quotes.
        ("The opposite of \"yes\" is \"no.\"", "What is the opposite of “yes”?", "no"),
        ("The last letter of \"TICKETS\" is \"S\".", "What is the last letter of “TICKETS”?", "S"),
        # Words that lead to the answer, and the response alone.
        ("We call the mineral talc.", "Which mineral is the softest?", "talc"),
        ("Response: Paris", "Which city?", "Paris"),
        ("A game of baseball", "Which sport does he play?", "baseball"),
        ("18", "What is the last letter of the word “MILE”?", "18"),
        ("1. Paris\n2. London", "Which city?", "Paris"),
        ("Aluminum (Al)", "Which chemical element has the symbol Zn?", "Aluminum"),
        ('"A"', "Which letter?", "A"),
        ("“A”", "Which letter?", "A"),
        ("The answer is “Paris.”", "Which city?", "Paris"),
        ('The word "NOON" starts with a "N".', "What is the first letter of the word “NOON”?", "N"),
        ("Zirconium is not a gas but a metal.", "Which element is it?", "Zirconium"),
        ("한국의 수도는 서울입니다.", "한국의 수도는 어디입니까?", "서울"),
        # Scripts without spaces.
        ("澳大利亚的首都是堪培拉。", "澳大利亚的首都是哪里？", "堪培拉"),
    ],
)  # fmt: skip
def test_the_phrase_that_answers(response: str, question: str, expected: str) -> None:
    assert said(response, question) == expected


def test_the_second_time_is_meant_where_words_are_said_again() -> None:
    response = "The past tense of “hit” is “hit”."
    span = phrase(response, "What is the past tense of “hit”?")
    assert span is not None and span.start == response.rindex("hit")


@pytest.mark.parametrize(
    "response", ["", "...", "It is the capital of Panama", "What is the capital?", "In Panama, Panama."]
)
def test_a_response_that_only_repeats_the_question_has_no_phrase(response: str) -> None:
    assert said(response, "What is the capital of Panama?") is None


@pytest.mark.parametrize("part", ["tried", "checked"])
def test_it_agrees_with_words_marked_by_hand_better_than_the_first_new_words_on_both_sides(part: str) -> None:
    held = [mark for mark in marks() if mark.part == part]
    for side in ("right", "wrong"):
        ours, first = (
            np.array([agreement(one, rule(one.response, one.question.text)) for one in held if one.side == side])
            for rule in (phrase, new_words)
        )
        assert ours[:, 0].mean() >= 0.8, f"{side}: the very words"
        assert (ours.mean(axis=0) > first.mean(axis=0) + 0.1).all(), side


def test_right_and_wrong_answers_have_the_same_phrase() -> None:
    """Words found by two rules can be told apart by the rules alone."""
    for mark in marks():
        question = mark.question.model_copy(update={"answers": (mark.response,)})
        assert span_by_rule(mark.response, question, "right", "phrase") == span_by_rule(
            mark.response, question, "wrong", "phrase"
        )


def test_a_right_answer_is_kept_if_any_place_of_its_spelling_is_in_the_phrase() -> None:
    question = Question(id="q", text="What is the capital of Djibouti?", answers=("Djibouti",))
    response = "The capital of Djibouti is Djibouti."
    span = span_by_rule(response, question, "right", "phrase")
    assert span is not None and span.start == response.rindex("Djibouti")
    assert span_by_rule("The capital of Djibouti is Rome.", question, "right", "phrase") is None


def test_new_plans_read_phrases_and_older_ones_keep_their_rule() -> None:
    assert Plan().words == "phrase"
    assert Plan.model_validate({"words": "blind"}).words == "blind"


@given(st.text(max_size=60) | st.text(st.sampled_from("aAb isof.,\"'thecaled"), max_size=40), st.text(max_size=30))
def test_a_phrase_lies_in_its_response_and_begins_in_a_word(response: str, question: str) -> None:
    span = phrase(response, question)
    if span is not None:
        assert 0 <= span.start < span.end <= len(response)
        assert regex.match(r"[\p{L}\p{N}]", response[span.start])


def test_where_parts_end_is_asked_once_for_each_word(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counting(words: Sequence[Word], place: int, run: Sequence[Word]) -> bool:
        asked.append(place)
        return is_parted(words, place, run)

    monkeypatch.setattr(phrases, "is_parted", counting)
    phrase("The stone, named after some saint, is talc. It was found here.", "Which stone?")
    assert asked == list(range(12))


@pytest.mark.parametrize("part", ["not really ", "北京", "do not have any ", "3 x 10^", "J. "])
def test_the_words_of_a_response_of_many_pages_are_found_in_seconds(part: str) -> None:
    started = time.process_time()
    phrase(part * (100_000 // len(part)), "What is the capital?")
    # Half a second to two on a slow core; a time that grows with the square of the length was minutes.
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("Answer: Microsoft Corporation", "Which company makes Windows?", "Microsoft Corporation"),
        ("**Answer:** Paris", "What is the capital of France?", "Paris"),
        ("1. Iran", "In which country is Shiraz?", "Iran"),
        ("1) Paris\n2) Rome", "What is the capital of France?", "Paris"),
        ("The cities:\n1. Lyon", "Which cities are large?", "Lyon"),
        ("1", "How many are there?", "1"),
        ("1.5 million", "How many are there?", "1.5 million"),
        ("He was born on 5 May 1969.", "When was he born?", "5 May 1969"),
        ("It was Theresa May.", "Who was it?", "Theresa May"),
        ("It may be Rome.", "Which city is it?", "Rome"),
    ],
)
def test_labels_and_numbers_of_points_are_no_answer(response: str, question: str, expected: str) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("Scientists call the mineral talc.", "Which mineral is the softest?", "talc"),
        ("The Romans called it Londinium.", "What was London called?", "Londinium"),
        ("People call this fruit a mango.", "Which fruit is it?", "mango"),
        ("They named the ship Titanic.", "Which ship sank?", "Titanic"),
        ("Most call him Pelé.", "Who is he?", "Pelé"),
        ("Astronomers call the star Vega.", "Which star is it?", "Vega"),
        ("The stone, named after Saint Talcus, is talc.", "Which stone is it?", "talc"),
        ("The stone, which is named after Saint Talcus, is talc.", "Which stone is it?", "talc"),
        ("The city, called after a king, is Georgetown.", "Which city is it?", "Georgetown"),
        ("The mineral, which is found in Italy, is talc.", "Which mineral is it?", "talc"),
        ("Die Hauptstadt heißt Paris.", "Was ist die Hauptstadt von Frankreich?", "Paris"),
        ("Die Hauptstadt von Frankreich ist Paris.", "Wie heißt die Hauptstadt von Frankreich?", "Paris"),
        ("La capitale s'appelle Paris.", "Quelle est la capitale de la France ?", "Paris"),
        ("La capital se llama Lima.", "¿Cuál es la capital del Perú?", "Lima"),
        ("La capitale si chiama Roma.", "Qual è la capitale d'Italia?", "Roma"),
        ("De hoofdstad heet Amsterdam.", "Wat is de hoofdstad van Nederland?", "Amsterdam"),
        ("Столица называется Москва.", "Какая столица России?", "Москва"),
        ("日本の首都は東京です。", "日本の首都はどこですか？", "東京"),
        ("日本の首都は東京である。", "日本の首都は？", "東京"),
        ("答えは金だ。", "この元素は何？", "金"),
        ("法国的首都叫巴黎。", "法国的首都是哪里？", "巴黎"),
        ("เมืองหลวงของไทยคือกรุงเทพ", "เมืองหลวงของไทยอยู่ที่ไหน", "กรุงเทพ"),
        ("He took the call from Rome.", "Where did it come from?", "Rome"),
        ("It was named after Saint George.", "After whom was it named?", "Saint George"),
        ("Zirconium, named after zircon, is a metal.", "Which element is it?", "Zirconium"),
        ("Germans call it Köln.", "What is Cologne in German?", "Köln"),
        ("Experts call this a quasar.", "What is it?", "quasar"),
        ("The French call the dish ratatouille.", "Which dish is it?", "ratatouille"),
        ("Locals know it as Dubh Linn.", "What is Dublin?", "Dubh Linn"),
        ("Scientists refer to it as argon.", "Which gas is it?", "argon"),
        ("The ship, named for Queen Mary, was the Titanic.", "Which ship sank?", "Titanic"),
        ("The element, called after Curie, is curium.", "Which element is it?", "curium"),
        ("The winner, who was born in Rome, was Loren.", "Who was the winner?", "Loren"),
        ("The gas, discovered in 1898, is neon.", "Which gas is it?", "neon"),
        ("Il capitale è Roma.", "Qual capitale?", "Roma"),
        ("A capital é Lisboa.", "Qual a capital?", "Lisboa"),
        ("Huvudstaden heter Oslo.", "Vad är huvudstaden?", "Oslo"),
        ("Ibu kotanya adalah Jakarta.", "Apa ibu kota Indonesia?", "Jakarta"),
        ("भारत की राजधानी दिल्ली है।", "भारत की राजधानी क्या है?", "दिल्ली"),
        ("عاصمة مصر هي القاهرة", "ما عاصمة مصر؟", "القاهرة"),
        ("首都は大阪だった。", "首都はどこ？", "大阪"),
        ("作者は夏目漱石でした。", "作者は誰？", "夏目漱石"),
        ("这座城市名叫上海。", "这座城市是？", "上海"),
        ("답은 파리예요.", "답은?", "파리"),
        ("It is a call.", "What is it?", "call"),
        ("They call for peace in Rome.", "Where?", "Rome"),
        ("3 times 4 equals 12.", "What is 3 times 4?", "12"),
        ("한국의 수도는 서울입니다.", "한국의 수도는 어디입니까?", "서울"),
    ],
)
def test_verbs_that_name_and_what_means_is_in_other_languages_are_no_part_of_the_answer(
    response: str, question: str, expected: str
) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("Sure! The red planet is Mars.", "Which planet is red?", "Mars"),
        ("Great question! The red planet is Mars.", "Which planet is red?", "Mars"),
        ("That's an interesting question. It is Mars.", "Which planet is red?", "Mars"),
        ("Of course! Sure! Mars.", "Which planet is red?", "Mars"),
        ("Sure!", "Which deodorant is it?", "Sure"),
        ("Sure thing", "Which song is it?", "Sure thing"),
        ("The symbol is He.", "What is the chemical symbol of helium?", "He"),
        ("The symbol of arsenic is: As", "What is the chemical symbol of arsenic?", "As"),
        ("It is in Rome.", "Where is it?", "Rome"),
    ],
)
def test_what_a_polite_answer_begins_with_is_no_answer_and_a_symbol_is_no_small_word(
    response: str, question: str, expected: str
) -> None:
    assert said(response, question) == expected


@pytest.mark.parametrize(
    ("response", "question", "got"),
    [
        # A name between commas is no predicate, and one that the rule cannot tell from "The capital, a port, is large."
        ("The capital, Paris, is large.", "What is the capital?", "large"),
        # A capital begins every noun of German: the subject looks like a name.
        ("Der Autor ist Goethe.", "Wer hat Faust geschrieben?", "Der Autor"),
    ],
)
def test_what_the_rule_cannot_tell_is_known(response: str, question: str, got: str) -> None:
    assert said(response, question) == got
