"""One neuron as a file of others says it: its address, its weight, and what the weight is on.

Owns what the parts are called. Refuses what is no whole number, no finite weight, or says a thing twice, naming the
place. Files and their formats are `backend.neuron_files`'s.
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
"""The feature that a weight is on unless a file says otherwise: CETT over the answer's tokens."""
_SLASH = re.compile(r"/(?=[EN]\d)", re.IGNORECASE)
_INSTEAD = "write each neuron as L12:N345, or use columns layer,neuron"


@dataclass(frozen=True)
class Found:
    """A neuron, its weight where one is told, and the feature that the weight is on."""

    neuron: NeuronId
    weight: float | None = None
    kind: str = ANSWER


def refuse(what: str, why: str, instead: str = _INSTEAD) -> NoReturn:
    """Raises BadNeurons."""
    raise BadNeurons(what, why, instead)


def entry_of(entry: Any, place: str) -> Found:
    """The neuron of an entry of JSON. Raises BadNeurons."""
    if isinstance(entry, str):
        return Found(parsed(entry, place))
    if isinstance(entry, list) and len(entry) in (2, 3):
        return numbered(entry[0], entry[1], place, weight=entry[2] if len(entry) == 3 else None)
    if isinstance(entry, dict):
        told, entry = len(entry), {key.strip().lower(): one for key, one in entry.items()}
        if len(entry) < told:
            refuse(f"{place} says a thing twice", "two of its parts differ in case alone", "leave one of them out")
        index, weight = one_of(entry, INDEX, place), one_of(entry, WEIGHT, place)
        if "layer" in entry:
            return replace(
                numbered(entry["layer"], index, place, entry.get("expert"), weight), kind=kind_of(entry, place)
            )
        if isinstance(index, str):
            return Found(parsed(index, place), weight_of(weight, place), kind_of(entry, place))
    refuse(f"{place} is no neuron", f"it is {shown(entry)}")


def one_of(entry: Mapping[str, Any], names: Sequence[str], place: str) -> Any:
    """What stands under any of these names, which mean the same. Raises BadNeurons where they differ."""
    held = [entry[name] for name in names if entry.get(name) not in (None, "")]
    if any(one != held[0] for one in held):
        two = [name for name in names if entry.get(name) not in (None, "")]
        refuse(f"{place} says two things", f"{two[0]} and {two[1]} mean the same and differ", "leave one of them out")
    return held[0] if held else None


def kind_of(entry: Mapping[str, Any], place: str) -> str:
    """The feature that an entry's weight is on."""
    kind = entry.get("feature_type", ANSWER)
    if not isinstance(kind, str) or not kind.strip():
        refuse(f"{place} has no proper feature_type", f"it is {shown(kind)}", "write answer, or leave it out")
    return kind.strip().lower()[:60]


def numbered(layer: Any, index: Any, place: str, expert: Any = None, weight: Any = None) -> Found:
    """A neuron from numbers. Goes through the one spelling, so that its limits hold here too."""
    for number in (layer, index, 0 if expert is None else expert):
        if isinstance(number, bool) or not isinstance(number, int):
            refuse(f"{place} is no neuron", f"{shown(number)} is no whole number")
    middle = "" if expert is None or expert == -1 else f":E{expert}"
    return Found(parsed(f"L{layer}{middle}:N{index}", place), weight_of(weight, place))


def weight_of(weight: Any, place: str) -> float | None:
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


def parsed(word: str, place: str) -> NeuronId:
    """The neuron that is spelled out. Raises BadNeurons."""
    try:
        return NeuronId.parse(_SLASH.sub(":", word))
    except BadNeurons as error:
        raise BadNeurons(f"{place}: {error.what}", error.why, error.instead) from error


def shown(value: Any) -> str:
    """A value for a sentence, cut."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
