"""The table of verbs: everything that a loaded model can be asked, one row each.

Owns which verbs there are. Engine, worker, client, HTTP routes, command line and the fakes of the tests are made from
these rows and know no verb by name, except for what only one verb has: its own options and tables on the command line,
its own page. A verb is one module of this folder with its function, and one row here.

Requests and results of the shipped verbs are in `backend.types`, because pages import them from there and must not
import this folder. A verb without a page may define its own. A row names its module instead of importing it: most
modules need torch, which no door may import before a model is opened.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from backend.errors import BadSettings, Unknown
from backend.types import (
    CompareRequest,
    Comparison,
    Exploration,
    ExploreRequest,
    Frozen,
    IdentifyRequest,
    Lens,
    LensRequest,
    NeuronCard,
    NeuronRequest,
    Probe,
    Request,
    Result,
)
from backend.types.scoring import ScoreRequest, Scoring

if TYPE_CHECKING:
    from backend.engine import Engine
    from backend.forward.rows.batch import Batch
    from backend.forward.rows.works import Work
    from backend.watch import Watch

R = TypeVar("R", bound=Request)
A = TypeVar("A", bound=Result)


def _itself(request: Frozen) -> Frozen:
    return request


@dataclass(frozen=True)
class VerbRow(Generic[R, A]):
    """One verb.

    name: its name everywhere: the command, the route, the kind of its stored results.
    request, result: its types, a `Request` and a `Result`.
    says: what it does, in one sentence without its full stop.
    runs: "alone" uses the model for one request at a time; "together" has rows that share a batch with other requests;
        "long" takes minutes or hours, yields to other jobs between its batches, goes on without viewers, waits while
        another model is loaded, keeps what it has computed in a folder of its own, and its result is not kept in the
        store. A name, lists of runs, and a request that outlives the program belong to identify alone.
    is_question: False if a page asks by itself; such a request does not count as using the model.
    version: part of the key of its results; raise it when results stored earlier would differ today.
    read: the part of a request to which the model's chat template applies.
    module: its code, by default the module of its name in this folder: `run(engine, request, watch)` and, if it runs
        together with others, `together(engine, request, watch)`.
    """

    name: str
    request: type[R]
    result: type[A]
    says: str
    runs: Literal["alone", "together", "long"] = "alone"
    is_question: bool = True
    version: str = ""
    read: Callable[[R], Frozen | None] = _itself
    module: str = ""

    @property
    def is_long(self) -> bool:
        """Whether it takes minutes or hours and goes on without viewers."""
        return self.runs == "long"

    def code(self) -> Any:
        """Its module, imported now if it was not yet."""
        return importlib.import_module(self.module or f"{__package__}.{self.name}")

    def run(self, engine: Engine, request: R, watch: Watch) -> A:
        """Its result, computed with the model for itself. Raises what the verb raises, and Stopped."""
        return cast("A", self.code().run(engine, request, watch))

    def together(self, engine: Engine, request: R, watch: Watch) -> Callable[[Batch], Work[A]] | None:
        """What starts it in a shared batch; None if this request needs the model for itself."""
        if self.runs != "together":
            return None
        return cast("Callable[[Batch], Work[A]] | None", self.code().together(engine, request, watch))


PUSHES = "lens 2"
"""The version of the arithmetic of `backend.verbs.lens`, which a neuron's card shows too. Raise it when that arithmetic
changes, so that stored results of the earlier version are not used any more."""

EXPLORE = VerbRow("explore", ExploreRequest, Exploration, "See inside one answer", runs="together")
COMPARE = VerbRow(
    "compare",
    CompareRequest,
    Comparison,
    "One prompt under several interventions",
    runs="together",
)
NEURON = VerbRow(
    "neuron",
    NeuronRequest,
    NeuronCard,
    "One neuron's card",
    is_question=False,
    version=PUSHES,
    read=lambda request: request.text,
)
LENS = VerbRow(
    "lens",
    LensRequest,
    Lens,
    "What several neurons push",
    is_question=False,
    version=PUSHES,
)
SCORE = VerbRow("score", ScoreRequest, Scoring, "A probe on questions that it was not made from", runs="long")
IDENTIFY = VerbRow("identify", IdentifyRequest, Probe, "A probe from questions", runs="long")


class _Table(dict[str, VerbRow[Any, Any]]):
    """Name -> row. A request or result without its verb is recognised by its type, so each type belongs to one row."""

    def __setitem__(self, name: str, row: VerbRow[Any, Any]) -> None:
        for known in self.values():
            for mine, theirs in ((row.request, known.request), (row.result, known.result)):
                if known.name != name and (issubclass(mine, theirs) or issubclass(theirs, mine)):
                    raise ValueError(f"{mine.__name__} of {name} is already one of {known.name}")
        super().__setitem__(name, row)


VERBS: dict[str, VerbRow[Any, Any]] = _Table()
"""Name -> row, in the order in which doors list them."""
for _each in (EXPLORE, COMPARE, NEURON, LENS, SCORE, IDENTIFY):
    VERBS[_each.name] = _each


def row(name: str) -> VerbRow[Any, Any]:
    """The row of that name. Raises Unknown."""
    verb_row = VERBS.get(name)
    if verb_row is None:
        raise Unknown(f"There is no verb {name[:40]!r}", "nothing has that name", f"ask for one of {', '.join(VERBS)}")
    return verb_row


def row_taking(name: str, request: Frozen) -> VerbRow[Any, Any]:
    """The row of that name, if its requests have the type of this one. Raises Unknown, BadSettings."""
    verb_row = row(name)
    if not isinstance(request, verb_row.request):
        raise BadSettings(
            f"This is no request of {name}",
            f"{name} is asked with {verb_row.request.__name__}, and this is {type(request).__name__}",
            "ask the verb that it belongs to",
        )
    return verb_row


def row_of(request: Frozen) -> VerbRow[Any, Any] | None:
    """The row that a request belongs to, or None."""
    return next((each for each in VERBS.values() if isinstance(request, each.request)), None)


def row_answering(result: Frozen) -> VerbRow[Any, Any]:
    """The row that a result belongs to."""
    return next(each for each in VERBS.values() if isinstance(result, each.result))


class _Names:
    """The JSON schema of a verb's name: the rows that exist when the schema is made."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(VERBS), "type": "string"}


VerbName = Annotated[str, _Names]
"""The name of a verb in a request from outside: its JSON schema lists the existing ones. `row` refuses others."""
