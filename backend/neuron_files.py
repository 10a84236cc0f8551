"""Files of neuron sets: reads the common formats into a `NeuronSet`, and writes CSV.

Owns the formats. It reads
- text: L12:N345 words, separated by commas, semicolons or white space; # starts a comment (NumPy also writes the
  heading of a table of numbers as a comment);
- CSV with columns layer, neuron[, expert][, weight] (neuron may be called index, position or neuron_idx, weight
  coefficient or coef) [, feature_type], or without a layer column if each neuron is L12:N345,
  or two or three columns of numbers without a heading;
- JSON: a list of L12:N345, of [layer, neuron] pairs, or of {["layer",] "neuron"[, "weight"]}; an object that
  holds such a list under "neurons", "h_neurons" or "neuron_labels", or under "fit"; or {layer: [neuron, ...]}.
  That covers jhammant/h-neurons (h_neurons.json, "position"), hprobes ("fit": {"h_neurons": ...}), the labels
  that SystemicVoid/H-Neurons publishes, and sanjaybasu/clinical-h-neuron-triage ("coefficient" for weight, and a
  "feature_type" of each: weights on another feature than the answer are returned separately, since a neuron may have
  one weight on each feature).

L12/N345 is read as L12:N345 everywhere.

Never unpickles or unpacks anything, rejects files larger than `MAX_BYTES`, and never guesses: whatever is not
understood is an error that names its place. Knows no model. Any module may import it.
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
    NeuronEntry,
    entry_of,
    feature_kind,
    finite_weight,
    neuron_from_numbers,
    parse_neuron,
    refuse,
    shown,
    value_under,
)
from backend.neurons import NeuronId, NeuronSet
from backend.untrusted import bytes_of, json_value, text_of

MAX_BYTES = 5_000_000
MAX_SIZE, MAX_LAYERS = 10**9, 10_000
"""Limits on a layer's neurons and on the number of layers, larger than those of any model."""

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
    """The content of a file: its neurons, the weights of those that have one, and the model that it names."""

    neurons: NeuronSet
    weights: Mapping[NeuronId, float] = field(default_factory=dict)
    model: str | None = None
    fingerprint: str | None = None
    widths: tuple[int, ...] = ()
    probe: str | None = None
    """The probe that it names in addition, as a request does."""
    aside: tuple[tuple[NeuronId, float, str], ...] = ()
    """(neuron, weight, feature) of the weights on other features than the answer's."""


def read(data: bytes, name: str) -> NeuronSet:
    """The set in the file called `name`. Raises BadNeurons, naming the place; also if the file names a probe."""
    file = read_file(data, name)
    if file.probe:
        refuse(
            f"{name[:80]} names a probe beside its neurons",
            f"only neurons are read from such a file, not the probe {shown(file.probe)}",
            "take it out of the file, and choose the probe by its name",
        )
    return file.neurons


def read_path(path: Path) -> NeuronSet:
    """The set in the file at `path`, of at most `MAX_BYTES`. Raises BadNeurons."""
    return read(bytes_of(path, MAX_BYTES, BadNeurons), path.name)


def read_file(data: bytes, name: str) -> NeuronFile:
    """The set in the file called `name`, with weights and model if the file gives them. Raises BadNeurons.

    A neuron that occurs twice counts once; with two different weights it is an error.
    """
    name = name[:80]
    text = _decoded_text(data, name)
    value = _parsed_json(text, name) if text.lstrip()[:1] in ("{", "[") else None
    entries = _text_entries(text, name) if value is None else _json_entries(value, name)
    return _file_of_entries(entries, value if isinstance(value, dict) else {}, name)


def _file_of_entries(entries: Iterable[NeuronEntry], about: Mapping[str, Any], name: str) -> NeuronFile:
    weights: dict[NeuronId, float] = {}
    aside: dict[tuple[NeuronId, str], float] = {}
    ids = []
    for entry in entries:
        if entry.kind != ANSWER:
            value = 1.0 if entry.weight is None else entry.weight
            if aside.setdefault((entry.neuron, entry.kind), value) != value:
                refuse(f"{name} gives {entry.neuron} two weights", f"both are on {entry.kind}", "leave one of them out")
            continue
        ids.append(entry.neuron)
        if entry.weight is not None and weights.setdefault(entry.neuron, entry.weight) != entry.weight:
            weights_shown = f"{weights[entry.neuron]:g} and {entry.weight:g}"
            refuse(f"{name} gives {entry.neuron} two weights", weights_shown, "leave one of them out")
    if not ids:
        why = f"its {len(aside):,} weights are on other features than the answer" if aside else "it holds none"
        refuse(f"{name} names no neuron", why)
    widths = _widths(about, name)
    if widths:
        _check_shape_holds(ids, widths, name)
    on_other_features = tuple((neuron, weight, kind) for (neuron, kind), weight in aside.items())
    model, fingerprint, probe = (_string_under(about, key) for key in ("model", "fingerprint", "probe"))
    return NeuronFile(NeuronSet(tuple(ids)), weights, model, fingerprint, widths, probe, on_other_features)


