"""An answer as escaped HTML, with what differs from the baseline marked inside the text.

Owns the marks: a pointer ▸ at the first split, an underlined tint on changed stretches. Model text
is data: it is escaped, its control and direction characters are named, and it is never Markdown.
"""

from __future__ import annotations

import re
from html import escape

from app.style import Palette
from app.widgets.compare_words import Kind, kind
from backend.types import Comparison, Row

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_DIRECTION}]")
POINTER = "▸"
SPLIT_WORDS = "first difference"


def safe(text: str) -> str:
    """`text` as HTML that shows it and does nothing else: escaped, with unseen characters named."""
    return escape(_UNSEEN.sub(_named, text), quote=True)


def _named(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def colour(role: Kind, palette: Palette) -> str:
    """The role's colour, the same on every page."""
    return {"baseline": palette.baseline, "chosen": palette.chosen, "control": palette.twin}[role]


def shape(role: Kind, palette: Palette) -> str:
    """The role's shape: circle, square, hatched square. A word always stands beside it."""
    tint = colour(role, palette)
    base = "display:inline-block;width:16px;height:16px;flex:none;vertical-align:-2px;"
    if role == "baseline":
        look = f"border-radius:50%;background:{tint}"
    elif role == "chosen":
        look = f"border-radius:3px;background:{tint}"
    else:
        stripes = f"repeating-linear-gradient(45deg,{tint} 0 3px,{palette.page} 3px 5px)"
        look = f"border-radius:3px;border:2px solid {tint};box-sizing:border-box;background:{stripes}"
    return f'<span aria-hidden="true" style="{base}{look}"></span>'


def marked(row: Row, result: Comparison, leaving: Row | None, palette: Palette) -> str:
    """The row's answer with its differences marked.

    Args:
        row: the row to write.
        result: the comparison it belongs to; its first row is the baseline.
        leaving: for the baseline's own text, the row whose departure the pointer shows.
        palette: the theme's colours.
    """
    if row.plan.arm == "baseline":
        return _wrapped(_baseline(row, leaving, palette))
    return _wrapped(_parts(row, palette))


def plain(text: str) -> str:
    """An answer that is still being written: escaped, without marks."""
    return _wrapped(safe(text) if text else "&nbsp;")


def _wrapped(inner: str) -> str:
    style = "font-size:1.1875rem;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate"
    return f'<div class="answer" dir="auto" style="{style}">{inner}</div>'


def _pointer(tint: str) -> str:
    return f'<span role="img" aria-label="{SPLIT_WORDS}" style="color:{tint}">{POINTER}</span>'


def _baseline(row: Row, leaving: Row | None, palette: Palette) -> str:
    if leaving is None or leaving.split is None:
        return safe(row.text)
    cut = _place(row, leaving.split.position)
    if cut is None:
        return safe(row.text)
    rest = safe(row.text[cut:])
    line = f"text-decoration:underline dotted {palette.muted};text-underline-offset:0.25em"
    lost = f'<span style="{line}">{rest}</span>' if rest else ""
    return f"{safe(row.text[:cut])}{_pointer(palette.muted)}{lost}"


def _place(row: Row, position: int) -> int | None:
    """Where in the row's text its token `position` begins; None where the tokens do not spell the text."""
    before = "".join(token.text for token in row.tokens[:position])
    if row.text.startswith(before):
        return len(before)
    before = before.lstrip()
    return len(before) if row.text.startswith(before) else None


def _parts(row: Row, palette: Palette) -> str:
    tint = colour(kind(row.plan), palette)
    style = (
        f"background:color-mix(in srgb,{tint} 16%,transparent);border-bottom:2px solid {tint};"
        "font-weight:600;padding:0 2px;border-radius:2px 2px 0 0;-webkit-box-decoration-break:clone;"
        "box-decoration-break:clone"
    )
    pieces: list[str] = []
    pointed = row.split is None
    for part in row.diff:
        if not part.same and not pointed:
            pieces.append(_pointer(tint))
            pointed = True
        pieces.append(safe(part.text) if part.same else f'<mark style="{style};color:inherit">{safe(part.text)}</mark>')
    if not pointed:
        pieces.append(_pointer(tint))
    return "".join(pieces)
