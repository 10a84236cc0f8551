"""What serving needs of an engine, and how an engine is opened.

Owns the `Answering` protocol, which `backend.engine.Engine` implements, and the one place where the heavy packages are
imported: inside `open_engine`, so that a page or service can start at once. Finding model files is the task of
`backend.models`.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.errors import BadSettings, HNeuronsError, ModelTooLarge, UnknownModel
from backend.models.registry import DEFAULT
from backend.serve.together import Sharing
from backend.types import CettFile, CettRequest, ModelChoice, ModelInfo, Request, Result, Verb
from backend.types.names import ProbeRef
from backend.types.probe import Said
from backend.verbs.table import VERBS
from backend.watch import Watch
from cache.paths import results_dir
from cache.store import DEFAULT_MAX_BYTES, Store

MODEL_VARIABLE = "HNEURONS_MODEL"
STORE_VARIABLE = "HNEURONS_STORE_MB"

_IMPORTS = threading.Lock()
"""Transformers' lazy modules break where two threads import from them at once."""
FIRST_PAGE = 1.5
"""Seconds to wait before importing the model's packages, in which the first page of a new server is drawn."""

Progress = Callable[[str, float], None]
"""Called with the name of a stage and its fraction 0..1."""


class Answering(Sharing, Protocol):
    """The verbs of one loaded model, for one thread; `key` and `lookup` may be called from any thread.

    `run` uses the model for one request alone. Requests started with `begin` run together, one token at each `step`.
    """

    @property
    def info(self) -> ModelInfo:
        """The loaded model."""
        ...

    def key(self, request: Request) -> str:
        """Where the result of `request` is stored."""
        ...

    def lookup(self, verb: Verb, request: Request) -> Result | None:
        """The stored result of `request`, or None."""
        ...

    def run(self, verb: Verb, request: Request, watch: Watch = ...) -> Result:
        """Compute and store the result. Raises Stopped once the watch says so."""
        ...

    def cett(self, request: CettRequest, out: Path, watch: Watch = ...) -> CettFile:
        """Write CETT of every layer, token and neuron of a text to `out`."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """A model to open: a row of the registry, hub name, directory or GGUF file. None: the program chooses."""

    name: str | None = None
    device: str | None = None
    dtype: str | None = None


Opener = Callable[[ModelSpec, Progress], Answering]


def default_model() -> str:
    """The model that HNEURONS_MODEL names, or the one that ships."""
    return os.environ.get(MODEL_VARIABLE, "").strip() or DEFAULT


def result_store() -> Store:
    """The store of results in the data folder, limited to HNEURONS_STORE_MB megabytes if that is set.

    Raises BadSettings if that is not a positive whole number.
    """
    words = os.environ.get(STORE_VARIABLE, "").strip()
    if not words:
        return Store(results_dir(), DEFAULT_MAX_BYTES)
    if not words.isascii() or not words.isdigit() or int(words) == 0:
        raise BadSettings(
            f"{STORE_VARIABLE} is {words[:40]!r}", "it is a whole number of megabytes above 0", "set it to 2048"
        )
    return Store(results_dir(), int(words) * 1024**2)


def open_engine(spec: ModelSpec, store: Store | None, progress: Progress, *, ahead: bool = False) -> Answering:
    """Load the model (by default the one that ships) and make its engine. Slow: imports torch.

    With `ahead` it also measures the reference mean of each neuron, which the first question would otherwise wait for.
    This is for a page, whose example can be viewed meanwhile.

    Raises UnknownModel, ModelUnreadable, ModelTooLarge, UnsupportedModel.
    """
    if ahead and "torch" not in sys.modules:
        # Importing torch blocks the interpreter for seconds, and the first page with its example would wait for it.
        time.sleep(FIRST_PAGE)
    with _IMPORTS:
        from backend.engine import Engine
        from backend.models.loading import load

        for row in VERBS.values():
            # The code that trains a probe takes seconds to import, and most people never train one.
            if not row.is_long:
                row.code()

    gc.unfreeze()
    engine = Engine(load(spec.name, spec.device, spec.dtype, progress), store)
    if ahead:
        progress("measuring the reference mean of each neuron", 1.0)
        engine.usual()
        # In a thread: it takes seconds, and it is needed only once the first answer is complete.
        threading.Thread(target=_warm_scorer, args=(engine.info,), daemon=True).start()
    # Modules and a model are hundreds of thousands of permanent objects. A full garbage collection, which pages trigger
    # often, would visit them all each time and leave the engine's thread a twentieth of the processor.
    gc.collect()
    gc.freeze()
    return engine


def _warm_scorer(info: ModelInfo) -> None:
    """Read in advance what scoring needs of the probe that pages choose for this model."""
    with _IMPORTS:
        from backend.probes import library, standing

    fitting = (summary for summary in library.listed() if summary.fingerprint == info.fingerprint)
    scored = next((summary for summary in fitting if summary.auroc is not None), None)
    if scored is not None:
        with suppress(HNeuronsError):
            standing.warm(*library.read_by_digest(ProbeRef(name=scored.name, digest=scored.digest)))


def model_of_probe(name: str | None, progress: Progress) -> tuple[ModelInfo | None, Said]:
    """The model that a probe is for: opened, or only its name and shape if it is not on this machine or too large.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel.
    """
    if name is None:
        return None, Said()
    with _IMPORTS:
        from backend.models import sources

    with suppress(ModelTooLarge):
        try:
            is_here = sources.is_here(sources.resolve(name))
        except UnknownModel:
            is_here = True
        if is_here:
            return open_engine(ModelSpec(name), None, progress).info, Said()
    return None, shape_of(name)


def shape_of(name: str) -> Said:
    """Name and shape of a model, without opening it. Raises UnknownModel, ModelUnreadable, UnsupportedModel."""
    with _IMPORTS:
        from backend.models import loading

    called, shape = loading.shape_alone(name)
    return Said(name=called, widths=(shape.neurons,) * shape.layers)


def choices() -> tuple[ModelChoice, ...]:
    """The registry's rows with the memory each needs and whether it fits this machine. Imports torch."""
    with _IMPORTS:
        from backend.models import loading

    return loading.choices()


