"""Reading and writing probes in the file formats of other programs.

Owns the meaning of each format: which weight belongs to which neuron's CETT as it is measured here, and the intercept
where there is one. Lists of neurons with weights are read by `backend.neuron_files` (CSV, jhammant's h_neurons.json);
here are the formats that hold more:

    .json          our artefact, or a list of neurons; of the weights of a standardised fit only the order is meaningful
    .npz           `coef` [1, neurons of all layers, layer by layer] and `intercept` of the authors' classifier
    .json + .safetensors    hprobes: standardised weights of chosen features, converted to units of CETT

Nothing is unpickled. What a file does not have is missing from the probe, and `imported` names the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from backend import neuron_files
from backend.errors import BadInput
from backend.identify.formats.beside import refuse_apart, split_intercept
from backend.layout import Layout
from backend.neurons import NeuronId, Site
from backend.runs.records import reason
from backend.types.names import run_name
from backend.types.probe import AsideNeuron, Probe, ProbeNeuron, Said
from backend.types.results import ModelInfo
from backend.untrusted import arrays, json_value, real

FORMATS = ("json", "csv", "jhammant", "npz", "hprobes")
"""Formats to write a probe in: our own artefact, and those of other programs."""
ENDINGS = (".json", ".csv", ".npz", ".safetensors")
"""Endings of files in these formats."""
_NOBODY = Said()
UNPICKLE = (
    "python -c \"import joblib, numpy; m = joblib.load('detector.pkl'); "
    "numpy.savez('detector.npz', coef=m.coef_, intercept=m.intercept_)\""
)


def read(files: dict[str, bytes], name: str, info: ModelInfo | None, meant: Said = _NOBODY) -> Probe:
    """The probe in these files (one, or hprobes' two), named `name`.

    Args:
        info: the model that it is for, unless its file names another: needed where weights have no neuron ids.
        meant: name and shape of a model that is not loaded, which are enough instead of `info`.
    Raises BadSettings for a name that no probe can have, before any file is read; BadInput, BadNeurons.
    """
    run_name(name)
    try:
        return _probe_of(files, name, info, meant)
    except ValidationError as error:
        raise BadInput(f"{' with '.join(files)} is a damaged probe", reason(error), "export it again") from error


def _probe_of(files: dict[str, bytes], name: str, info: ModelInfo | None, meant: Said) -> Probe:
    """The probe, read by the files' endings. Raises BadInput, BadNeurons, and ValidationError for an invalid value."""
    by_ending = {Path(file).suffix.lower(): (file, payload) for file, payload in files.items()}
    if pickle_ending := next((file for file in by_ending if file in (".pkl", ".pickle", ".joblib")), None):
        file = by_ending[pickle_ending][0]
        raise BadInput(f"{file} is a pickle", "opening it would run code in it", f"convert it: {UNPICKLE}")
    if len(files) > 1 and (set(by_ending) != {".json", ".safetensors"} or len(files) > 2):
        raise BadInput(
            "These files are no probe", f"{len(files)} were given", "give one, or hprobes' .json and .safetensors"
        )
    if ".safetensors" in by_ending:
        return _read_hprobes(by_ending, name, info)
    if ".npz" in by_ending:
        return _read_coefficients(*by_ending[".npz"], name, info, meant)
    return _read_listed(*next(iter(files.items())), name, info)


def _read_listed(file: str, payload: bytes, name: str, info: ModelInfo | None) -> Probe:
    """The probe in our artefact, or in a list of neurons."""
    parsed_json: Any = {}
    if file.lower().endswith(".json"):
        with suppress(BadInput):
            parsed_json = json_value(payload, file)
    if isinstance(parsed_json, dict) and str(parsed_json.get("schema", "")).startswith("hneurons/probe/"):
        ours = Probe.model_validate_json(payload, strict=True)
        _refuse_empty(ours.neurons, file)
        return ours.model_copy(update={"name": name, "model": ours.model or _fitting(info, ours.said)})
    intercept_value, payload = split_intercept(file, payload, parsed_json)
    listed = neuron_files.read_file(payload, file)
    if not listed.weights:
        refuse_apart(file, parsed_json)
    unweighted = [neuron for neuron in listed.neurons if neuron not in listed.weights]
    if listed.weights and unweighted:
        why = f"{unweighted[0]} has none, beside {len(listed.weights):,} that have one"
        raise BadInput(f"{file} gives only some neurons a weight", why, "give each one, or none")
    neurons = tuple(
        ProbeNeuron(neuron=neuron, weight=listed.weights.get(neuron, 1.0))
        for neuron in listed.neurons
        if listed.weights.get(neuron, 1.0) != 0
    )
    said = Said(name=listed.model or "", fingerprint=listed.fingerprint or "", widths=listed.widths)
    aside = tuple(AsideNeuron(neuron=neuron, weight=weight, kind=kind) for neuron, weight, kind in listed.aside)
    probe = _imported_probe(name, file, neurons, intercept_value, _fitting(info, said), said)
    return probe.model_copy(update={"aside": aside})


def _fitting(info: ModelInfo | None, said: Said) -> ModelInfo | None:
    """The model that a probe is for; None where its file says that it is of another one."""
    return None if info is None or said.of(info) is False else info


def _read_coefficients(file: str, payload: bytes, name: str, info: ModelInfo | None, meant: Said) -> Probe:
    """The probe in the authors' classifier: one weight for each neuron, flattened layer by layer."""
    stored = arrays(payload, file, ("coef", "intercept", "widths", "model", "fingerprint"))
    if missing := [part for part in ("coef", "intercept") if part not in stored]:
        raise BadInput(f"{file} is no classifier", f"it has no {missing[0]}", f"make it by {UNPICKLE}")
    coef = _finite(stored["coef"], f"coef of {file}")
    file_widths = _whole_numbers(stored["widths"], f"widths of {file}").tolist() if "widths" in stored else []
    if len(file_widths) > neuron_files.MAX_LAYERS:
        raise BadInput(f"{file} does not fit", f"it has {len(file_widths):,} layers, beyond any model", "save it again")
    if info is not None and not file_widths and not info.layout.is_dense:
        why = f"it does not say in which order its weights have the experts of {info.name}"
        raise BadInput(f"{file} cannot be read", why, "give the neurons as CSV, with their experts")
    layout = Layout.dense(file_widths) if file_widths else (info or meant).layout
    if layout.size != len(coef):
        has = f"the model has {layout.size:,} neurons" if layout.sites else "no model was named"
        why = f"it has {len(coef):,} weights, and {has}"
        raise BadInput(f"{file} does not fit", why, "name the model that it was fitted on")
    ids = layout.neurons(np.flatnonzero(coef))
    model_name, fingerprint = _text_in(stored.get("model")), _text_in(stored.get("fingerprint"))
    said = Said(name=model_name, fingerprint=fingerprint, widths=tuple(file_widths))
    intercept_value = _single(stored["intercept"], file)
    return _imported_probe(name, file, _weighted(coef[coef != 0], ids), intercept_value, _fitting(info, said), said)


def _text_in(texts: np.ndarray | None) -> str:
    """The text in an array with one element, as in our own files; '' where there is none."""
    return str(texts.ravel()[0]) if texts is not None and texts.size == 1 and texts.dtype.kind == "U" else ""


def _read_hprobes(by_ending: dict[str, tuple[str, bytes]], name: str, info: ModelInfo | None) -> Probe:
    """The probe in hprobes' files: its standardised weights become w / SD on CETT, and the means are moved to the
    intercept."""
    if ".json" not in by_ending:
        raise BadInput("A part of the probe is missing", "hprobes writes two files", "give its .json too")
    file, payload = by_ending[".safetensors"]
    description = json_value(by_ending[".json"][1], by_ending[".json"][0])
    try:
        layers, width = list(description["config"]["layers"]), description["config"]["intermediate_dim"]
        if not all(type(number) is int and number >= 0 for number in (*layers, width)):
            raise TypeError("layers and intermediate_dim are whole numbers")
        # It may have used some layers only; then the widths of the others are not known.
        is_all = layers == list(range(len(layers)))
        model_name = str(description["config"].get("model_name") or "")
        said = Said(name=model_name, widths=(width,) * len(layers) if is_all else ())
        tensors = load_safetensors(payload)
        coef, intercept_array = tensors["clf_coef"], tensors["clf_intercept"]
    except (ValueError, KeyError, TypeError, OverflowError, SafetensorError) as error:
        raise BadInput(f"{file} is not a probe of hprobes", f"{error!r}"[:120], "save it again with hprobes") from error
    weights = _finite(coef, f"clf_coef of {file}")
    features = np.arange(len(weights))
    if "top_k_idx" in tensors:
        features = _whole_numbers(tensors["top_k_idx"], f"top_k_idx of {file}")
    all_of = len(layers) * width
    if len(features) != len(weights):
        raise BadInput(f"{file} does not fit together", "weights and features differ in number", "save it again")
    if len(features) and features.max() >= all_of:
        why = f"a feature is not among the {all_of:,} of its layers"
        raise BadInput(f"{file} does not fit together", why, "save it again")
    mean, scale = (
        _tensor_of_features(tensors, part, features, all_of, file, missing_value)
        for part, missing_value in (("col_mean", 0.0), ("col_std", 1.0))
    )
    weights = weights / np.where(scale > 0, scale, 1.0)
    ids = [Site(layers[feature // width]).neuron(int(feature % width)) for feature in features]
    shifted = _single(intercept_array, file) - float(weights @ mean)
    return _imported_probe(name, file, _weighted(weights, ids), shifted, _fitting(info, said), said)


def _tensor_of_features(
    tensors: Mapping[str, np.ndarray], part: str, features: np.ndarray, all_of: int, file: str, missing: float
) -> Float[np.ndarray, " feature"]:
    """The tensor `part` for each feature; `missing` where the file has no such tensor. In the file it may be of all
    features of the model. Raises BadInput.
    """
    if part not in tensors:
        return np.full(len(features), missing)
    values = _finite(tensors[part], f"{part} of {file}")
    if len(values) not in (len(features), all_of):
        why = f"{part} has {len(values):,} figures for {len(features):,} features"
        raise BadInput(f"{file} does not fit together", why, "save it again")
    return values if len(values) == len(features) else values[features]


def _finite(numbers: np.ndarray, name: str) -> Float[np.ndarray, " number"]:
    """Real, finite numbers in a row. Raises BadInput."""
    row = real(numbers, name).astype(np.float64).ravel()
    if not np.isfinite(row).all():
        raise BadInput(f"{name} has a number that is not finite", "a diverged fit leaves NaN", "fit it again")
    return row


def _whole_numbers(numbers: np.ndarray, name: str) -> Int[np.ndarray, " number"]:
    """Whole numbers from 0 in a row. Raises BadInput."""
    row = numbers.ravel()
    if row.dtype.kind not in "iu" or (row < 0).any():
        raise BadInput(f"{name} has a number that is not a count", "neurons are whole numbers from 0", "save it again")
    return row


def _single(numbers: np.ndarray, file: str) -> float:
    """The intercept, the only number of the array. Raises BadInput."""
    row = _finite(numbers, f"The intercept of {file}")
    if len(row) != 1:
        raise BadInput(f"{file} has no proper intercept", f"it holds {len(row)} of them", "fit right against wrong")
    return float(row[0])


def _weighted(weights: np.ndarray, ids: Sequence[NeuronId]) -> tuple[ProbeNeuron, ...]:
    """The neurons that have a weight."""
    weights = _finite(weights, "The weights")
    return tuple(
        ProbeNeuron(neuron=neuron, weight=float(weight)) for neuron, weight in zip(ids, weights, strict=True) if weight
    )


def _imported_probe(
    name: str,
    file: str,
    neurons: tuple[ProbeNeuron, ...],
    intercept_value: Any,
    info: ModelInfo | None,
    said: Said,
) -> Probe:
    """The probe of an imported file. Raises BadInput, and ValidationError for an intercept that is not a number."""
    _refuse_empty(neurons, file)
    return Probe(name=name, imported=Path(file).name, intercept=intercept_value, neurons=neurons, model=info, said=said)


def _refuse_empty(neurons: Sequence[ProbeNeuron], file: str) -> None:
    if not neurons:
        raise BadInput(f"{file} holds no neuron with a weight", "all are 0, or it has none", "export the probe again")


def write(probe: Probe, kind: str) -> dict[str, bytes]:
    """The probe in one of `FORMATS`: ending -> what the file holds.

    Raises BadInput, also for a probe with experts in a format that has no place for them.
    """
    has_experts = any(probe_neuron.neuron.expert >= 0 for probe_neuron in probe.neurons)
    has_experts |= probe.model is not None and not probe.model.layout.is_dense
    if kind in ("npz", "hprobes") and has_experts:
        raise BadInput(f"{probe.name} cannot be written as {kind}", "it has no place for experts", "write it as CSV")
    if kind == "hprobes":
        return _write_hprobes(probe)
    ending = {"csv": ".csv", "npz": ".npz"}.get(kind, ".json")
    return {ending: _payload(probe, kind)}


def _write_hprobes(probe: Probe) -> dict[str, bytes]:
    """hprobes' files: weights per SD where the SD of each neuron is known, else weights as they are."""
    if probe.model is None:
        raise _modelless(probe)
    if len(set(probe.model.widths)) > 1:
        raise BadInput(
            f"{probe.name} cannot be written as hprobes", "its layers must have one width there", "write it as CSV"
        )
    width = probe.model.widths[0]
    weights = np.array([probe_neuron.weight for probe_neuron in probe.neurons])
    has_all_sds = all(probe_neuron.sd for probe_neuron in probe.neurons)
    scale = np.array([probe_neuron.sd if has_all_sds and probe_neuron.sd else 1.0 for probe_neuron in probe.neurons])
    mean = np.array([probe_neuron.mean if has_all_sds else 0.0 for probe_neuron in probe.neurons])
    config = {"layers": list(range(probe.model.n_layers)), "intermediate_dim": width, "model_name": probe.model.name}
    tensors = {
        "clf_coef": (weights * scale)[None],
        "clf_intercept": np.array([probe.intercept + float(weights @ mean)]),
        "top_k_idx": probe.model.layout.columns(probe_neuron.neuron for probe_neuron in probe.neurons),
        "col_mean": mean,
        "col_std": scale,
    }
    return {
        ".json": json.dumps({"config": config}, indent=1).encode("ascii"),
        ".safetensors": save_safetensors(tensors),
    }


def _claim_of(probe: Probe) -> Said:
    return probe.said if probe.model is None else Said(name=probe.model.name, fingerprint=probe.model.fingerprint)


def _modelless(probe: Probe) -> BadInput:
    return BadInput(
        f"{probe.name} cannot be written in this format",
        "the file needs every neuron of the model, and the probe's model is not known here",
        "write it as CSV, or import it again with the model",
    )


def _payload(probe: Probe, kind: str) -> bytes:
    if kind == "json":
        return probe.model_dump_json(indent=1).encode() + b"\n"
    if kind == "csv":
        table = neuron_files.write_csv([n.neuron for n in probe.neurons], [n.weight for n in probe.neurons])
        return table + f"intercept,,{probe.intercept!r}\n".encode("ascii")
    if kind == "jhammant":
        rows = [
            {"layer": n.neuron.layer, "position": n.neuron.index, "weight": n.weight}
            | ({"expert": n.neuron.expert} if n.neuron.expert >= 0 else {})
            for n in probe.neurons
        ]
        claimed = _claim_of(probe)
        model, fingerprint = claimed.name or None, claimed.fingerprint or None
        about = {"model": model, "fingerprint": fingerprint, "intercept": probe.intercept}
        return json.dumps({**about, "h_neuron_count": len(rows), "neurons": rows}, indent=1).encode("ascii") + b"\n"
    if kind == "npz":
        if probe.model is None:
            raise _modelless(probe)
        layout = probe.model.layout
        coef = np.zeros((1, layout.size))
        columns = layout.columns(probe_neuron.neuron for probe_neuron in probe.neurons)
        coef[0, columns] = [probe_neuron.weight for probe_neuron in probe.neurons]
        packed = io.BytesIO()
        np.savez_compressed(
            packed, coef=coef, intercept=np.array([probe.intercept]), widths=np.array(layout.layer_widths),
            model=np.array(probe.model.name), fingerprint=np.array(probe.model.fingerprint),
        )  # fmt: skip
        return packed.getvalue()
    raise BadInput(f"{kind[:40]!r} is not a format", "no probe is written in it", f"choose {', '.join(FORMATS)}")
