"""Differences of answers: nothing of the text is lost, and what is marked as same is in the baseline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.text.diff import first_split, tokens_changed, word_diff

TEXTS = st.text(st.sampled_from("ab .,\né😀"), max_size=40) | st.text(max_size=40)
TOKENS = st.lists(st.integers(0, 4), max_size=12)


@given(TEXTS, TEXTS)
def test_the_parts_joined_are_the_text_and_no_two_neighbours_are_of_one_kind(baseline: str, text: str) -> None:
    parts = word_diff(baseline, text)
    assert "".join(part.text for part in parts) == text
    assert all(part.text or part.left_out for part in parts)
    assert "".join(part.text if part.same else part.left_out for part in parts) == baseline
    assert all(one.same != other.same for one, other in zip(parts, parts[1:], strict=False))


@given(TEXTS)
def test_a_text_does_not_differ_from_itself_and_wholly_from_nothing(text: str) -> None:
    assert all(part.same for part in word_diff(text, text))
    assert not any(part.same for part in word_diff("", text))
    assert not any(part.same for part in word_diff(text, ""))


@given(TEXTS, TEXTS)
def test_what_is_marked_as_same_stands_in_the_baseline_in_that_order(baseline: str, text: str) -> None:
    """In pieces, where the baseline has words between that the text left out."""
    remaining = iter(baseline)
    same = "".join(part.text for part in word_diff(baseline, text) if part.same)
    assert all(character in remaining for character in same)


@pytest.mark.parametrize(
    ("baseline", "text", "changed"),
    [
        ("The capital is Cairo.", "The capital is Giza.", ["Giza"]),
        ("It is in New York", "It is in Old London", ["Old London"]),
        ("One two", "One", [""]),
        ("It is not true.", "It is true.", [""]),
        ("One", "One two", [" two"]),
        ("Cairo", "cairo", ["cairo"]),
        ("a, b", "a; b", [";"]),
    ],
)
def test_changed_words_are_marked_as_stretches(baseline: str, text: str, changed: list[str]) -> None:
    assert [part.text for part in word_diff(baseline, text) if not part.same] == changed


@given(TOKENS, TOKENS)
def test_tokens_changed_lies_between_none_and_all(baseline: list[int], ids: list[int]) -> None:
    assert 0 <= tokens_changed(baseline, ids) <= len(ids)
    assert tokens_changed(ids, ids) == 0
    assert tokens_changed([], ids) == len(ids)


def test_an_inserted_token_is_one_change_not_a_change_of_all_behind_it() -> None:
    assert tokens_changed([1, 2, 3, 4], [1, 9, 2, 3, 4]) == 1


@given(TOKENS, TOKENS)
def test_the_first_split_is_the_first_place_without_agreement(one: list[int], other: list[int]) -> None:
    place = first_split(one, other)
    if place is None:
        assert one == other
    else:
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]
    assert place == first_split(other, one)
