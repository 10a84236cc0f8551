"""All expected errors, as one class tree.

    HNeuronsError                a subclass of cache.errors.ExpectedError: what, why, instead
    ├── BadInput                 the request cannot be carried out as typed (exit status 2, HTTP 422)
    │   ├── BadNeurons           a neuron id, set or file is malformed or not of this model
    │   ├── BadPrompt            empty, too long, or not text
    │   └── BadSettings          a number outside its range
    ├── InterventionUnused       an intervention changed no activation, so its answer is not shown
    ├── ZeroOutput               CETT is undefined: an MLP output of norm 0
    ├── NotFinite                NaN or infinity in weights or activations: nothing is computed from it
    ├── Stopped                  the person pressed Stop (not a failure)
    ├── ModelError
    │   ├── UnknownModel         no such name, directory or file
    │   ├── ModelUnreadable      files are there but cannot be loaded
    │   ├── ModelTooLarge        does not fit in the memory of this machine
    │   └── UnsupportedModel     can be read, but its MLP has no neurons that this program can address
    ├── StoreError               a result cannot be stored or read
    ├── Unknown                  a run, result or example that does not exist (any more) (exit status 2)
    ├── QueueFull                more runs wait than are accepted
    ├── Busy                     others are using the model: the person must confirm first (HTTP 409)
    ├── NotAllowed               a request that this service does not accept from that address (HTTP 403)
    ├── OutOfMemory              the run needed more memory than there is
    ├── Internal                 a bug of the program, not a mistake of the person
    └── BackendUnavailable       the HTTP service does not answer

Every error says what is wrong, why, and what to do instead. `cache.errors` owns that form; `in_tree` alone converts
its errors to classes of this tree. Nothing is formatted here: pages, command line and HTTP render the three parts.
Any module may import this one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cache.errors import BadKey, ExpectedError


class HNeuronsError(ExpectedError):
    """An expected failure in three parts, with its code, HTTP status and exit status."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1

    def to_json(self) -> dict[str, str]:
        """The error as JSON, for HTTP and the command line."""
        return {"code": self.code, "what": self.what, "why": self.why, "instead": self.instead}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> HNeuronsError:
        """The error that `to_json` wrote as `data`, of its own class if the code is known."""
        kind = BY_CODE.get(str(data.get("code")), cls)
        return kind(str(data.get("what")), str(data.get("why")), str(data.get("instead")))


class BadInput(HNeuronsError):
    code, http_status, exit_status = "bad_input", 422, 2


class BadNeurons(BadInput):
    code = "bad_neurons"


class BadPrompt(BadInput):
    code = "bad_prompt"


class BadSettings(BadInput):
    code = "bad_settings"


class InterventionUnused(HNeuronsError):
    code = "intervention_unused"


class ZeroOutput(HNeuronsError):
    code = "zero_output"


class NotFinite(HNeuronsError):
    code = "not_finite"


class Stopped(HNeuronsError):
    code, http_status = "stopped", 409

    def __init__(
        self,
        what: str = "The run was stopped",
        why: str = "Stop was pressed",
        instead: str = "press Run to start it again",
    ) -> None:
        super().__init__(what, why, instead)


class ModelError(HNeuronsError):
    code, http_status, exit_status = "model", 422, 2


class UnknownModel(ModelError):
    code, http_status = "unknown_model", 404


class ModelUnreadable(ModelError):
    code = "model_unreadable"


class ModelTooLarge(ModelError):
    code = "model_too_large"


class UnsupportedModel(ModelError):
    code = "unsupported_model"


class StoreError(HNeuronsError):
    code = "store"


class Unknown(HNeuronsError):
    code, http_status, exit_status = "not_found", 404, 2


class QueueFull(HNeuronsError):
    code, http_status = "queue_full", 503


class Busy(HNeuronsError):
    code, http_status = "busy", 409


class NotAllowed(HNeuronsError):
    code, http_status = "not_allowed", 403


class OutOfMemory(HNeuronsError):
    code, http_status = "out_of_memory", 503


class Internal(HNeuronsError):
    code = "internal"


class BackendUnavailable(HNeuronsError):
    code, http_status = "backend_unavailable", 503


def _tree(cls: type[HNeuronsError]) -> list[type[HNeuronsError]]:
    return [cls, *(sub for child in cls.__subclasses__() for sub in _tree(child))]


BY_CODE: dict[str, type[HNeuronsError]] = {kind.code: kind for kind in _tree(HNeuronsError)}


def in_tree(error: ExpectedError) -> HNeuronsError:
    """`error` as an error of this tree: an error of `cache.errors` is converted, any other returned unchanged."""
    if isinstance(error, HNeuronsError):
        return error
    kind = BadInput if isinstance(error, BadKey) else StoreError
    return kind(error.what, error.why, error.instead)