def check(spec: ModelSpec, freed: int = 0, on: str = "") -> None:
    """Refuse at once what is known not to open: an unknown name, a directory without a complete and supported model, a
    row of the registry that cannot fit. The loaded model stays.

    `freed` bytes of the device `on` are counted as free in addition: the loaded model will be dropped first. Imports
    torch.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel, ModelTooLarge, BadSettings.
    """
    with _IMPORTS:
        from backend.models import devices, folders, memory, sources

    source = sources.resolve(spec.name)
    if source.kind == "directory":
        folders.inspect(Path(source.place))
    device = devices.choose_device(spec.device)
    dtype = devices.choose_dtype(device, spec.dtype)
    if source.row is not None:
        needs = memory.estimate(memory.row_shape(source.row), dtype)
        memory.check_fits(source.name, needs, device, devices.free_bytes(device) + _freed_on(device, freed, on))


def prepare(spec: ModelSpec, progress: Progress, freed: int = 0, on: str = "") -> None:
    """Do everything of opening a model except reading its weights: fetch or convert it if needed, check its files and
    configuration, and estimate its memory, with `freed` more bytes on the device `on`. May take long.

    Raises as `open_engine` does.
    """
    with _IMPORTS:
        from backend.models import devices, loading

    device = devices.choose_device(spec.device)
    loading.prepare(spec.name, spec.device, spec.dtype, progress, _freed_on(device, freed, on))


def _freed_on(device: str, freed: int, on: str) -> int:
    """The part of the `freed` bytes that are on `device`."""
    return freed if not on or on.split(":")[0] == device else 0


def memory_use(engine: Answering) -> dict[str, int] | None:
    """Bytes that the engine's model needs (weights, kv_cache, capture, total) and bytes free now; None for a fake."""
    from backend.engine import Engine
    from backend.models import devices, memory

    if not isinstance(engine, Engine):
        return None
    info = engine.info
    needs = memory.estimate(memory.shape_of(engine.model.plain.config, info.parameters), info.dtype)
    free = devices.free_bytes(devices.choose_device(info.device.split(":")[0]))
    return {**needs.to_dict(), "free": free}


def model_folder(name: str | None, progress: Progress) -> Path:
    """The local folder that Transformers loads for a model, after fetching or converting it if needed.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel.
    """
    from backend.models import sources

    return sources.local_path(sources.resolve(name), progress)


def free_memory() -> None:
    """Release the memory of dropped tensors, if torch has been imported at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
