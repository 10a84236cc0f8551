"""The one loaded model, what is asked of it, and the store of what it answered.

Owns `Engine`: request in, result out, looked up in the store first and kept there after. One engine runs one
request at a time: whoever shares it puts a queue before it (`backend.serve.worker`). Doors add nothing.
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
        """The model that every figure belongs to."""
        return self.model.info

    def key(self, request: Frozen) -> str:
        """Where the result of `request` on this model is stored, with its template as it reads the clock now."""
        row = table.row_of(request)
        text = request if row is None else row.read(request)
        read = clock(self.model.tokenizer, text) if isinstance(text, Asked) else ()
        version = () if row is None or not row.version else (row.version,)
        scored = (scoring.VERSION,) if getattr(request, "probe", None) is not None else ()
        basis = "\0".join((self.info.basis, *read, *version, *scored))
        return result_key(request, basis)

    def lookup(self, verb: Verb, request: Request) -> Result | None:
        """The stored result of `request`, or None. A long run keeps its own folder, and is never looked up."""
        row = table.row_taking(verb, request)
        payload = None if row.is_long else self._stored(request)
        return None if payload is None else read_stored(row.result, payload)

    def run(self, verb: Verb, request: Request, watch: Watch = SILENT) -> Result:
        """The result of `request`: from the store, or computed now and kept.

        A full disk loses nothing but the keeping: the result comes back all the same.
        """
        # A figure is kept under the moment that its template took for now, also where midnight passes meanwhile.
        with one_moment():
            found = self.lookup(verb, request)
            if found is not None:
                return found
            row = table.row_taking(verb, request)
            result = self._compute(row, request, watch)
            if not row.is_long:
                self._keep(verb, request, result)
            return result

    def ask(self, row: VerbRow[R, A], request: R, watch: Watch = SILENT) -> A:
        """The same, of the type that the verb's row says."""
        result = self.run(row.name, request, watch)
        assert isinstance(result, row.result)
        return result

    def begin(self, verb: Verb, request: Request, watch: Watch) -> Piece | None:
        """Let a request begin beside those that run, where its verb answers row by row; None where it needs the model
        for itself (`run`). Its result, once it is done, is kept as that of `run`. `step` carries it on.
        """
        work = table.row_taking(verb, request).together(self, request, watch)
        if work is None:
            return None
        return self._shared.begin(lambda batch: self._kept(verb, request, work(batch)), watch.stopped)

    def step(self) -> list[Piece]:
        """One more token of all that was begun: what is done with it. Raises where none of it can go on: `leave`."""
        return self._shared.step()

    def leave(self) -> list[Piece]:
        """Let go of all that was begun and has not ended."""
        return self._shared.close()

    @property
    def has_room(self) -> bool:
        """Whether what is begun now would not wait for memory behind what was begun before."""
        return self._shared.has_room

    def _kept(self, verb: Verb, request: Request, work: Work[A]) -> Work[tuple[str, A]]:
        """(key, result) of a work: kept under the moment that its template took for now when it began."""
        with one_moment():
            result = yield from work
            self._keep(verb, request, result)
            return self.key(request), result

    def cett(self, request: CettRequest, out: Path, watch: Watch = SILENT) -> CettFile:
        """Write the full array [layer, token, neuron] float32 to `out`, and what its axes are beside it as JSON.

        The array is written layer by layer to a file beside `out` and moved there whole.
        Raises BadSettings where both would be one file, BadPrompt for a text that is too long, StoreError where
        the file cannot be written.
        """
        if out == out.with_suffix(".json"):
            raise BadSettings(
                f"{out.name} is no name for the array", "what its axes are goes into that file", "name it .npy"
            )
        # Not validated as a typed prompt: a text is bounded by the model's context alone.
        encoded = encode(self.model, Asked.model_construct(prompt=request.text, chat=request.chat))
        shape = (self.info.n_layers, len(encoded), max(self.info.widths))
        watch.emit(StageEvent(stage=f"writing {shape[0]} x {shape[1]} x {shape[2]} CETT values"))
        told = CettFile(
            path=str(out),
            sidecar=str(out.with_suffix(".json")),
            shape=shape,
            token_ids=encoded.ids,
            tokens=tuple(one.shown for one in token_infos(self.model, encoded.ids, encoded.roles)),
            model=self.info,
        )
        try:
            self._write_array(encoded, told)
        except OSError as error:
            raise StoreError(
                f"{out} cannot be written", str(error), "choose another place or free some space"
            ) from error
        return told

    def _write_array(self, encoded: Encoded, told: CettFile) -> None:
        """Array and sidecar, each written beside its place and moved there whole. Raises OSError."""
        out = Path(told.path)
        with atomic.path(out, atomic.OPEN) as part, atomic.stream(Path(told.sidecar), atomic.OPEN) as side:
            array = new_array(part, told.shape)
            array[:] = np.nan if len(set(self.info.widths)) > 1 else 0
            full_array(self.model, encoded, array)
            array.flush()
            side.write(json.dumps(told.model_dump(mode="json"), indent=1).encode())

    def usual(self, watch: Watch = SILENT) -> Usual:
        """Each neuron's CETT on the reference text: measured once for this model, then from the store."""
        if self._usual is None:
            request = reference.request(self.model)
            payload = self._stored(request)
            self._usual = None if payload is None else read_stored(Usual, payload)
            if self._usual is None:
                watch.emit(StageEvent(stage="measuring what is usual for each neuron"))
                self._usual = reference.measure(self.model, watch)
                self._keep("usual", request, self._usual)
        return self._usual

    def _compute(self, row: VerbRow[R, A], request: R, watch: Watch) -> A:
        return row.run(self, request, watch)

    def _stored(self, request: Frozen) -> bytes | None:
        """What is kept for `request`. What the system refuses to hand over counts as missing."""
        if self.store is None:
            return None
        try:
            return self.store.get(self.key(request))
        except StoreProblem as error:
            log.warning("stored result not read, computing it again: %s", error)
            return None

    def _keep(self, kind: str, request: Frozen, result: Frozen) -> None:
        if self.store is None:
            return
        meta = {"request": request.model_dump(mode="json"), "model": self.info.name}
        try:
            self.store.put(self.key(request), result.to_bytes(), kind, meta)
        except StoreProblem as error:
            log.warning("result not kept: %s", error)
