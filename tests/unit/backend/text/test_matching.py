"""How much is done for a word, and what no word may do to whoever reads it."""

from __future__ import annotations

import pytest
import regex

from backend.text import matching
from backend.text.matching import iterate_tokens
from backend.text.verdict import verdict


class Counted:
    """A pattern that notes what it is asked about."""

    def __init__(self, pattern: regex.Pattern[str]) -> None:
        self.pattern, self.asked = pattern, list[str]()

    def fullmatch(self, text: str) -> regex.Match[str] | None:
        self.asked.append(text)
        return self.pattern.fullmatch(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The opposite of begin is end 1990s", []),
        ("Zürich", ["Zürich"]),
        ("l'Italie", ["l'Italie"]),
        ("Cervantes's", ["Cervantes's", "Cervantes"]),
    ],
)
def test_each_form_of_a_word_is_looked_at_once_and_a_plain_word_not_at_all(
    text: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(matching._ELIDED)
    monkeypatch.setattr(matching, "_ELIDED", counted)
    list(iterate_tokens(text))
    assert counted.asked == expected


@pytest.mark.parametrize("text", [f"{'1' * 5000}/2", f"1/{'2' * 5000}", f"1x10^{'1' * 5000}", f"2 x 10^-{'9' * 5000}"])
def test_figures_longer_than_python_reads_are_words_like_others(text: str) -> None:
    assert verdict(f"Paris {text}", ("Paris",)) == "right"
