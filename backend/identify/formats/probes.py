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

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from backend import columns, neuron_files
from backend.errors import BadInput
from backend.neurons import NeuronId
from backend.types.probe import Probe, ProbeNeuron
from backend.types.results import ModelInfo

FORMATS = ("json", "csv", "jhammant", "npz", "hprobes")
"""What a probe is written as: our own artefact, or what others read."""
UNPICKLE = (
    "python -c \"import joblib, numpy; m = joblib.load('detector.pkl'); "
    "numpy.savez('detector.npz', coef=m.coef_, intercept=m.intercept_)\""
)


def read(files: dict[str, bytes], name: str, info: ModelInfo | None) -> Probe:
    """The probe in these files (one, or hprobes' two), named `name`.

    Args:
        info: the model that it is for, where its file does not say otherwise: needed where weights come without
            addresses.
    Raises BadInput or BadNeurons.
    """
    by_ending = {Path(file).suffix.lower(): (file, payload) for file, payload in files.items()}
    if found := next((file for file in by_ending if file in (".pkl", ".pickle", ".joblib")), None):
        raise BadInput(f"{by_ending[found][0]} is a pickle", "opening one runs what is in it", f"turn it: {UNPICKLE}")
    if ".safetensors" in by_ending:
        return _hprobes(by_ending, name, info)
    if ".npz" in by_ending:
        return _coefficients(*by_ending[".npz"], name, info)
    if len(files) != 1:
        raise BadInput(
            "These files are no probe", f"{len(files)} were given", "give one, or hprobes' .json and .safetensors"
        )
    return _listed(*next(iter(files.items())), name, info)


def _listed(file: str, payload: bytes, name: str, info: ModelInfo | None) -> Probe:
    """Our artefact, or a list of neurons."""
    about: Any = {}
    if file.lower().endswith(".json"):
        try:
            about = json.loads(payload)
        except ValueError:
            about = {}
    if isinstance(about, dict) and str(about.get("schema", "")).startswith("hneurons/probe/"):
        try:
            return Probe.model_validate_json(payload).model_copy(update={"name": name})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise BadInput(f"{file} is a damaged probe", f"{where}: {first['msg']}", "export it again") from error
    intercept, payload = _intercept(file, payload, about)
    held = neuron_files.read_file(payload, file)
    neurons = tuple(
        ProbeNeuron(neuron=neuron, weight=held.weights.get(neuron, 1.0))
        for neuron in held.neurons
        if held.weights.get(neuron, 1.0) != 0
    )
    said = held.model or ""
    return _imported(name, file, neurons, intercept, _fitting(info, said, held.fingerprint), said)


def _fitting(info: ModelInfo | None, said: str, fingerprint: str | None = None) -> ModelInfo | None:
    """The model that a probe is for, unless its file says that it is of another one: by its weights, else by name."""
    if info is None or not (said or fingerprint):
        return info
    if fingerprint:
        return info if fingerprint == info.fingerprint else None
    # Hubs put who made a model before its name; of a folder's path the last part is the name.
    return info if _bare(said) == _bare(info.name) else None


def _bare(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].casefold()


def _intercept(file: str, payload: bytes, about: Any) -> tuple[float, bytes]:
    """The intercept of a list, and the list without it: a key of JSON, or a line of CSV whose layer is the word."""
    if isinstance(about, dict) and isinstance(about.get("intercept"), (int, float)):
        return float(about["intercept"]), payload
    lines = payload.split(b"\n")
    marked = [line for line in lines if line.lower().startswith(b"intercept")]
    if not marked:
        return 0.0, payload
    try:
        value = float(marked[0].decode("ascii").replace(";", ",").split(",")[-1])
    except ValueError as error:
        raise BadInput(f"{file} has no proper intercept", f"{marked[0][:40]!r}", "write intercept,,0.5") from error
    return value, b"\n".join(line for line in lines if line not in marked)


def _coefficients(file: str, payload: bytes, name: str, info: ModelInfo | None) -> Probe:
    """The authors' classifier: one weight for each neuron, flattened layer by layer."""
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            coef, intercept = np.asarray(arrays["coef"], np.float64).ravel(), arrays["intercept"].ravel()
            held = arrays["widths"].astype(int).tolist() if "widths" in arrays else None
    except (ValueError, KeyError, OSError) as error:
        raise BadInput(f"{file} is no classifier", f"{error}"[:120], f"make it by {UNPICKLE}") from error
    widths = held or (list(info.widths) if info else [])
    if sum(widths) != len(coef):
        why = f"it has {len(coef):,} weights, and " + (
            f"the model has {sum(widths):,} neurons" if widths else "no model was named"
        )
        raise BadInput(f"{file} does not fit", why, "name the model that it was fitted on")
    ids = columns.named(np.flatnonzero(coef), widths)
    return _imported(name, file, _weighted(coef[coef != 0], ids), float(intercept[0]), info)


