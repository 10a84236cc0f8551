"""The verbs, and the one loaded model that they work on.

Owns `Engine`: request in, result out, looked up in the store first and kept there after. One engine runs one
request at a time: whoever shares it puts a queue before it (`backend.serve.worker`). Doors add nothing.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TypeVar

import numpy as np

from backend.errors import BadSettings, StoreError
from backend.forward import reference
from backend.forward.chat import clock
from backend.forward.prompting import Encoded, encode, token_infos
from backend.forward.reference import Usual
from backend.forward.rows.works import Piece, Shared, Work
from backend.forward.templating import one_moment
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import (
    LONG,
    RESULTS,
    Asked,
    CettFile,
    CettRequest,
    CompareRequest,
    Comparison,
    Exploration,
    ExploreRequest,
    Frozen,
    IdentifyRequest,
    Lens,
    LensRequest,
    ModelInfo,
    NeuronCard,
    NeuronRequest,
    Probe,
    Request,
    Result,
    StageEvent,
    Verb,
    result_key,
)
from backend.types.refusal import read_stored
from backend.verbs.compare import compare, comparing
from backend.verbs.explore import explore, exploring, full_array
from backend.verbs.lens import VERSION as LENS
from backend.verbs.lens import lens
from backend.verbs.neuron import card
from backend.watch import SILENT, Watch
from cache import atomic
from cache.arrays import new_array
from cache.errors import StoreProblem
from cache.store import Store

log = logging.getLogger(__name__)

Answered = TypeVar("Answered", bound=Frozen)


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
        text = request.text if isinstance(request, NeuronRequest) else request
        read = clock(self.model.tokenizer, text) if isinstance(text, Asked) else ()
        told = (f"lens {LENS}",) if isinstance(request, (LensRequest, NeuronRequest)) else ()
        basis = "\0".join((self.info.basis, *read, *told))
        return result_key(request, basis)

    def lookup(self, verb: Verb, request: Request) -> Result | None:
        """The stored result of `request`, or None. A long run keeps its own folder, and is never looked up."""
        if verb in LONG:
            return None
        payload = self._stored(request)
        return None if payload is None else read_stored(RESULTS[verb], payload)

    def run(self, verb: Verb, request: Request, watch: Watch = SILENT) -> Result:
        """The result of `request`: from the store, or computed now and kept.

        A full disk loses nothing but the keeping: the result comes back all the same.
        """
        # A figure is kept under the moment that its template took for now, also where midnight passes meanwhile.
        with one_moment():
            found = self.lookup(verb, request)
            if found is not None:
                return found
            result = self._compute(request, watch)
            if verb not in LONG:
                self._keep(verb, request, result)
            return result

    def begin(self, verb: Verb, request: Request, watch: Watch) -> Piece | None:
        """Let a request begin beside those that run, where its verb answers row by row; None where it needs the model
        for itself (`run`). Its result, once it is done, is kept as that of `run`. `step` carries it on.
        """
        if isinstance(request, CompareRequest):
            return self._shared.begin(
                lambda batch: self._kept(verb, request, comparing(batch, request, watch)), watch.stopped
            )
        if isinstance(request, ExploreRequest) and request.answer is None:
            usual = self.usual(watch)
            return self._shared.begin(
                lambda batch: self._kept(verb, request, exploring(batch, request, usual, watch)), watch.stopped
            )
        return None

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

    def _kept(self, verb: Verb, request: Request, work: Work[Answered]) -> Work[tuple[str, Answered]]:
        """(key, result) of a work: kept under the moment that its template took for now when it began."""
        with one_moment():
            result = yield from work
            self._keep(verb, request, result)
            return self.key(request), result

    def explore(self, request: ExploreRequest, watch: Watch = SILENT) -> Exploration:
        """One answer, seen inside. See `backend.verbs.explore.explore`."""
        result = self.run("explore", request, watch)
        assert isinstance(result, Exploration)
        return result

    def compare(self, request: CompareRequest, watch: Watch = SILENT) -> Comparison:
        """One prompt under several interventions. See `backend.verbs.compare.compare`."""
        result = self.run("compare", request, watch)
        assert isinstance(result, Comparison)
        return result

    def neuron(self, request: NeuronRequest, watch: Watch = SILENT) -> NeuronCard:
        """One neuron's card. See `backend.verbs.neuron.card`."""
        result = self.run("neuron", request, watch)
        assert isinstance(result, NeuronCard)
        return result

    def lens(self, request: LensRequest, watch: Watch = SILENT) -> Lens:
        """What neurons push. See `backend.verbs.lens.lens`."""
        result = self.run("lens", request, watch)
        assert isinstance(result, Lens)
        return result

    def identify(self, request: IdentifyRequest, watch: Watch = SILENT) -> Probe:
        """A probe from questions, in a folder that a later call goes on with. See `backend.identify.pipeline.run`."""
        result = self.run("identify", request, watch)
        assert isinstance(result, Probe)
        return result

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
            request = reference.request()
            payload = self._stored(request)
            self._usual = None if payload is None else read_stored(Usual, payload)
            if self._usual is None:
                watch.emit(StageEvent(stage="measuring what is usual for each neuron"))
                self._usual = reference.measure(self.model, watch)
                self._keep("usual", request, self._usual)
        return self._usual

    def _compute(self, request: Request, watch: Watch) -> Result:
        if isinstance(request, CompareRequest):
            return compare(self.model, request, watch)
        if isinstance(request, ExploreRequest):
            return explore(self.model, request, self.usual(watch), watch)
        if isinstance(request, LensRequest):
            return lens(self.model, request)
        if isinstance(request, IdentifyRequest):
            return self._identified(request, watch)
        self.info.layout.check([request.neuron])
        text = None
        if request.text is not None:
            text = self.explore(request.text.model_copy(update={"neurons": NeuronSet((request.neuron,))}), watch)
        return card(self.model, request, self.usual(watch), text)

    def _identified(self, request: IdentifyRequest, watch: Watch) -> Probe:
        # Here and not above: solvers and statistics take seconds to import, and most never train a probe.
        from backend.identify.pipeline import run
        from backend.identify.questions.questions import asked_by
        from backend.runs import runs

        plan, questions = request.plan, request.questions
        folder = runs.opened(request.name)
        if request.answers_of is not None:
            questions = runs.branch(request.answers_of, request.name, plan, self.info, questions)
        questions = questions or runs.questions(folder, plan.source) or asked_by(plan.source)
        return run(self.model, plan, questions, folder, request.name, request.command, watch)

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
