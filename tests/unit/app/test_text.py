"""Text of people and models is shown as it is and does nothing."""

from __future__ import annotations

import html as stdlib_html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import text

HOSTILE = [
    "<script>alert(1)</script>",
    "<|im_end|>",
    "**bold** _it_ `code`",
    "[link](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "$x^2$",
    ":red[stop] :material/star: :smile:",
    "# heading",
    "&lt;b&gt;",
    "a\u202eb\x07c",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_becomes_html_without_a_tag(words: str) -> None:
    shown = text.html(words)
    assert "<" not in shown and ">" not in shown
    assert stdlib_html.unescape(shown) == text.named(words)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_becomes_markdown_without_a_mark(words: str) -> None:
    shown = text.markdown(words)
    bare = re.sub(r"&#\d+;", "", shown)
    assert not re.search(r"[!-/:-@\[-`{-~]", bare)


@given(st.text(max_size=80))
def test_markdown_shows_the_text_it_was_given(words: str) -> None:
    plain = stdlib_html.unescape(text.markdown(words)).replace(text.BREAK, "")
    assert plain == " ".join(text.named(words).replace(text.BREAK, "").split("\n"))


@pytest.mark.parametrize(
    "words", ["a -> b", "a <- b", "a -- b", "http://example.org", "HTTPS://x.y", "www.example.org", "me@example.org"]
)
def test_arrows_dashes_and_bare_addresses_are_broken_so_that_nothing_is_made_of_them(words: str) -> None:
    assert text.BREAK in text.markdown(words)
    assert text.BREAK not in text.markdown("a - b > c: d")


def test_characters_that_cannot_be_seen_are_named() -> None:
    assert text.named("a\u202eb\x07") == "a⟨U+202E⟩b␇"
    assert text.named("plain ü 漢 😀\n") == "plain ü 漢 😀\n"


def test_a_block_keeps_line_ends_and_escapes() -> None:
    assert "a\n&lt;b&gt;" in text.block("a\n<b>")
    assert "&nbsp;" in text.block("")
