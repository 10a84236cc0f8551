"""Columns and labels for tokens along an axis: as wide as their text, none cut, none overlapping.

Owns widths in pixels and which labels fit. Text from a model is escaped, since Plotly reads tags. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.text import named

CHARACTER = 7.2
"""Pixels a character takes at 12 px, on the wide side."""
PADDING = 8.0
LONGEST = 14


def chart_text(shown: str, longest: int = LONGEST) -> str:
    """A token as a chart label: cut to `longest` characters with an ellipsis, tags shown as text."""
    return plain(shown if len(shown) <= longest else shown[: longest - 1] + "…")


def plain(words: str) -> str:
    """Words of a model, a person or a file as Plotly shows them: the one way in which they reach a chart.

    Plotly reads tags (bold, links, breaks) in every text, label and hover, and fills what stands in `%{}` of a
    template; so both are written as characters, and characters that cannot be seen by their names.
    """
    return escape(named(words), quote=False).replace("%{", "%&#123;")


def text_width(shown: str) -> float:
    """Pixels that the token's label takes, about."""
    return min(len(shown), LONGEST) * CHARACTER + PADDING


def token_edges(shown: Sequence[str], width: float, parting: int, gap: float) -> tuple[list[float], list[int]]:
    """Edges of the tokens' columns, and where an empty column stands.

    Args:
        shown: the tokens' labels, in order.
        width: pixels that all columns share.
        parting: the token before which there is a gap; none at the ends.
        gap: the gap's pixels.

    Returns:
        Edges, one more than columns; the places of the empty columns among them (one or none).
    """
    wanted = [text_width(item) for item in shown]
    total = sum(wanted) or 1.0
    even = width / max(len(shown), 1)
    # Where the text is longer than the room, equal columns read better than columns squeezed by their text.
    widths = [item * width / total for item in wanted] if total <= width else [even] * len(shown)
    edges, holes = [0.0], []
    for place, item in enumerate(widths):
        if place == parting and place > 0:
            holes.append(place)
            edges.append(edges[-1] + gap)
        edges.append(edges[-1] + item)
    return edges, holes


def fitting_labels(shown: Sequence[str], centres: Sequence[float]) -> list[int]:
    """Which labels can be written side by side without touching, from the left, greedily."""
    kept: list[int] = []
    free = float("-inf")
    for place, (text, centre) in enumerate(zip(shown, centres, strict=True)):
        half = (text_width(text) - PADDING) / 2
        if centre - half >= free:
            kept.append(place)
            free = centre + half + PADDING / 2
    return kept
