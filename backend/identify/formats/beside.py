"""What a list of neurons that is a probe has beside the neurons: its intercept, or weights in a list of their own.

Owns where an intercept may be: a key of JSON, or a line of CSV whose first cell is the word. Refuses an intercept that
is not a number, and weights in a list of their own, because it is not clear which neuron each belongs to.
"""

from __future__ import annotations

import re
from typing import Any

from backend.errors import BadInput
from backend.neuron_entry import WEIGHT

_INTERCEPT = ("intercept", "intercept_", "bias")
_APART = (*WEIGHT, *(f"{name}s" for name in WEIGHT), "coef_")
"""Names of lists of weights."""


def split_intercept(file: str, payload: bytes, about: Any) -> tuple[Any, bytes]:
    """(the intercept of a list as it is written there, the list without it). Raises BadInput."""
    names = [name for name in _INTERCEPT if isinstance(about, dict) and about.get(name) is not None]
    if names:
        value = about[names[0]]
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if len(names) > 1 or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadInput(f"{file} has no proper intercept", f"{str(value)[:40]!r} is no number", "write it as 0.5")
        return value, payload
    lines = payload.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    marked = [line for line in lines if line.lower().lstrip(b'"(').startswith(b"intercept")]
    if not marked:
        return 0.0, payload
    neurons_lines = [line for line in lines if line not in marked]
    try:
        (line,) = marked
        csv_value = float(_intercept_cell(_cells(line), next(filter(bytes.strip, neurons_lines), b"")))
    except ValueError as error:
        raise BadInput(f"{file} has no proper intercept", f"{marked[0][:40]!r}", "write intercept,,0.5") from error
    return csv_value, b"\n".join(neurons_lines)


def _intercept_cell(cells: list[str], heading: bytes) -> str:
    """The cell with the intercept: the one in the weights' column where the heading names it, else the last."""
    names = [cell.lower() for cell in _cells(heading)] if heading.isascii() else []
    place = next((names.index(name) for name in WEIGHT if name in names), 0)
    return cells[place] if 0 < place < len(cells) else cells[-1]


def _cells(line: bytes) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split("[,;\t]", line.decode("ascii"))]


def refuse_apart(file: str, about: Any) -> None:
    """Raises BadInput where an object has the weights in a list of their own: its neurons would all get weight 1."""
    entries = about.items() if isinstance(about, dict) else ()
    apart = next((key for key, value in entries if key.lower() in _APART and isinstance(value, (list, dict))), None)
    if apart is not None:
        raise BadInput(
            f"{file} has its weights apart from its neurons",
            f"it does not say which neuron each of {apart!r} belongs to, and without them all would have one weight",
            "write each neuron with its weight, as [layer, neuron, weight]",
        )
