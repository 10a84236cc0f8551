"""Neuron sets as files: what people have, read into a `NeuronSet`, and ours, written.

Owns the formats. Read are
- text: L12:N345 words, apart by commas, semicolons or white space; lines from # on are remarks;
- CSV with columns layer, neuron[, expert][, weight] (neuron may be called index, position or neuron_idx, weight
  coefficient or coef) [, feature_type], or without a layer where each neuron is L12:N345,
  or two or three columns of numbers without a heading;
- JSON: a list of L12:N345, of [layer, neuron] pairs, or of {["layer",] "neuron"[, "weight"]}; an object that
  holds such a list under "neurons", "h_neurons" or "neuron_labels", or under "fit"; or {layer: [neuron, ...]}.
  That covers jhammant/h-neurons (h_neurons.json, "position"), hprobes ("fit": {"h_neurons": ...}), the labels
  that SystemicVoid/H-Neurons publishes, and sanjaybasu/clinical-h-neuron-triage ("coefficient" for weight, and a
  "feature_type" of each: what is not on the answer is kept apart, since a neuron may have one weight on either).

L12/N345 is read as L12:N345 everywhere.

Refuses to unpickle or unpack anything, files beyond `MAX_BYTES`, and guesses: what is not understood is an error
that names its place. Knows no model. Anyone may import it.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from backend.errors import BadNeurons
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.untrusted import bytes_of, json_value, text_of

MAX_BYTES = 5_000_000
MAX_SIZE, MAX_LAYERS = 10**9, 10_000
"""Beyond any model."""

_BINARY = {
    b"\x80": "pickled data",
    b"PK": "a zip archive, which may hold pickled data",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_INDEX = ("neuron", "index", "position", "neuron_idx")
_WEIGHT = ("weight", "coefficient", "coef")
_LISTS = ("neurons", "h_neurons", "neuron_labels", "fit")
_LAYER = re.compile(r"(?:L|layer_?)?(\d{1,6})", re.IGNORECASE)
ANSWER = "answer"
"""The feature that a weight is on unless a file says otherwise: CETT over the answer's tokens."""
_WORDS = re.compile(r"[,;\s]+")
_SLASH = re.compile(r"/(?=[EN]\d)", re.IGNORECASE)
_INSTEAD = "write each neuron as L12:N345, or use columns layer,neuron"


@dataclass(frozen=True)
class NeuronFile:
    """What a file holds: its neurons, the weight of those that have one, and the model it says it is of."""

    neurons: NeuronSet
    weights: Mapping[NeuronId, float] = field(default_factory=dict)
    model: str | None = None
    fingerprint: str | None = None
    widths: tuple[int, ...] = ()
    probe: str | None = None
    """The probe that it names beside them, as a request does."""
    aside: tuple[tuple[NeuronId, float, str], ...] = ()
    """Neurons with their weight on another feature than the answer's, and what that is."""


@dataclass(frozen=True)
class _Found:
    neuron: NeuronId
    weight: float | None = None
    kind: str = ANSWER


def read(data: bytes, name: str) -> NeuronSet:
    """The set in the file called `name`. Raises BadNeurons, naming the place, also where it names a probe besides."""
    found = read_file(data, name)
    if found.probe:
        _refuse(
            f"{name[:80]} names a probe beside its neurons",
            f"of a file of neurons these alone are read, and not the probe {_shown(found.probe)}",
            "take it out of the file, and choose the probe by its name",
        )
    return found.neurons


def read_path(path: Path) -> NeuronSet:
    """The set in the file at `path`, which is not read beyond `MAX_BYTES`. Raises BadNeurons."""
    return read(bytes_of(path, MAX_BYTES, BadNeurons), path.name)


def read_file(data: bytes, name: str) -> NeuronFile:
    """The set in the file called `name`, with weights and model where it tells them. Raises BadNeurons.

    A neuron that stands twice counts once; with two weights it is refused.
    """
    name = name[:80]
    text = _text(data, name)
    value = _json(text, name) if text.lstrip()[:1] in ("{", "[") else None
    found = _lines(text, name) if value is None else _entries(value, name)
    return _collected(found, value if isinstance(value, dict) else {}, name)


