"""Neuron sets as files: what people have, read into a `NeuronSet`, and ours, written.

Owns the formats. Read are
- text: L12:N345 words, apart by commas, semicolons or white space; lines from # on are remarks (a heading of numbers
  too, as NumPy writes it);
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
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from backend.errors import BadNeurons
from backend.layout import Layout
from backend.neuron_entry import (
    ANSWER,
    INDEX,
    WEIGHT,
    Found,
    entry_of,
    kind_of,
    numbered,
    one_of,
    parsed,
    refuse,
    shown,
    weight_of,
)
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
_COLUMNS = frozenset({"layer", "expert", "feature_type", *INDEX, *WEIGHT})
_LISTS = ("neurons", "h_neurons", "neuron_labels", "fit")
_LAYER = re.compile(r"(?:L|layer_?)?(\d{1,6})", re.IGNORECASE)
_WORDS = re.compile(r"[,;\s]+")


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


def read(data: bytes, name: str) -> NeuronSet:
    """The set in the file called `name`. Raises BadNeurons, naming the place, also where it names a probe besides."""
    found = read_file(data, name)
    if found.probe:
        refuse(
            f"{name[:80]} names a probe beside its neurons",
            f"of a file of neurons these alone are read, and not the probe {shown(found.probe)}",
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


def _collected(found: Iterable[Found], about: Mapping[str, Any], name: str) -> NeuronFile:
    weights: dict[NeuronId, float] = {}
    aside: dict[tuple[NeuronId, str], float] = {}
    ids = []
    for each in found:
        if each.kind != ANSWER:
            value = 1.0 if each.weight is None else each.weight
            if aside.setdefault((each.neuron, each.kind), value) != value:
                refuse(f"{name} gives {each.neuron} two weights", f"both are on {each.kind}", "leave one of them out")
            continue
        ids.append(each.neuron)
        if each.weight is not None and weights.setdefault(each.neuron, each.weight) != each.weight:
            two = f"{weights[each.neuron]:g} and {each.weight:g}"
            refuse(f"{name} gives {each.neuron} two weights", two, "leave one of them out")
    if not ids:
        why = f"its {len(aside):,} weights are on other features than the answer" if aside else "nothing in it is one"
        refuse(f"{name} names no neuron", why)
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
            why = f"n_layers and intermediate_size are {shown([layers, width])}"
            refuse(f"{name} has no proper shape", why, "correct them")
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


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        why = f"a set of neurons takes at most {MAX_BYTES / 1e6:g} MB"
        refuse(f"{name} is too large", why, "keep the neurons alone in it")
    kind = next((kind for magic, kind in _BINARY.items() if data.startswith(magic)), None)
    if kind is None and b"\0" in data:
        kind = "binary data"
    if kind is not None:
        refuse(f"{name} is not text", f"it holds {kind}, which is never loaded", "export the set as CSV or JSON")
    return text_of(data, name, BadNeurons)


def _json(text: str, name: str) -> Any:
    def refuse_constant(word: str) -> NoReturn:
        refuse(f"{name} holds {word}", "a weight is a finite number", "leave the weight out")

    return json_value(text, name, BadNeurons, refuse_constant)


def _entries(value: Any, name: str) -> Iterator[Found]:
    """The neurons of a JSON value, by the shapes that the module's docstring lists."""
    if isinstance(value, dict):
        named = sorted((key for key in _LISTS if key in value), key=lambda key: not _holds_list(value[key]))
        found = list(_entries(value[named[0]], name) if named else _layers(value, name))
        for other in filter(lambda key: _holds_list(value[key]), named[1:]):
            if _others(value[other], name) not in (None, found):
                refuse(
                    f"{name} has other neurons under {other!r} than under {named[0]!r}",
                    "those of one list alone would be read",
                    "leave one of them out",
                )
        yield from found
    elif isinstance(value, list):
        for place, entry in enumerate(value, 1):
            yield entry_of(entry, f"{name}, entry {place}")
    else:
        refuse(f"{name} holds no list of neurons", f"it is {shown(value)}")


def _holds_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and any(_holds_list(value.get(key)) for key in _LISTS))


def _others(value: Any, name: str) -> list[Found] | None:
    """The neurons of a list beside another one; None where it is none of neurons, as their labels in words."""
    try:
        return list(_entries(value, name))
    except BadNeurons:
        return None


def _layers(value: dict[str, Any], name: str) -> Iterator[Found]:
    for key, indices in value.items():
        layer = _LAYER.fullmatch(key)
        if layer is None or not isinstance(indices, list):
            refuse(f"{name} holds no neurons that are understood", f"{shown(key)} is no layer with a list of neurons")
        for index in indices:
            yield numbered(int(layer[1]), index, f"{name}, layer {layer[1]}")


def _lines(text: str, name: str) -> Iterator[Found]:
    """The neurons of a text: a table where its first line is a heading or numbers, else words."""
    every = list(enumerate(text.splitlines(), 1))
    lines = [(number, bare) for number, line in every if (bare := line.split("#")[0].strip())]
    if not lines:
        return
    heading = [cell.lower() for cell in _cells(lines[0][1])]
    if "layer" in heading or set(INDEX) & set(heading):
        yield from _table(lines[1:], heading, name)
    elif heading[0].isdecimal():
        # NumPy writes a heading as a remark.
        remarks = [_cells(line.lower().strip("# ")) for number, line in every if number < lines[0][0]]
        above = (cells for cells in remarks if "layer" in cells and set(INDEX) & set(cells))
        yield from _table(lines, next(above, ["layer", "neuron", "weight"]), name)
    else:
        for number, line in lines:
            for word in filter(None, _WORDS.split(line)):
                yield Found(parsed(word, f"{name}, line {number}"))


def _table(lines: Iterable[tuple[int, str]], heading: list[str], name: str) -> Iterator[Found]:
    if not set(INDEX) & set(heading):
        refuse(f"{name} has no column of neurons", f"its columns are {', '.join(heading)[:80]}")
    if (twice := next((cell for cell in heading if cell in _COLUMNS and heading.count(cell) > 1), None)) is not None:
        refuse(f"{name} has two columns {twice!r}", "one of them would not be read", "rename one of them")
    for number, line in lines:
        place = f"{name}, line {number}"
        cells = _cells(line)
        if len(cells) < min(2, len(heading)) or len(cells) > len(heading):
            refuse(f"{place} is no row of the table", f"it has {len(cells)} columns and the table {len(heading)}")
        row = dict(zip(heading, cells, strict=False))
        index, said = one_of(row, INDEX, place) or "", one_of(row, WEIGHT, place)
        weight = _decimal(said, place) if said else None
        if "layer" in heading:
            expert = row.get("expert", "")
            layer = _whole(row.get("layer", ""), place)
            found = numbered(layer, _whole(index, place), place, _whole(expert, place) if expert else None, weight)
        else:
            found = Found(parsed(index, place), weight_of(weight, place))
        yield replace(found, kind=kind_of(row, place))


def _cells(line: str) -> list[str]:
    separator = next((mark for mark in "\t;," if mark in line), ",")
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _whole(word: str, place: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 9):
        refuse(f"{place} is no neuron", f"{shown(word)} is no whole number")
    return int(word)


def _decimal(word: str, place: str) -> float:
    try:
        return float(word)
    except ValueError:
        refuse(f"{place} has no proper weight", f"{shown(word)} is no number", "leave the weight out")


def _string(about: Mapping[str, Any], key: str) -> str | None:
    value = about.get(key)
    return value if isinstance(value, str) else None
