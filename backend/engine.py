"""The loaded model, running requests on it, and the store of its results.

Owns `Engine`: request in, result out; a result is looked up in the store first and stored there afterwards. An engine
runs one request at a time: callers that share it need a queue in front of it (`backend.serve.worker`). Pages, HTTP
and command line all run requests through it and add no computation of their own.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from backend.errors import BadSettings, StoreError
from backend.forward import reference
from backend.forward.chat import clock
from backend.forward.prompting import Encoded, encode, token_infos
from backend.forward.reference import Usual
from backend.forward.rows.works import Piece, Shared, Work
from backend.forward.templating import one_moment
from backend.forward.whole import full_array
from backend.models.loaded import LoadedModel
from backend.probes import scoring
from backend.types import (
    Asked,
    CettFile,
    CettRequest,
    Frozen,
    ModelInfo,
    Request,
    Result,
    StageEvent,
    Verb,
    result_key,
)
from backend.types.refusal import read_stored
from backend.verbs import table
from backend.verbs.table import A, R, VerbRow
from backend.watch import SILENT, Watch
from cache import atomic
from cache.arrays import new_array
from cache.errors import StoreProblem
from cache.store import Store

log = logging.getLogger(__name__)


class Engine:
    """One loaded model and its store. Not safe for two threads at once."""

    def __init__(self, model: LoadedModel, store: Store | None = None) -> None:
        self.model = model
        self.store = store
        self._usual: Usual | None = None
        self._shared = Shared(model)

    @property
    def info(self) -> ModelInfo:
        """The model that all results are computed with."""
        return self.model.info

    def key(self, request: Frozen) -> str:
        """The store key of the result of `request` on this model; includes the time if the chat template reads it."""
        row = table.row_of(request)
        asked = request if row is None else row.read(request)
        clock_reads = clock(self.model.tokenizer, asked) if isinstance(asked, Asked) else ()
        row_version = () if row is None or not row.version else (row.version,)
        scoring_version = (scoring.VERSION,) if getattr(request, "probe", None) is not None else ()
        basis = "\0".join((self.info.basis, *clock_reads, *row_version, *scoring_version))
        return result_key(request, basis)

    def lookup(self, verb: Verb, request: Request) -> Result | None:
        """The stored result of `request`, or None. Long runs have a folder of their own and are never looked up."""
        row = table.row_taking(verb, request)
        payload = None if row.is_long else self._stored(request)
        return None if payload is None else read_stored(row.result, payload)

    def run(self, verb: Verb, request: Request, watch: Watch = SILENT) -> Result:
        """The result of `request`: from the store, or computed now and stored.

        If the disk is full the result is returned all the same; it is only not stored.
        """
        # The key must hold the time that the chat template used, even if midnight passes during the computation.
        with one_moment():
            stored = self.lookup(verb, request)
            if stored is not None:
                return stored
            row = table.row_taking(verb, request)
            result = self._compute(row, request, watch)
            if not row.is_long:
                self._put_in_store(verb, request, result)
            return result

    def ask(self, row: VerbRow[R, A], request: R, watch: Watch = SILENT) -> A:
        """As `run`, typed: the verb and the type of the result are those of `row`."""
        result = self.run(row.name, request, watch)
        assert isinstance(result, row.result)
        return result

    def begin(self, verb: Verb, request: Request, watch: Watch) -> Piece | None:
        """Start a request that shares batches with the running ones; None if its verb needs the model alone (`run`).

        `step` advances it. Its result is stored when it is done, as that of `run`.
        """
        work = table.row_taking(verb, request).together(self, request, watch)
        if work is None:
            return None
        return self._shared.begin(lambda batch: self._run_then_keep(verb, request, work(batch)), watch.stopped)

    def step(self) -> list[Piece]:
        """Compute one more token of all started requests; returns those that are finished.

        Raises if none of them can continue; then call `leave`.
        """
        return self._shared.step()

    def leave(self) -> list[Piece]:
        """Abandon all started requests that are not finished, and return them."""
        return self._shared.close()

    @property
    def has_room(self) -> bool:
        """Whether a request that is started now would run at once, instead of waiting for memory."""
        return self._shared.has_room

    def _run_then_keep(self, verb: Verb, request: Request, work: Work[A]) -> Work[tuple[str, A]]:
        """(key, result) of `work`, stored under the time that its chat template used when it started."""
        with one_moment():
            result = yield from work
            self._put_in_store(verb, request, result)
            return self.key(request), result

    def cett(self, request: CettRequest, out: Path, watch: Watch = SILENT) -> CettFile:
        """Write the full array [layer, token, neuron] float32 to `out`, and a JSON file that describes its axes.

        The array is written layer by layer to a temporary file beside `out`, which is then renamed.
        Raises BadSettings if both would be the same file, BadPrompt for a text that is too long, StoreError if
        a file cannot be written.
        """
        if out == out.with_suffix(".json"):
            raise BadSettings(
                f"{out.name} cannot be the name of the array",
                "the description of its axes is written to a file of that name",
                "choose a name that ends in .npy",
            )
        # Not validated as a typed prompt: the only limit of this text is the model's context.
        encoded = encode(self.model, Asked.model_construct(prompt=request.text, chat=request.chat))
        shape = (self.info.n_layers, len(encoded), max(self.info.widths))
        watch.emit(StageEvent(stage=f"writing {shape[0]} x {shape[1]} x {shape[2]} CETT values"))
        description = CettFile(
            path=str(out),
            sidecar=str(out.with_suffix(".json")),
            shape=shape,
            token_ids=encoded.ids,
            tokens=tuple(token.shown for token in token_infos(self.model, encoded.ids, encoded.roles)),
            model=self.info,
        )
        try:
            self._write_array(encoded, description)
        except OSError as error:
            raise StoreError(
                f"{out} cannot be written", str(error), "choose another place or free some space"
            ) from error
        return description

    def _write_array(self, encoded: Encoded, description: CettFile) -> None:
        """Write array and JSON file, each atomically. Raises OSError."""
        out = Path(description.path)
        with atomic.path(out, atomic.OPEN) as part, atomic.stream(Path(description.sidecar), atomic.OPEN) as sidecar:
            array = new_array(part, description.shape)
            array[:] = np.nan if len(set(self.info.widths)) > 1 else 0
            full_array(self.model, encoded, array)
            array.flush()
            sidecar.write(json.dumps(description.model_dump(mode="json"), indent=1).encode())

    def usual(self, watch: Watch = SILENT) -> Usual:
        """Each neuron's mean CETT on the reference text: measured once for this model, then read from the store."""
        if self._usual is None:
            request = reference.request(self.model)
            payload = self._stored(request)
            self._usual = None if payload is None else read_stored(Usual, payload)
            if self._usual is None:
                watch.emit(StageEvent(stage="measuring the reference mean of each neuron"))
                self._usual = reference.measure(self.model, watch)
                self._put_in_store("usual", request, self._usual)
        return self._usual

    def _compute(self, row: VerbRow[R, A], request: R, watch: Watch) -> A:
        return row.run(self, request, watch)

    def _stored(self, request: Frozen) -> bytes | None:
        """The stored bytes for `request`, or None. An entry that cannot be read counts as missing."""
        if self.store is None:
            return None
        try:
            return self.store.get(self.key(request))
        except StoreProblem as error:
            log.warning("stored result not read, computing it again: %s", error)
            return None

    def _put_in_store(self, kind: str, request: Frozen, result: Frozen) -> None:
        if self.store is None:
            return
        meta = {"request": request.model_dump(mode="json"), "model": self.info.name}
        try:
            self.store.put(self.key(request), result.to_bytes(), kind, meta)
        except StoreProblem as error:
            log.warning("result not kept: %s", error)
