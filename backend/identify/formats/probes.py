"""Probes in the files of others, both ways.

Owns what each format means: which weight is on which neuron of CETT as it is measured here, and the intercept where
there is one. Neuron lists with weights are read by `backend.neuron_files` (CSV, jhammant's h_neurons.json); here are
the formats that hold more:

    .json          our artefact, or a list of neurons; weights that a standardised fit gave keep their ranks alone
    .npz           `coef` [1, neurons of all layers, layer by layer] and `intercept` of the authors' classifier
    .json + .safetensors    hprobes: standardised weights of chosen features, turned back into units of CETT

Nothing is unpickled. What a file does not say is missing from the probe, and `imported` says which file it was.
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
from backend.identify.formats.beside import intercept, refuse_apart
from backend.layout import Layout
from backend.neurons import NeuronId, Site
from backend.runs.records import reason
from backend.types.names import run_name
from backend.types.probe import AsideNeuron, Probe, ProbeNeuron, Said
from backend.types.results import ModelInfo
from backend.untrusted import arrays, json_value, real

FORMATS = ("json", "csv", "jhammant", "npz", "hprobes")
"""What a probe is written as: our own artefact, or what others read."""
ENDINGS = (".json", ".csv", ".npz", ".safetensors")
"""Of the files that these are."""
_NOBODY = Said()
UNPICKLE = (
    "python -c \"import joblib, numpy; m = joblib.load('detector.pkl'); "
    "numpy.savez('detector.npz', coef=m.coef_, intercept=m.intercept_)\""
)


def read(files: dict[str, bytes], name: str, info: ModelInfo | None, meant: Said = _NOBODY) -> Probe:
    """The probe in these files (one, or hprobes' two), named `name`.

    Args:
        info: the model that it is for, where its file does not say otherwise: needed where weights come without
            addresses.
        meant: of a model that is not here, its name and shape, which are enough.
    Raises BadInput or BadNeurons, of a name that no probe can have before any file is looked at.
    """
    run_name(name)
    try:
        return _probe_of(files, name, info, meant)
    except ValidationError as error:
        raise BadInput(f"{' with '.join(files)} is a damaged probe", reason(error), "export it again") from error


def _probe_of(files: dict[str, bytes], name: str, info: ModelInfo | None, meant: Said) -> Probe:
    """By the endings. Raises BadInput, BadNeurons, and ValidationError where something in it is no probe's."""
    by_ending = {Path(file).suffix.lower(): (file, payload) for file, payload in files.items()}
    if found := next((file for file in by_ending if file in (".pkl", ".pickle", ".joblib")), None):
        raise BadInput(f"{by_ending[found][0]} is a pickle", "opening one runs what is in it", f"turn it: {UNPICKLE}")
    if len(files) > 1 and (set(by_ending) != {".json", ".safetensors"} or len(files) > 2):
        raise BadInput(
            "These files are no probe", f"{len(files)} were given", "give one, or hprobes' .json and .safetensors"
        )
    if ".safetensors" in by_ending:
        return _hprobes(by_ending, name, info)
    if ".npz" in by_ending:
        return _coefficients(*by_ending[".npz"], name, info, meant)
    return _listed(*next(iter(files.items())), name, info)


def _listed(file: str, payload: bytes, name: str, info: ModelInfo | None) -> Probe:
    """Our artefact, or a list of neurons."""
    about: Any = {}
    if file.lower().endswith(".json"):
        with suppress(BadInput):
            about = json_value(payload, file)
    if isinstance(about, dict) and str(about.get("schema", "")).startswith("hneurons/probe/"):
        ours = Probe.model_validate_json(payload, strict=True)
        _refuse_empty(ours.neurons, file)
        return ours.model_copy(update={"name": name, "model": ours.model or _fitting(info, ours.said)})
    told, payload = intercept(file, payload, about)
    held = neuron_files.read_file(payload, file)
    if not held.weights:
        refuse_apart(file, about)
    if held.weights and (bare := next((one for one in held.neurons if one not in held.weights), None)) is not None:
        why = f"{bare} has none, beside {len(held.weights):,} that have one"
        raise BadInput(f"{file} gives only some neurons a weight", why, "give each one, or none")
    neurons = tuple(
        ProbeNeuron(neuron=neuron, weight=held.weights.get(neuron, 1.0))
        for neuron in held.neurons
        if held.weights.get(neuron, 1.0) != 0
    )
    said = Said(name=held.model or "", fingerprint=held.fingerprint or "", widths=held.widths)
    aside = tuple(AsideNeuron(neuron=neuron, weight=weight, kind=kind) for neuron, weight, kind in held.aside)
    probe = _imported(name, file, neurons, told, _fitting(info, said), said)
    return probe.model_copy(update={"aside": aside})


def _fitting(info: ModelInfo | None, said: Said) -> ModelInfo | None:
    """The model that a probe is for, unless its file says that it is of another one."""
    return None if info is None or said.of(info) is False else info


def _coefficients(file: str, payload: bytes, name: str, info: ModelInfo | None, meant: Said) -> Probe:
    """The authors' classifier: one weight for each neuron, flattened layer by layer."""
    held = arrays(payload, file, ("coef", "intercept", "widths", "model", "fingerprint"))
    if missing := [part for part in ("coef", "intercept") if part not in held]:
        raise BadInput(f"{file} is no classifier", f"it has no {missing[0]}", f"make it by {UNPICKLE}")
    coef = _finite(held["coef"], f"coef of {file}")
    told = _whole(held["widths"], f"widths of {file}").tolist() if "widths" in held else []
    if len(told) > neuron_files.MAX_LAYERS:
        raise BadInput(f"{file} does not fit", f"it has {len(told):,} layers, beyond any model", "save it again")
    if info is not None and not told and not info.layout.is_dense:
        why = f"it does not say in which order its weights have the experts of {info.name}"
        raise BadInput(f"{file} cannot be read", why, "give the neurons as CSV, with their experts")
    layout = Layout.dense(told) if told else (info or meant).layout
    if layout.size != len(coef):
        has = f"the model has {layout.size:,} neurons" if layout.sites else "no model was named"
        why = f"it has {len(coef):,} weights, and {has}"
        raise BadInput(f"{file} does not fit", why, "name the model that it was fitted on")
    ids = layout.neurons(np.flatnonzero(coef))
    said = Said(name=_word(held.get("model")), fingerprint=_word(held.get("fingerprint")), widths=tuple(told))
    intercept = _single(held["intercept"], file)
    return _imported(name, file, _weighted(coef[coef != 0], ids), intercept, _fitting(info, said), said)


def _word(held: np.ndarray | None) -> str:
    """The text in an array of one, as ours are written; '' where none is there."""
    return str(held.ravel()[0]) if held is not None and held.size == 1 and held.dtype.kind == "U" else ""


def _hprobes(by_ending: dict[str, tuple[str, bytes]], name: str, info: ModelInfo | None) -> Probe:
    """Standardised weights of the chosen features: w / SD on CETT, their means in the intercept."""
    if ".json" not in by_ending:
        raise BadInput("A part of the probe is missing", "hprobes writes two files", "give the .json beside it too")
    file, payload = by_ending[".safetensors"]
    told = json_value(by_ending[".json"][1], by_ending[".json"][0])
    try:
        layers, width = list(told["config"]["layers"]), told["config"]["intermediate_dim"]
        if not all(type(number) is int and number >= 0 for number in (*layers, width)):
            raise TypeError("layers and intermediate_dim are whole numbers")
        # It may have looked at some layers alone; then those between are not known.
        is_all = layers == list(range(len(layers)))
        named = str(told["config"].get("model_name") or "")
        said = Said(name=named, widths=(width,) * len(layers) if is_all else ())
        tensors = load_safetensors(payload)
        coef, intercept = tensors["clf_coef"], tensors["clf_intercept"]
    except (ValueError, KeyError, TypeError, OverflowError, SafetensorError) as error:
        raise BadInput(f"{file} is no probe of hprobes", f"{error!r}"[:120], "save it again with hprobes") from error
    weights = _finite(coef, f"clf_coef of {file}")
    features = np.arange(len(weights))
    if "top_k_idx" in tensors:
        features = _whole(tensors["top_k_idx"], f"top_k_idx of {file}")
    all_of = len(layers) * width
    if len(features) != len(weights):
        raise BadInput(f"{file} does not fit together", "weights and features differ in number", "save it again")
    if len(features) and features.max() >= all_of:
        why = f"a feature is none of the {all_of:,} of its layers"
        raise BadInput(f"{file} does not fit together", why, "save it again")
    mean, scale = (
        _of(tensors, part, features, all_of, file, other) for part, other in (("col_mean", 0.0), ("col_std", 1.0))
    )
    weights = weights / np.where(scale > 0, scale, 1.0)
    ids = [Site(layers[feature // width]).neuron(int(feature % width)) for feature in features]
    shifted = _single(intercept, file) - float(weights @ mean)
    return _imported(name, file, _weighted(weights, ids), shifted, _fitting(info, said), said)


def _of(
    tensors: Mapping[str, np.ndarray], part: str, features: np.ndarray, all_of: int, file: str, missing: float
) -> Float[np.ndarray, " feature"]:
    """A figure of each feature: `missing` where the file has none. It may hold those of all features.

    Raises BadInput.
    """
    if part not in tensors:
        return np.full(len(features), missing)
    held = _finite(tensors[part], f"{part} of {file}")
    if len(held) not in (len(features), all_of):
        why = f"{part} has {len(held):,} figures for {len(features):,} features"
        raise BadInput(f"{file} does not fit together", why, "save it again")
    return held if len(held) == len(features) else held[features]


def _finite(numbers: np.ndarray, name: str) -> Float[np.ndarray, " number"]:
    """Real, finite numbers in a row. Raises BadInput."""
    row = real(numbers, name).astype(np.float64).ravel()
    if not np.isfinite(row).all():
        raise BadInput(f"{name} holds what is no number", "a fit that did not converge leaves NaN", "fit it again")
    return row


def _whole(numbers: np.ndarray, name: str) -> Int[np.ndarray, " number"]:
    """Whole numbers from 0 in a row. Raises BadInput."""
    row = numbers.ravel()
    if row.dtype.kind not in "iu" or (row < 0).any():
        raise BadInput(f"{name} holds what is no count", "neurons are whole numbers from 0", "save it again")
    return row


def _single(numbers: np.ndarray, file: str) -> float:
    """The one intercept. Raises BadInput."""
    row = _finite(numbers, f"The intercept of {file}")
    if len(row) != 1:
        raise BadInput(f"{file} has no proper intercept", f"it holds {len(row)} of them", "fit right against wrong")
    return float(row[0])


def _weighted(weights: np.ndarray, ids: Sequence[NeuronId]) -> tuple[ProbeNeuron, ...]:
    """Those neurons that have a weight."""
    weights = _finite(weights, "The weights")
    return tuple(
        ProbeNeuron(neuron=one, weight=float(weight)) for one, weight in zip(ids, weights, strict=True) if weight
    )


def _imported(
    name: str,
    file: str,
    neurons: tuple[ProbeNeuron, ...],
    intercept: Any,
    info: ModelInfo | None,
    said: Said,
) -> Probe:
    """The probe of a file of others. Raises BadInput, and ValidationError for an intercept that is no number."""
    _refuse_empty(neurons, file)
    return Probe(name=name, imported=Path(file).name, intercept=intercept, neurons=neurons, model=info, said=said)


def _refuse_empty(neurons: Sequence[ProbeNeuron], file: str) -> None:
    if not neurons:
        raise BadInput(f"{file} holds no neuron with a weight", "all are 0, or none is there", "export the probe again")


def write(probe: Probe, kind: str) -> dict[str, bytes]:
    """The probe in one of `FORMATS`: ending -> what the file holds.

    Raises BadInput, also for a probe with experts in a format that has no place for them.
    """
    has_experts = any(one.neuron.expert >= 0 for one in probe.neurons)
    has_experts |= probe.model is not None and not probe.model.layout.is_dense
    if kind in ("npz", "hprobes") and has_experts:
        raise BadInput(f"{probe.name} cannot be written so", f"{kind} has no place for experts", "write it as CSV")
    if kind == "hprobes":
        return _written_for_hprobes(probe)
    ending = {"csv": ".csv", "npz": ".npz"}.get(kind, ".json")
    return {ending: _written(probe, kind)}


def _written_for_hprobes(probe: Probe) -> dict[str, bytes]:
    """Weights of the chosen features per SD where each SD is known, else as they are."""
    if probe.model is None:
        raise _modelless(probe)
    if len(set(probe.model.widths)) > 1:
        raise BadInput(
            f"{probe.name} cannot be written so", "hprobes numbers neurons of layers of one width", "write it as CSV"
        )
    width = probe.model.widths[0]
    weights = np.array([one.weight for one in probe.neurons])
    known = all(one.sd for one in probe.neurons)
    scale = np.array([one.sd if known and one.sd else 1.0 for one in probe.neurons])
    mean = np.array([one.mean if known else 0.0 for one in probe.neurons])
    config = {"layers": list(range(probe.model.n_layers)), "intermediate_dim": width, "model_name": probe.model.name}
    tensors = {
        "clf_coef": (weights * scale)[None],
        "clf_intercept": np.array([probe.intercept + float(weights @ mean)]),
        "top_k_idx": probe.model.layout.columns(one.neuron for one in probe.neurons),
        "col_mean": mean,
        "col_std": scale,
    }
    return {
        ".json": json.dumps({"config": config}, indent=1).encode("ascii"),
        ".safetensors": save_safetensors(tensors),
    }


def _saying(probe: Probe) -> Said:
    return probe.said if probe.model is None else Said(name=probe.model.name, fingerprint=probe.model.fingerprint)


def _modelless(probe: Probe) -> BadInput:
    return BadInput(
        f"{probe.name} cannot be written so",
        "the file needs every neuron of a model, and its own is not known here",
        "write it as CSV, or import it again with the model",
    )


def _written(probe: Probe, kind: str) -> bytes:
    if kind == "json":
        return probe.model_dump_json(indent=1).encode() + b"\n"
    if kind == "csv":
        table = neuron_files.write_csv([n.neuron for n in probe.neurons], [n.weight for n in probe.neurons])
        return table + f"intercept,,{probe.intercept!r}\n".encode("ascii")
    if kind == "jhammant":
        told = [
            {"layer": n.neuron.layer, "position": n.neuron.index, "weight": n.weight}
            | ({"expert": n.neuron.expert} if n.neuron.expert >= 0 else {})
            for n in probe.neurons
        ]
        its = _saying(probe)
        about = {"model": its.name or None, "fingerprint": its.fingerprint or None, "intercept": probe.intercept}
        return json.dumps({**about, "h_neuron_count": len(told), "neurons": told}, indent=1).encode("ascii") + b"\n"
    if kind == "npz":
        if probe.model is None:
            raise _modelless(probe)
        layout = probe.model.layout
        coef = np.zeros((1, layout.size))
        coef[0, layout.columns(one.neuron for one in probe.neurons)] = [one.weight for one in probe.neurons]
        packed = io.BytesIO()
        np.savez_compressed(
            packed, coef=coef, intercept=np.array([probe.intercept]), widths=np.array(layout.layer_widths),
            model=np.array(probe.model.name), fingerprint=np.array(probe.model.fingerprint),
        )  # fmt: skip
        return packed.getvalue()
    raise BadInput(f"{kind[:40]!r} is no format", "it is not among them", f"choose {', '.join(FORMATS)}")