def _hprobes(by_ending: dict[str, tuple[str, bytes]], name: str, info: ModelInfo | None) -> Probe:
    """Standardised weights of the chosen features: w / SD on CETT, their means in the intercept."""
    if ".json" not in by_ending:
        raise BadInput("A part of the probe is missing", "hprobes writes two files", "give the .json beside it too")
    file, payload = by_ending[".safetensors"]
    try:
        config = json.loads(by_ending[".json"][1])["config"]
        layers, width = [int(layer) for layer in config["layers"]], int(config["intermediate_dim"])
        said = str(config.get("model_name") or "")
        tensors = load_safetensors(payload)
        coef = tensors["clf_coef"].astype(np.float64).ravel()
        intercept = float(tensors["clf_intercept"].ravel()[0])
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BadInput(f"{file} is no probe of hprobes", f"{error!r}"[:120], "save it again with hprobes") from error
    features = tensors["top_k_idx"].ravel().astype(int) if "top_k_idx" in tensors else np.arange(len(coef))
    if len(features) != len(coef) or (len(features) and features.max() >= len(layers) * width):
        raise BadInput(f"{file} does not fit together", "weights and features differ in number", "save it again")
    mean, scale = (_of(tensors.get(part), features, other) for part, other in (("col_mean", 0.0), ("col_std", 1.0)))
    weights = coef / np.where(scale > 0, scale, 1.0)
    ids = [NeuronId(layers[feature // width], int(feature % width)) for feature in features]
    shifted = intercept - float(weights @ mean)
    return _imported(name, file, _weighted(weights, ids), shifted, _fitting(info, said), said)


def _of(values: np.ndarray | None, features: np.ndarray, missing: float) -> Float[np.ndarray, " feature"]:
    if values is None:
        return np.full(len(features), missing)
    held = values.astype(np.float64).ravel()
    return held if len(held) == len(features) else held[features]


def _weighted(weights: np.ndarray, ids: Sequence[NeuronId]) -> tuple[ProbeNeuron, ...]:
    """Those neurons that have a weight."""
    if not np.isfinite(weights).all():
        raise BadInput("Some weights are no numbers", "a fit that did not converge leaves NaN", "fit it again")
    return tuple(
        ProbeNeuron(neuron=one, weight=float(weight)) for one, weight in zip(ids, weights, strict=True) if weight
    )


def _imported(
    name: str, file: str, neurons: tuple[ProbeNeuron, ...], intercept: float, info: ModelInfo | None, said: str = ""
) -> Probe:
    if not neurons:
        raise BadInput(f"{file} holds no neuron with a weight", "all are 0", "export the probe again")
    return Probe(name=name, imported=Path(file).name, intercept=intercept, neurons=neurons, model=info, said=said)


def write(probe: Probe, kind: str) -> dict[str, bytes]:
    """The probe in one of `FORMATS`: ending -> what the file holds. Raises BadInput."""
    if kind == "hprobes":
        return _written_for_hprobes(probe)
    ending = {"csv": ".csv", "npz": ".npz"}.get(kind, ".json")
    return {ending: _written(probe, kind)}


def _written_for_hprobes(probe: Probe) -> dict[str, bytes]:
    """Weights of the chosen features per SD where each SD is known, else as they are."""
    if probe.model is None or len(set(probe.model.widths)) > 1:
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
        "top_k_idx": np.array([one.neuron.layer * width + one.neuron.index for one in probe.neurons], dtype=np.int64),
        "col_mean": mean,
        "col_std": scale,
    }
    return {
        ".json": json.dumps({"config": config}, indent=1).encode("ascii"),
        ".safetensors": save_safetensors(tensors),
    }


def _written(probe: Probe, kind: str) -> bytes:
    if kind == "json":
        return probe.model_dump_json(indent=1).encode() + b"\n"
    if kind == "csv":
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["layer", "neuron", "weight"])
        table.writerows([one.neuron.layer, one.neuron.index, repr(one.weight)] for one in probe.neurons)
        table.writerow(["intercept", "", repr(probe.intercept)])
        return out.getvalue().encode("ascii")
    if kind == "jhammant":
        told = [{"layer": n.neuron.layer, "position": n.neuron.index, "weight": n.weight} for n in probe.neurons]
        about = {"model": probe.model.name if probe.model else None, "intercept": probe.intercept}
        return json.dumps({**about, "h_neuron_count": len(told), "neurons": told}, indent=1).encode("ascii") + b"\n"
    if kind == "npz":
        if probe.model is None:
            raise BadInput(
                f"{probe.name} cannot be written so", "the file needs every neuron of the model", "write it as CSV"
            )
        widths = np.array(probe.model.widths)
        coef = np.zeros((1, int(widths.sum())))
        coef[0, columns.of([one.neuron for one in probe.neurons], widths.tolist())] = [n.weight for n in probe.neurons]
        packed = io.BytesIO()
        np.savez_compressed(packed, coef=coef, intercept=np.array([probe.intercept]), widths=widths)
        return packed.getvalue()
    raise BadInput(f"{kind[:40]!r} is no format", "it is not among them", f"choose {', '.join(FORMATS)}")
