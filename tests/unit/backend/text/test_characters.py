"""A character that several tokens make is shown once it is whole, wherever the cuts fall."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.text.characters import completed_characters, shown_bytes


def told(pieces: Sequence[bytes]) -> list[str | None]:
    texts = [piece.decode("utf-8", "replace") for piece in pieces]
    ids = list(range(len(pieces)))
    return completed_characters(ids, texts, lambda run: b"".join(pieces[i] for i in run).decode("utf-8", "replace"))


def cut(text: str, places: Sequence[int]) -> list[bytes]:
    raw = text.encode()
    edges = [0, *sorted({place % (len(raw) or 1) for place in places} - {0}), len(raw)]
    return [raw[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([b"The", b" sun"], [None, None]),
        (["東".encode()[:2], "東".encode()[2:]], ["", "東"]),
        (["東".encode()[:1], "東".encode()[1:2], "東".encode()[2:]], ["", "", "東"]),
        ([b"a", "東京".encode()[:2], "東京".encode()[2:4], "東京".encode()[4:], b"."], [None, "", "東", "京", None]),
        (["🙂".encode()[:3], "🙂".encode()[3:]], ["", "🙂"]),
        ([" é".encode()[:2], " é".encode()[2:]], [" ", "é"]),
        (["東".encode()[:2], b" x"], [None, None]),
        (["東".encode()[:2]], [None]),
        ([b"\xff", "東".encode()[:2], "東".encode()[2:]], [None, "", "東"]),
        ([], []),
    ],
)
def test_the_last_token_has_the_character_and_bytes_that_never_become_one_stay(
    pieces: list[bytes], shown: list[str | None]
) -> None:
    assert told(pieces) == shown


@given(st.text(min_size=1, max_size=12), st.lists(st.integers(0, 60), max_size=12))
def test_however_text_is_cut_its_tokens_together_are_the_text(text: str, places: list[int]) -> None:
    text = text.replace("\ufffd", "?")
    pieces = cut(text, places)
    found = told(pieces)
    # A token that is text by itself can follow at once only where the one before was whole.
    parts = [piece.decode("utf-8", "replace") if one is None else one for piece, one in zip(pieces, found, strict=True)]
    assert "".join(parts) == text


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        ("æĿ", "⟨E6 9D⟩"), ("Ġæ", " ⟨E6⟩"), ("ī", "⟨89⟩"), ("aÃ", "a⟨C3⟩"), ("<0xE6>", "⟨E6⟩"), ("<0x41>", "A"),
        ("▁東", None), ("", None),
    ],
)  # fmt: skip
def test_a_piece_that_is_no_text_is_shown_as_its_bytes(piece: str, shown: str | None) -> None:
    assert shown_bytes(piece) == shown
