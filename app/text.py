"""Text of people and models made safe to show: as HTML and as Streamlit's Markdown.

Owns the only two ways in which such text reaches the page. Refuses to keep any markup: what was typed
is what is seen, with control and direction characters named.
"""

from __future__ import annotations

import re
from html import escape

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_DIRECTION}]")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
BREAK = "\u2060"
"""A word joiner, which is not seen: it stands where Streamlit would make an arrow, a dash or a link of plain text."""
_MADE_UP = re.compile(r"(?<=-)(?=[->])|(?<=<)(?=-)|(?<=:)(?=//)|(?<=@)|(?<=www)(?=\.)", re.IGNORECASE)


def named(words: str) -> str:
    """`words` with each character that cannot be seen replaced by its name."""
    return _UNSEEN.sub(_name, words)


def _name(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def html(words: str) -> str:
    """`words` as HTML that shows it and does nothing else."""
    return escape(named(words), quote=True)


def block(words: str) -> str:
    """An answer as an HTML paragraph: line ends kept, its own direction, 19 px."""
    style = "font-size:1.1875rem;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate"
    return f'<div class="answer" dir="auto" style="{style}">{html(words) if words else "&nbsp;"}</div>'


def markdown(words: str) -> str:
    """`words` as Markdown that shows it as typed: no link, image, formula, colour or arrow comes out of it.

    Each punctuation mark becomes a character reference, which no Streamlit directive is written with.
    """
    broken = _MADE_UP.sub(BREAK, " ".join(named(words).split("\n")))
    return _PUNCTUATION.sub(lambda match: f"&#{ord(match.group())};", broken)