def _collected(found: Iterable[_Found], about: Mapping[str, Any], name: str) -> NeuronFile:
    weights: dict[NeuronId, float] = {}
    aside: dict[tuple[NeuronId, str], float] = {}
    ids = []
    for each in found:
        if each.kind != ANSWER:
            value = 1.0 if each.weight is None else each.weight
            if aside.setdefault((each.neuron, each.kind), value) != value:
                _refuse(f"{name} gives {each.neuron} two weights", f"both are on {each.kind}", "leave one of them out")
            continue
        ids.append(each.neuron)
        if each.weight is not None and weights.setdefault(each.neuron, each.weight) != each.weight:
            two = f"{weights[each.neuron]:g} and {each.weight:g}"
            _refuse(f"{name} gives {each.neuron} two weights", two, "leave one of them out")
    if not ids:
        why = f"its {len(aside):,} weights are on other features than the answer" if aside else "nothing in it is one"
        _refuse(f"{name} names no neuron", why)
    widths = _widths(about, name)
    if widths:
        _check(ids, widths, name)
    apart = tuple((neuron, weight, kind) for (neuron, kind), weight in aside.items())
    model, fingerprint, probe = (_string(about, key) for key in ("model", "fingerprint", "probe"))
    return NeuronFile(NeuronSet(tuple(ids)), weights, model, fingerprint, widths, probe, apart)


