"""One neuron in an imported file: its address, its weight, and the feature that the weight belongs to.

Owns the names of these parts. Rejects an index that is not a whole number, a weight that is not finite, and a part
that is given twice; the error names the place. The file formats are in `backend.neuron_files`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from backend.errors import BadNeurons
from backend.neurons import NeuronId

INDEX = ("neuron", "index", "position", "neuron_idx")
WEIGHT = ("weight", "coefficient", "coef")
ANSWER = "answer"
"""The feature that a weight belongs to unless a file says otherwise: CETT over the answer's tokens."""
_SLASH = re.compile(r"/(?=[EN]\d)", re.IGNORECASE)
_INSTEAD = "write each neuron as L12:N345, or use columns layer,neuron"


@dataclass(frozen=True)
class NeuronEntry:
    """A neuron, its weight if the file gives one, and the feature that the weight belongs to."""

    neuron: NeuronId
    weight: float | None = None
    kind: str = ANSWER


def refuse(what: str, why: str, instead: str = _INSTEAD) -> NoReturn:
    """Raises BadNeurons."""
    raise BadNeurons(what, why, instead)


def entry_of(entry: Any, place: str) -> NeuronEntry:
    """The neuron of one entry of a JSON list. Raises BadNeurons."""
    if isinstance(entry, str):
        return NeuronEntry(parse_neuron(entry, place))
    if isinstance(entry, list) and len(entry) in (2, 3):
        return neuron_from_numbers(entry[0], entry[1], place, weight=entry[2] if len(entry) == 3 else None)
    if isinstance(entry, dict):
        given, entry = len(entry), {key.strip().lower(): value for key, value in entry.items()}
        if len(entry) < given:
            refuse(f"{place} gives one part twice", "two of its keys differ only in case", "remove one of them")
        index, weight = value_under(entry, INDEX, place), value_under(entry, WEIGHT, place)
        if "layer" in entry:
            return replace(
                neuron_from_numbers(entry["layer"], index, place, entry.get("expert"), weight),
                kind=feature_kind(entry, place),
            )
        if isinstance(index, str):
            return NeuronEntry(parse_neuron(index, place), finite_weight(weight, place), feature_kind(entry, place))
    refuse(f"{place} is no neuron", f"it is {shown(entry)}")


def value_under(entry: Mapping[str, Any], names: Sequence[str], place: str) -> Any:
    """The value under any of these synonymous names; None if there is none. Raises BadNeurons if two differ."""
    values = [entry[name] for name in names if entry.get(name) not in (None, "")]
    if any(value != values[0] for value in values):
        names_used = [name for name in names if entry.get(name) not in (None, "")]
        refuse(
            f"{place} says two things",
            f"{names_used[0]} and {names_used[1]} mean the same and differ",
            "leave one of them out",
        )
    return values[0] if values else None


def feature_kind(entry: Mapping[str, Any], place: str) -> str:
    """The feature that an entry's weight belongs to. Raises BadNeurons."""
    kind = entry.get("feature_type", ANSWER)
    if not isinstance(kind, str) or not kind.strip():
        refuse(f"{place} has no proper feature_type", f"it is {shown(kind)}", "write answer, or leave it out")
    return kind.strip().lower()[:60]


def neuron_from_numbers(layer: Any, index: Any, place: str, expert: Any = None, weight: Any = None) -> NeuronEntry:
    """A neuron from numbers. It is parsed from its spelling, so that the parser's limits apply. Raises BadNeurons."""
    for number in (layer, index, 0 if expert is None else expert):
        if isinstance(number, bool) or not isinstance(number, int):
            refuse(f"{place} is no neuron", f"{shown(number)} is no whole number")
    expert_part = "" if expert is None or expert == -1 else f":E{expert}"
    return NeuronEntry(parse_neuron(f"L{layer}{expert_part}:N{index}", place), finite_weight(weight, place))


def finite_weight(weight: Any, place: str) -> float | None:
    """A finite weight, or None. Raises BadNeurons."""
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        refuse(f"{place} has no proper weight", f"{shown(weight)} is no number", "leave the weight out")
    try:
        value = float(weight)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        refuse(f"{place} has no proper weight", f"{shown(weight)} is not finite", "leave the weight out")
    return value


def parse_neuron(word: str, place: str) -> NeuronId:
    """The neuron that `word` spells, as L12:N345. Raises BadNeurons with the place in the file."""
    try:
        return NeuronId.parse(_SLASH.sub(":", word))
    except BadNeurons as error:
        raise BadNeurons(f"{place}: {error.what}", error.why, error.instead) from error


def shown(value: Any) -> str:
    """A value for an error message, shortened to 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