def _widths(about: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Neurons of each layer, if the object has both n_layers and intermediate_size; else ()."""
    layers, width = (about.get(key) for key in ("n_layers", "intermediate_size"))
    if layers is None or width is None:
        return ()
    for number, most in ((layers, MAX_LAYERS), (width, MAX_SIZE)):
        if type(number) is not int or not 0 < number <= most:
            why = f"n_layers and intermediate_size are {shown([layers, width])}"
            refuse(f"{name} has no proper shape", why, "correct them")
    return (int(width),) * int(layers)


def _check_shape_holds(ids: Sequence[NeuronId], widths: tuple[int, ...], name: str) -> None:
    try:
        Layout.dense(widths).check(NeuronSet(tuple(ids)))
    except BadNeurons as error:
        raise BadNeurons(
            f"{name} contradicts itself: {error.what}", error.why, "correct its shape or the list"
        ) from error


def write_csv(neurons: Sequence[NeuronId], weights: Sequence[float] | None = None) -> bytes:
    """CSV with columns layer,neuron; an expert column if any neuron has one, a weight column if weights are given."""
    experts = any(neuron.expert >= 0 for neuron in neurons)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["layer", *(["expert"] if experts else []), "neuron", *([] if weights is None else ["weight"])])
    for place, neuron in enumerate(neurons):
        expert = ["" if neuron.expert < 0 else neuron.expert] if experts else []
        weight = [] if weights is None else [repr(weights[place])]
        table.writerow([neuron.layer, *expert, neuron.index, *weight])
    return out.getvalue().encode("ascii")


def _decoded_text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        why = f"a set of neurons takes at most {MAX_BYTES / 1e6:g} MB"
        refuse(f"{name} is too large", why, "remove everything but the neurons from it")
    kind = next((kind for magic, kind in _BINARY.items() if data.startswith(magic)), None)
    if kind is None and b"\0" in data:
        kind = "binary data"
    if kind is not None:
        refuse(f"{name} is not text", f"it holds {kind}, which is never loaded", "export the set as CSV or JSON")
    return text_of(data, name, BadNeurons)


def _parsed_json(text: str, name: str) -> Any:
    def refuse_constant(word: str) -> NoReturn:
        refuse(f"{name} holds {word}", "a weight is a finite number", "leave the weight out")

    return json_value(text, name, BadNeurons, refuse_constant)


def _json_entries(value: Any, name: str) -> Iterator[NeuronEntry]:
    """The neurons of a JSON value, in any of the forms that the module's docstring lists."""
    if isinstance(value, dict):
        named = sorted((key for key in _LISTS if key in value), key=lambda key: not _holds_list(value[key]))
        neurons = list(_json_entries(value[named[0]], name) if named else _layer_entries(value, name))
        for other_key in filter(lambda key: _holds_list(value[key]), named[1:]):
            if _entries_or_none(value[other_key], name) not in (None, neurons):
                refuse(
                    f"{name} has other neurons under {other_key!r} than under {named[0]!r}",
                    "only one list would be read",
                    "remove one of them",
                )
        yield from neurons
    elif isinstance(value, list):
        for place, entry in enumerate(value, 1):
            yield entry_of(entry, f"{name}, entry {place}")
    else:
        refuse(f"{name} holds no list of neurons", f"it is {shown(value)}")


def _holds_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and any(_holds_list(value.get(key)) for key in _LISTS))


def _entries_or_none(value: Any, name: str) -> list[NeuronEntry] | None:
    """The neurons of a second list; None if it does not hold neurons, but for instance their labels in words."""
    try:
        return list(_json_entries(value, name))
    except BadNeurons:
        return None


def _layer_entries(value: dict[str, Any], name: str) -> Iterator[NeuronEntry]:
    for key, indices in value.items():
        layer = _LAYER.fullmatch(key)
        if layer is None or not isinstance(indices, list):
            refuse(f"{name} holds no neurons that are understood", f"{shown(key)} is no layer with a list of neurons")
        for index in indices:
            yield neuron_from_numbers(int(layer[1]), index, f"{name}, layer {layer[1]}")


def _text_entries(text: str, name: str) -> Iterator[NeuronEntry]:
    """The neurons of a text: read as a table if its first line is a heading or numbers, else as words."""
    numbered_lines = list(enumerate(text.splitlines(), 1))
    lines = [(number, content) for number, line in numbered_lines if (content := line.split("#")[0].strip())]
    if not lines:
        return
    heading = [cell.lower() for cell in _cells(lines[0][1])]
    if "layer" in heading or set(INDEX) & set(heading):
        yield from _table_entries(lines[1:], heading, name)
    elif heading[0].isdecimal():
        # NumPy writes the heading as a comment.
        remarks = [_cells(line.lower().strip("# ")) for number, line in numbered_lines if number < lines[0][0]]
        headings = (cells for cells in remarks if "layer" in cells and set(INDEX) & set(cells))
        yield from _table_entries(lines, next(headings, ["layer", "neuron", "weight"]), name)
    else:
        for number, line in lines:
            for word in filter(None, _WORDS.split(line)):
                yield NeuronEntry(parse_neuron(word, f"{name}, line {number}"))


def _table_entries(lines: Iterable[tuple[int, str]], heading: list[str], name: str) -> Iterator[NeuronEntry]:
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
        index, weight_text = value_under(row, INDEX, place) or "", value_under(row, WEIGHT, place)
        weight = _decimal_number(weight_text, place) if weight_text else None
        if "layer" in heading:
            expert = row.get("expert", "")
            layer = _whole_number(row.get("layer", ""), place)
            entry = neuron_from_numbers(
                layer, _whole_number(index, place), place, _whole_number(expert, place) if expert else None, weight
            )
        else:
            entry = NeuronEntry(parse_neuron(index, place), finite_weight(weight, place))
        yield replace(entry, kind=feature_kind(row, place))


def _cells(line: str) -> list[str]:
    separator = next((mark for mark in "\t;," if mark in line), ",")
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _whole_number(word: str, place: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 9):
        refuse(f"{place} is no neuron", f"{shown(word)} is no whole number")
    return int(word)


def _decimal_number(word: str, place: str) -> float:
    try:
        return float(word)
    except ValueError:
        refuse(f"{place} has no proper weight", f"{shown(word)} is no number", "leave the weight out")


def _string_under(about: Mapping[str, Any], key: str) -> str | None:
    value = about.get(key)
    return value if isinstance(value, str) else None
