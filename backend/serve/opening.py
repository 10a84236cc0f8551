"""What serving needs of an engine, and how one is opened.

Owns the `Answering` protocol, which `backend.engine.Engine` meets, and the one place where the heavy
packages are imported: inside `open_engine`, so that a door stands at once. It finds no files itself
(`backend.models`).
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
"""Seconds in which the page that began a server is drawn, before the model's packages are imported."""

Progress = Callable[[str, float], None]
"""Told of a stage and its fraction 0..1."""


class Answering(Sharing, Protocol):
    """The verbs of one loaded model, from one thread; `key` and `lookup` may be called from any.

    `run` takes the model for one request; what was begun by `begin` runs together, a token at each `step`.
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
        """Compute and store. Raises Stopped once the watch says so."""
        ...

    def cett(self, request: CettRequest, out: Path, watch: Watch = ...) -> CettFile:
        """Write the full array of a text to `out`."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """A model to open: a row of the table, hub name, directory or GGUF file. None leaves the choice to us."""

    name: str | None = None
    device: str | None = None
    dtype: str | None = None


Opener = Callable[[ModelSpec, Progress], Answering]


def default_model() -> str:
    """The model that HNEURONS_MODEL names, else the one that ships."""
    return os.environ.get(MODEL_VARIABLE, "").strip() or DEFAULT


def result_store() -> Store:
    """The store of results in the data folder, bounded by HNEURONS_STORE_MB where that is set.

    Raises BadSettings where it is not a positive whole number.
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

    With `ahead` it also has what is usual for each neuron, which the first question would otherwise wait for:
    for a page, whose example is looked at meanwhile.

    Raises UnknownModel, ModelUnreadable, ModelTooLarge, UnsupportedModel.
    """
    if ahead and "torch" not in sys.modules:
        # Importing torch holds the interpreter for seconds, and the first page with its example would wait for it.
        time.sleep(FIRST_PAGE)
    with _IMPORTS:
        from backend.engine import Engine
        from backend.models.loading import load

        for row in VERBS.values():
            # What trains a probe takes seconds to import, and most never train one.
            if not row.is_long:
                row.code()

    gc.unfreeze()
    engine = Engine(load(spec.name, spec.device, spec.dtype, progress), store)
    if ahead:
        progress("measuring what is usual for each neuron", 1.0)
        engine.usual()
        # In a thread: nobody waits for it before an answer is whole, and it takes seconds.
        threading.Thread(target=_warm, args=(engine.info,), daemon=True).start()
    # Modules and a model are hundreds of thousands of lasting objects: a full collection, which pages trigger
    # again and again, would walk them all each time and leave the engine's thread a twentieth of the processor.
    gc.collect()
    gc.freeze()
    return engine


def _warm(info: ModelInfo) -> None:
    """Read what the first score will need of the probe that pages take for this model, its own answers."""
    with _IMPORTS:
        from backend.probes import library, standing

    fitting = (one for one in library.listed() if one.fingerprint == info.fingerprint)
    found = next((one for one in fitting if one.auroc is not None), None)
    if found is not None:
        with suppress(HNeuronsError):
            standing.warm(*library.read_as(ProbeRef(name=found.name, digest=found.digest)))


def meant(name: str | None, progress: Progress) -> tuple[ModelInfo | None, Said]:
    """The model that a probe is said to be for; where it is not here or too large, its name and shape alone.

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
    """Name and shape of a model that is not opened for that. Raises UnknownModel, ModelUnreadable, UnsupportedModel."""
    with _IMPORTS:
        from backend.models import loading

    called, shape = loading.shape_alone(name)
    return Said(name=called, widths=(shape.neurons,) * shape.layers)


def choices() -> tuple[ModelChoice, ...]:
    """The registry's rows with what each needs and whether it fits this machine. Imports torch."""
    with _IMPORTS:
        from backend.models import loading

    return loading.choices()


def check(spec: ModelSpec, freed: int = 0, on: str = "") -> None:
    """Refuse at once what is known not to open: a name of nothing, a directory without a whole and known model,
    a row of the table that cannot fit. The loaded model stays.

    `freed` bytes of the device `on` will be free besides those that are now: the loaded model goes first. Imports
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
        memory.check_fits(source.name, needs, device, devices.free_bytes(device) + _on(device, freed, on))


def prepare(spec: ModelSpec, progress: Progress, freed: int = 0, on: str = "") -> None:
    """Everything of opening a model but the reading of its weights: fetched or converted where it must be, its files
    and its configuration looked at, its memory worked out with `freed` bytes more on the device `on`. May take long.

    Raises as `open_engine` does.
    """
    with _IMPORTS:
        from backend.models import devices, loading

    device = devices.choose_device(spec.device)
    loading.prepare(spec.name, spec.device, spec.dtype, progress, _on(device, freed, on))


def _on(device: str, freed: int, on: str) -> int:
    """The freed bytes that are of use on `device`."""
    return freed if not on or on.split(":")[0] == device else 0


def reckon(engine: Answering) -> dict[str, int] | None:
    """Bytes that the engine's model needs (weights, kv_cache, capture, total), and those free now."""
    from backend.engine import Engine
    from backend.models import devices, memory

    if not isinstance(engine, Engine):
        return None
    info = engine.info
    needs = memory.estimate(memory.shape_of(engine.model.plain.config, info.parameters), info.dtype)
    free = devices.free_bytes(devices.choose_device(info.device.split(":")[0]))
    return {**needs.to_dict(), "free": free}


def model_folder(name: str | None, progress: Progress) -> Path:
    """The local folder that Transformers loads for a model, fetched or converted where it must be.

    Raises UnknownModel, ModelUnreadable, UnsupportedModel.
    """
    from backend.models import sources

    return sources.local_path(sources.resolve(name), progress)


def free_memory() -> None:
    """Give back what dropped tensors held, if torch has been imported at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
