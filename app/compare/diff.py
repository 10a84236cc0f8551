"""An answer as escaped HTML, with what differs from the baseline marked inside the text.

Owns the marks: a pointer ▸ at the first split, an underlined tint on changed stretches, a struck line through
words of the baseline that are only left out. Model text is data: `text` escapes it, and nothing of it is read
as markup.
"""

from __future__ import annotations

from app import roles, text
from app.style import Palette
from backend.types import Row

POINTER = "▸"
SPLIT_WORDS = "first difference"
MOST_LEFT_OUT = 40
"""Characters of left-out words that are written; of longer ones the beginning."""


def marked(row: Row, leaving: Row | None, palette: Palette) -> str:
    """The row's answer with its differences marked.

    Args:
        row: the row to write.
        leaving: for the baseline's own text, the row whose departure the pointer shows.
        palette: the theme's colours.
    """
    if row.plan.arm == "baseline":
        return _paragraph(_baseline(row, leaving, palette))
    return _paragraph(_parts(row, palette))


def _paragraph(inner: str) -> str:
    style = "font-size:1.1875rem;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate"
    return f'<div class="answer" dir="auto" style="{style}">{inner or "&nbsp;"}</div>'


def _pointer(tint: str) -> str:
    return f'<span role="img" aria-label="{SPLIT_WORDS}" style="color:{tint}">{POINTER}</span>'


def _baseline(row: Row, leaving: Row | None, palette: Palette) -> str:
    if leaving is None or leaving.split is None:
        return text.html(row.text)
    cut = _place(row, leaving.split.position)
    if cut is None:
        return text.html(row.text)
    space, words = _led(row.text[cut:])
    rest = text.html(words)
    line = f"text-decoration:underline dotted {palette.muted};text-underline-offset:0.25em"
    lost = f'<span style="{line}">{rest}</span>' if rest else ""
    return f"{text.html(row.text[:cut] + space)}{_pointer(palette.muted)}{lost}"


def _left_out(words: str, palette: Palette) -> str:
    """Words of the baseline that this row leaves out, struck through; they are not copied with the answer."""
    short = words.strip()
    if not short:
        return ""
    if len(short) > MOST_LEFT_OUT:
        short = short[:MOST_LEFT_OUT].rsplit(" ", 1)[0] + " …"
    before, after = (" " if end.isspace() else "" for end in (words[0], words[-1]))
    style = f"color:{palette.muted};text-decoration:line-through;user-select:none"
    return f'{before}<del title="left out" style="{style}">{text.html(short)}</del>{after}'


def _led(words: str) -> tuple[str, str]:
    """Leading white space and the rest: a mark begins at a letter, and says where it begins."""
    rest = words.lstrip(" \n\t")
    return words[: len(words) - len(rest)], rest


def _place(row: Row, position: int) -> int | None:
    """Where in the row's text its token `position` begins; None where the tokens do not spell the text."""
    before = "".join(token.text for token in row.tokens[:position])
    if row.text.startswith(before):
        return len(before)
    before = before.lstrip()
    return len(before) if row.text.startswith(before) else None


def _parts(row: Row, palette: Palette) -> str:
    tint = roles.colour(roles.kind(row.plan), palette)
    style = (
        f"background:color-mix(in srgb,{tint} 16%,transparent);border-bottom:2px solid {tint};"
        "font-weight:600;padding:0 2px;border-radius:2px 2px 0 0;-webkit-box-decoration-break:clone;"
        "box-decoration-break:clone"
    )
    pieces: list[str] = []
    pointed = row.split is None
    for part in row.diff:
        if part.same:
            pieces.append(text.html(part.text))
            continue
        space, words = _led(part.text)
        pieces.append(space)
        if not pointed:
            pieces.append(_pointer(tint))
            pointed = True
        if not part.text:
            pieces.append(_left_out(part.left_out, palette))
        elif words:
            pieces.append(f'<mark style="{style};color:inherit">{text.html(words)}</mark>')
    if not pointed:
        pieces.append(_pointer(tint))
    return "".join(pieces)
