"""The errors a person may meet, in one tree.

    HNeuronsError                on the ground floor's ExpectedError: what, why, instead
    ├── BadInput                 the request cannot be honoured as typed (exit status 2, HTTP 422)
    │   ├── BadNeurons           a neuron id, set or file is malformed or not of this model
    │   ├── BadPrompt            empty, too long, or not text
    │   └── BadSettings          a number outside its range
    ├── InterventionUnused       an intervention touched nothing: never shown as an answer
    ├── ZeroOutput               CETT is undefined: an MLP output of norm 0
    ├── NotFinite                NaN or infinity in weights or activations: no figure is made of it
    ├── Stopped                  the person pressed Stop (not a failure)
    ├── ModelError
    │   ├── UnknownModel         no such name, directory or file
    │   ├── ModelUnreadable      files are there but cannot be loaded
    │   ├── ModelTooLarge        does not fit in the memory of this machine
    │   └── UnsupportedModel     loaded, but its MLP has no neurons we can name
    ├── StoreError               a result cannot be kept or read
    ├── Unknown                  a run, result or example that is not, or no longer, there (exit status 2)
    ├── QueueFull                more runs wait than are accepted
    ├── Busy                     others are at work: it needs a yes first (HTTP 409)
    ├── NotAllowed               a request that this service does not take from there (HTTP 403)
    ├── OutOfMemory              the run needed more memory than there is
    ├── Internal                 a bug: nothing that the person did
    └── BackendUnavailable       the HTTP service does not answer

Every error says what is wrong, why, and what to do instead. The ground floor owns that form (`cache.errors`), and its
own errors become ones of this tree in one place (`in_tree`). It owns no formatting for a particular door: pages,
command line and HTTP render the three parts. Anyone may import it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cache.errors import BadKey, ExpectedError


class HNeuronsError(ExpectedError):
    """An expected failure, told in three parts, with what the doors need to know of it."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1

    def to_json(self) -> dict[str, str]:
        """The form in which an error crosses HTTP and the command line."""
        return {"code": self.code, "what": self.what, "why": self.why, "instead": self.instead}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> HNeuronsError:
        """The error whose `to_json` this is, of its own class where the code is known."""
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
    """The error of this tree that one of the ground floor stands for; one of this tree is itself."""
    if isinstance(error, HNeuronsError):
        return error
    kind = BadInput if isinstance(error, BadKey) else StoreError
    return kind(error.what, error.why, error.instead)
