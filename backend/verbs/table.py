"""The table of verbs: everything that can be asked of a loaded model, one row each.

Owns which verbs there are. Engine, worker, client, HTTP routes, command line and the tests' fakes are made from these
rows and know no verb by name, but for what only one of them has: its own options and tables on the command line, its
own page. A verb is one module of this folder with its function, and one row here.

Requests and results of the verbs that ship stand in `backend.types`, because pages take them from there and may not
reach into this folder; a verb that no page draws may bring its own. A row names its module instead of importing it:
most need torch, which no door may import before a model is opened.
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

    name: what it is called at every door: the command, the route, the kind of its stored results.
    request, result: its types, a `Request` and a `Result`.
    says: what it does, in one sentence without its full stop.
    runs: "alone" takes the model for itself; "together" has rows that share a batch with those of others; "long" takes
        minutes or hours, lets others go between its batches, goes on when nobody looks, waits where another model is
        loaded, and is not kept in the store. All else of a long run is identify's own: a name and a folder, lists of
        runs, a request that outlives the program, taking up where it was, and its commands.
    is_question: False where a page asks by itself, so that asking does not count as being at work.
    version: joins the key of its results; raised when a stored one would be told differently today.
    read: the part of a request that the model's chat template is put around.
    module: where its code is, by default the module of its name in this folder: `run(engine, request, watch)` and,
        where it runs together with others, `together(engine, request, watch)`.
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
        """Whether it takes minutes or hours, and nobody need look on."""
        return self.runs == "long"

    def code(self) -> Any:
        """Its module, imported now if it was not yet."""
        return importlib.import_module(self.module or f"{__package__}.{self.name}")

    def run(self, engine: Engine, request: R, watch: Watch) -> A:
        """Its result, computed with the model to itself. Raises what the verb raises, Stopped."""
        return cast("A", self.code().run(engine, request, watch))

    def together(self, engine: Engine, request: R, watch: Watch) -> Callable[[Batch], Work[A]] | None:
        """What begins it in a batch of several; None where this request needs the model for itself."""
        if self.runs != "together":
            return None
        return cast("Callable[[Batch], Work[A]] | None", self.code().together(engine, request, watch))


PUSHES = "lens 2"
"""The version of what output directions push (`backend.verbs.lens`), which a neuron's card tells as well. Raised where
that arithmetic changes: what is stored under the version before is then computed anew."""

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
IDENTIFY = VerbRow("identify", IdentifyRequest, Probe, "A probe from questions", runs="long")


class _Table(dict[str, VerbRow[Any, Any]]):
    """Name -> row. A request or a result that comes without its verb is known by its type, so each type has one row."""

    def __setitem__(self, name: str, row: VerbRow[Any, Any]) -> None:
        for other in self.values():
            for mine, theirs in ((row.request, other.request), (row.result, other.result)):
                if other.name != name and (issubclass(mine, theirs) or issubclass(theirs, mine)):
                    raise ValueError(f"{mine.__name__} of {name} is already one of {other.name}")
        super().__setitem__(name, row)


VERBS: dict[str, VerbRow[Any, Any]] = _Table()
"""Name -> row, in the order in which doors list them."""
for _each in (EXPLORE, COMPARE, NEURON, LENS, IDENTIFY):
    VERBS[_each.name] = _each


def row(name: str) -> VerbRow[Any, Any]:
    """The row of that name. Raises Unknown."""
    found = VERBS.get(name)
    if found is None:
        raise Unknown(f"There is no verb {name[:40]!r}", "nothing is called so", f"ask for one of {', '.join(VERBS)}")
    return found


def row_taking(name: str, request: Frozen) -> VerbRow[Any, Any]:
    """The row of that name, which is asked with requests of this type. Raises Unknown, BadSettings."""
    found = row(name)
    if not isinstance(request, found.request):
        raise BadSettings(
            f"This is no request of {name}",
            f"{name} is asked with {found.request.__name__}, and this is {type(request).__name__}",
            "ask the verb that it belongs to",
        )
    return found


def row_of(request: Frozen) -> VerbRow[Any, Any] | None:
    """The row that a request belongs to; None for what is no verb's."""
    return next((each for each in VERBS.values() if isinstance(request, each.request)), None)


def row_answering(result: Frozen) -> VerbRow[Any, Any]:
    """The row that a result belongs to."""
    return next(each for each in VERBS.values() if isinstance(result, each.result))


class _Names:
    """The JSON schema of a verb's name: the rows that there are when it is asked for."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(VERBS), "type": "string"}


VerbName = Annotated[str, _Names]
"""The name of a verb where it comes from outside: described as one that there is. `row` refuses any other."""
