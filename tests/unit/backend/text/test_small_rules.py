"""Rules of single words, each held by the shortest answer that shows it."""

from __future__ import annotations

import pytest

from backend.text.verdict import normalise, places, verdict

RIGHT = [
    # A part without a subject is of the next one's: no word of whoever answers.
    ("Unsure about the way, he went to Rome.", "Rome"),
    ("Unsure of the way, he went to Rome.", "Rome"),
    ("Being unsure, Hamlet.", "Hamlet"),
    ("Having been unsure, Hamlet stayed in Elsinore.", "Elsinore"),
    # What was never unknown is known.
    ("Cairo, never unknown, is the capital.", "Cairo"),
    ("Cairo, not unknown, is the capital.", "Cairo"),
    # Numbers in a list are numbers; one character may be a fraction.
    ("They are 1,2,3.", "2"),
    ("It is ⅔.", "2/3"),
    ("It is 7 1984 times.", "1984"),
    ("It is -7 1984 times.", "-7"),
    # Initials with and without full stops, also where the letters are a small word in small letters.
    ("It is the US.", "U.S."),
    ("It is the U.S.", "US"),
    ("It is IT.", "I.T."),
    ("It is J. R. R. Tolkien.", "JRR Tolkien"),
    ("It is JRR Tolkien.", "J.R.R. Tolkien"),
    # Some of the words that hyphens join are a word.
    ("It is Coca-Cola-Light.", "CocaCola"),
    ("It is Coca-Cola-Light.", "CocaColaLight"),
]
WRONG = [
    ("The capitals are not: Rome.", "Rome"),
    ("The capitals were not: Rome.", "Rome"),
    ("The capital was not: Rome.", "Rome"),
    ("Is not: Rome.", "Rome"),
    # What is said in small letters is no name in capitals, and two names are none with a sign between.
    ("It belongs to us.", "U.S."),
    ("He said no.", "N.O."),
    ("It is so.", "S-o"),
    ("It is JOHNSON J.", "JOHNSON and J"),
    # The sign is a part of the first number alone.
    ("It is -7 1984 times.", "7"),
    ("It is -7 1984 times.", "-1984"),
    # I is a word of the one who answers where it is written so, and L is an initial.
    ("The symbol is what I said: Cl.", "I"),
    ("He is Johnny 50.", "Johnny L"),
    ("He is Malcolm 10.", "Malcolm X"),
]


@pytest.mark.parametrize(
    ("answer", "known", "expected"),
    [*((*pair, "right") for pair in RIGHT), *((*pair, "wrong") for pair in WRONG)],
)
def test_an_answer_shows_the_rule(answer: str, known: str, expected: str) -> None:
    assert verdict(answer, (known,)) == expected


ORDINALS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 10: "10th", 11: "11th", 12: "12th", 13: "13th", 14: "14th"}
ORDINALS |= {20: "20th", 21: "21st", 22: "22nd", 23: "23rd", 24: "24th", 30: "30th", 31: "31st"}


@pytest.mark.parametrize(("day", "ordinal"), ORDINALS.items())
def test_a_day_beside_its_month_may_have_its_ending(day: int, ordinal: str) -> None:
    for written, known in ((ordinal, str(day)), (str(day), ordinal)):
        assert verdict(f"It was on May {written}.", (f"May {known}",)) == "right"
        assert verdict(f"It was on {written} May.", (f"{known} May",)) == "right"
    assert verdict(f"It was the {ordinal}.", (str(day),)) == "wrong", "no month, no day"


def roman(number: int) -> str:
    """By the rule of school: the largest sign that still fits, again and again."""
    signs = {50: "L", 40: "XL", 10: "X", 9: "IX", 5: "V", 4: "IV", 1: "I"}
    written = ""
    for value, sign in signs.items():
        written += sign * (number // value)
        number %= value
    return written


# X and L are initials as well: "Malcolm X" is no tenth Malcolm.
@pytest.mark.parametrize("number", sorted(set(range(1, 90)) - {10, 50}))
def test_a_numeral_behind_a_name_may_be_roman(number: int) -> None:
    numeral = roman(number)
    assert verdict(f"It was Super Bowl {number}.", (f"Super Bowl {numeral}",)) == "right"
    assert verdict(f"It was Super Bowl {numeral}.", (f"Super Bowl {number}",)) == "right"
    assert verdict(f"It was Super Bowl {numeral}.", (f"Super Bowl {number % 89 + 1}",)) == "wrong"


def test_a_last_a_is_a_part_of_a_name_and_other_articles_are_none() -> None:
    assert (normalise("Vitamin A"), normalise("a tale of the sea"), normalise("A")) == ("vitamin a", "tale of sea", "")


def test_of_two_known_spellings_the_longer_one_is_the_place() -> None:
    answer = "New York City it is."
    for known in (("New York", "New York City"), ("New York City", "New York")):
        assert list(places(answer, known)) == [(0, len("New York City"))]