def _widths(about: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Neurons of each layer, where an object tells both numbers."""
    layers, width = (about.get(key) for key in ("n_layers", "intermediate_size"))
    if layers is None or width is None:
        return ()
    for number, most in ((layers, MAX_LAYERS), (width, MAX_SIZE)):
        if type(number) is not int or not 0 < number <= most:
            why = f"n_layers and intermediate_size are {_shown([layers, width])}"
            _refuse(f"{name} has no proper shape", why, "correct them")
    return (int(width),) * int(layers)


def _check(ids: Sequence[NeuronId], widths: tuple[int, ...], name: str) -> None:
    try:
        Layout.dense(widths).check(NeuronSet(tuple(ids)))
    except BadNeurons as error:
        raise BadNeurons(
            f"{name} contradicts itself: {error.what}", error.why, "correct its shape or the list"
        ) from error


def write_csv(neurons: Sequence[NeuronId], weights: Sequence[float] | None = None) -> bytes:
    """Columns layer,neuron, an expert column where a neuron has one, and a weight column where they have weights."""
    experts = any(neuron.expert >= 0 for neuron in neurons)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["layer", *(["expert"] if experts else []), "neuron", *([] if weights is None else ["weight"])])
    for place, neuron in enumerate(neurons):
        expert = ["" if neuron.expert < 0 else neuron.expert] if experts else []
        weight = [] if weights is None else [repr(weights[place])]
        table.writerow([neuron.layer, *expert, neuron.index, *weight])
    return out.getvalue().encode("ascii")


def _refuse(what: str, why: str, instead: str = _INSTEAD) -> NoReturn:
    raise BadNeurons(what, why, instead)


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        why = f"a set of neurons takes at most {MAX_BYTES / 1e6:g} MB"
        _refuse(f"{name} is too large", why, "keep the neurons alone in it")
    kind = next((kind for magic, kind in _BINARY.items() if data.startswith(magic)), None)
    if kind is None and b"\0" in data:
        kind = "binary data"
    if kind is not None:
        _refuse(f"{name} is not text", f"it holds {kind}, which is never loaded", "export the set as CSV or JSON")
    return text_of(data, name, BadNeurons)


def _json(text: str, name: str) -> Any:
    def refuse_constant(word: str) -> NoReturn:
        _refuse(f"{name} holds {word}", "a weight is a finite number", "leave the weight out")

    return json_value(text, name, BadNeurons, refuse_constant)


def _entries(value: Any, name: str) -> Iterator[_Found]:
    """The neurons of a JSON value, by the shapes that the module's docstring lists."""
    if isinstance(value, dict):
        if (inner := next((key for key in _LISTS if key in value), None)) is not None:
            yield from _entries(value[inner], name)
        else:
            yield from _layers(value, name)
    elif isinstance(value, list):
        for place, entry in enumerate(value, 1):
            yield _entry(entry, f"{name}, entry {place}")
    else:
        _refuse(f"{name} holds no list of neurons", f"it is {_shown(value)}")


def _layers(value: dict[str, Any], name: str) -> Iterator[_Found]:
    for key, indices in value.items():
        layer = _LAYER.fullmatch(key)
        if layer is None or not isinstance(indices, list):
            _refuse(f"{name} holds no neurons that are understood", f"{_shown(key)} is no layer with a list of neurons")
        for index in indices:
            yield _found(int(layer[1]), index, f"{name}, layer {layer[1]}")


def _entry(entry: Any, place: str) -> _Found:
    if isinstance(entry, str):
        return _Found(_parsed(entry, place))
    if isinstance(entry, list) and len(entry) in (2, 3):
        return _found(entry[0], entry[1], place, weight=entry[2] if len(entry) == 3 else None)
    if isinstance(entry, dict):
        index, weight = _one(entry, _INDEX, place), _one(entry, _WEIGHT, place)
        if "layer" in entry:
            return replace(_found(entry["layer"], index, place, entry.get("expert"), weight), kind=_kind(entry, place))
        if isinstance(index, str):
            return _Found(_parsed(index, place), _weight(weight, place), _kind(entry, place))
    _refuse(f"{place} is no neuron", f"it is {_shown(entry)}")


def _one(entry: Mapping[str, Any], names: Sequence[str], place: str) -> Any:
    """What stands under any of these names, which mean the same."""
    held = [entry[name] for name in names if entry.get(name) not in (None, "")]
    if any(one != held[0] for one in held):
        two = [name for name in names if entry.get(name) not in (None, "")]
        _refuse(f"{place} says two things", f"{two[0]} and {two[1]} mean the same and differ", "leave one of them out")
    return held[0] if held else None


def _kind(entry: Mapping[str, Any], place: str) -> str:
    """The feature that an entry's weight is on."""
    kind = entry.get("feature_type", ANSWER)
    if not isinstance(kind, str) or not kind.strip():
        _refuse(f"{place} has no proper feature_type", f"it is {_shown(kind)}", "write answer, or leave it out")
    return kind.strip().lower()[:60]


def _found(layer: Any, index: Any, place: str, expert: Any = None, weight: Any = None) -> _Found:
    """A neuron from numbers. Goes through the one spelling, so that its limits hold here too."""
    for number in (layer, index, 0 if expert is None else expert):
        if isinstance(number, bool) or not isinstance(number, int):
            _refuse(f"{place} is no neuron", f"{_shown(number)} is no whole number")
    middle = "" if expert is None or expert == -1 else f":E{expert}"
    return _Found(_parsed(f"L{layer}{middle}:N{index}", place), _weight(weight, place))


def _weight(weight: Any, place: str) -> float | None:
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        _refuse(f"{place} has no proper weight", f"{_shown(weight)} is no number", "leave the weight out")
    try:
        value = float(weight)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        _refuse(f"{place} has no proper weight", f"{_shown(weight)} is not finite", "leave the weight out")
    return value


def _parsed(word: str, place: str) -> NeuronId:
    try:
        return NeuronId.parse(_SLASH.sub(":", word))
    except BadNeurons as error:
        raise BadNeurons(f"{place}: {error.what}", error.why, error.instead) from error


def _lines(text: str, name: str) -> Iterator[_Found]:
    """The neurons of a text: a table where its first line is a heading or numbers, else words."""
    lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        return
    first = _cells(lines[0][1])
    heading = [cell.lower() for cell in first]
    if "layer" in heading or set(_INDEX) & set(heading):
        yield from _table(lines[1:], heading, name)
    elif first[0].isdecimal():
        yield from _table(lines, ["layer", "neuron", "weight"], name)
    else:
        for number, line in lines:
            for word in filter(None, _WORDS.split(line)):
                yield _Found(_parsed(word, f"{name}, line {number}"))


def _table(lines: Iterable[tuple[int, str]], heading: list[str], name: str) -> Iterator[_Found]:
    if not set(_INDEX) & set(heading):
        _refuse(f"{name} has no column of neurons", f"its columns are {', '.join(heading)[:80]}")
    for number, line in lines:
        place = f"{name}, line {number}"
        cells = _cells(line)
        if len(cells) < min(2, len(heading)) or len(cells) > len(heading):
            _refuse(f"{place} is no row of the table", f"it has {len(cells)} columns and the table {len(heading)}")
        row = dict(zip(heading, cells, strict=False))
        index, said = _one(row, _INDEX, place) or "", _one(row, _WEIGHT, place)
        weight = _decimal(said, place) if said else None
        if "layer" in heading:
            expert = row.get("expert", "")
            layer = _whole(row.get("layer", ""), place)
            found = _found(layer, _whole(index, place), place, _whole(expert, place) if expert else None, weight)
        else:
            found = _Found(_parsed(index, place), _weight(weight, place))
        yield replace(found, kind=_kind(row, place))


def _cells(line: str) -> list[str]:
    separator = next((mark for mark in "\t;," if mark in line), ",")
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _whole(word: str, place: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 9):
        _refuse(f"{place} is no neuron", f"{_shown(word)} is no whole number")
    return int(word)


def _decimal(word: str, place: str) -> float:
    try:
        return float(word)
    except ValueError:
        _refuse(f"{place} has no proper weight", f"{_shown(word)} is no number", "leave the weight out")


def _string(about: Mapping[str, Any], key: str) -> str | None:
    value = about.get(key)
    return value if isinstance(value, str) else None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
