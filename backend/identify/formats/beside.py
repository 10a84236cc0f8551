"""What stands beside the neurons in a list that is a probe: its intercept, and weights that are apart from them.

Owns where an intercept may stand: a key of JSON, or a line of CSV whose first cell is the word. Refuses one that is no
number, and weights in a list of their own, which do not say whose they are.
"""

from __future__ import annotations

import re
from typing import Any

from backend.errors import BadInput
from backend.neuron_entry import WEIGHT

_INTERCEPT = ("intercept", "intercept_", "bias")
_APART = (*WEIGHT, *(f"{name}s" for name in WEIGHT), "coef_")
"""Names of lists of weights."""


def intercept(file: str, payload: bytes, about: Any) -> tuple[Any, bytes]:
    """The intercept of a list, as it stands there, and the list without it. Raises BadInput."""
    names = [name for name in _INTERCEPT if isinstance(about, dict) and about.get(name) is not None]
    if names:
        told = about[names[0]]
        told = told[0] if isinstance(told, list) and len(told) == 1 else told
        if len(names) > 1 or isinstance(told, bool) or not isinstance(told, (int, float)):
            raise BadInput(f"{file} has no proper intercept", f"{str(told)[:40]!r} is no number", "write it as 0.5")
        return told, payload
    lines = payload.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    marked = [line for line in lines if line.lower().lstrip(b'"(').startswith(b"intercept")]
    if not marked:
        return 0.0, payload
    rest = [line for line in lines if line not in marked]
    try:
        (line,) = marked
        value = float(_value(_cells(line), next(filter(bytes.strip, rest), b"")))
    except ValueError as error:
        raise BadInput(f"{file} has no proper intercept", f"{marked[0][:40]!r}", "write intercept,,0.5") from error
    return value, b"\n".join(rest)


def _value(cells: list[str], heading: bytes) -> str:
    """The cell that holds it: the one of the weights' column, where the heading names such a one; else the last."""
    names = [cell.lower() for cell in _cells(heading)] if heading.isascii() else []
    place = next((names.index(name) for name in WEIGHT if name in names), 0)
    return cells[place] if 0 < place < len(cells) else cells[-1]


def _cells(line: bytes) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split("[,;\t]", line.decode("ascii"))]


def refuse_apart(file: str, about: Any) -> None:
    """Raises BadInput where an object has the weights in a list of their own: its neurons would all count the same."""
    held = about.items() if isinstance(about, dict) else ()
    apart = next((key for key, value in held if key.lower() in _APART and isinstance(value, (list, dict))), None)
    if apart is not None:
        raise BadInput(
            f"{file} has its weights apart from its neurons",
            f"which of {apart!r} is whose is not told, and without them all neurons would count the same",
            "write each neuron with its weight, as [layer, neuron, weight]",
        )
