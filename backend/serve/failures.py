"""What went wrong, as the one tree of errors: every door tells a failure with these words.

Owns the translation of foreign exceptions (the store's, pydantic's, an exhausted memory, a bug) into
`backend.errors`. It formats for no door and logs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from backend.errors import (
    BadInput,
    BadNeurons,
    BadPrompt,
    BadSettings,
    HNeuronsError,
    Internal,
    OutOfMemory,
    StoreError,
)
from cache.errors import BadKey, StoreProblem

_PARTS = re.compile(r"(?:Value error, )?(?P<what>.+?): (?P<why>.+); (?P<instead>[^;]+)", re.DOTALL)
_TEXTS = {"prompt", "system", "answer", "text"}
_SETS = {"neuron", "neurons", "own"}
_REMEDIES = {
    "missing": "give it",
    "extra_forbidden": "leave it out",
    "json_invalid": "send one JSON object",
    "literal_error": "choose one of these",
    "finite_number": "write a number",
}
_RANGES = ("greater_than", "less_than", "finite_number")


def explain(error: BaseException) -> HNeuronsError:
    """The error of the tree that `error` is or stands for."""
    if isinstance(error, HNeuronsError):
        return error
    if isinstance(error, BadKey):
        return BadInput(error.what, error.why, error.instead)
    if isinstance(error, StoreProblem):
        return StoreError(error.what, error.why, error.instead)
    if isinstance(error, ValidationError):
        return refusal(error.errors(include_url=False, include_context=False))
    if out_of_memory(error):
        return OutOfMemory(
            "The memory is exhausted",
            "this run needs more than is free",
            "shorten the prompt or the answer, ask for fewer rows, or open a smaller model",
        )
    return Internal(
        "Something went wrong inside the program",
        f"{type(error).__name__}: {str(error)[:300] or 'no further message'}",
        "run it again; if it fails again, report it with the log",
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory, of the machine or of an accelerator, ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory")
    )


def parts(error: HNeuronsError) -> dict[str, str]:
    """Body of an error at any door: {"code", "what", "why", "instead"}."""
    return error.to_json()


def refusal(problems: Sequence[Mapping[str, Any]]) -> BadInput:
    """The first of pydantic's `problems` (`ValidationError.errors()`) in three parts."""
    first = problems[0]
    place = [str(word) for word in first.get("loc", ()) if word not in ("body", "query", "path")]
    kind = BadPrompt if _TEXTS & set(place) else BadNeurons if _SETS & set(place) else BadSettings
    told = _PARTS.fullmatch(str(first["msg"]).rstrip("."))
    if told:
        return kind(told["what"], told["why"], told["instead"])
    return kind(*_plain_refusal(str(first.get("type")), ".".join(place), first))


def _plain_refusal(kind: str, place: str, problem: Mapping[str, Any]) -> tuple[str, str, str]:
    name = place or "the request"
    message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    why = message[:1].lower() + message[1:]
    if kind == "json_invalid":
        what, why = "The body is not JSON", f"it cannot be read at character {place or 0}"
    elif kind == "missing":
        what, why = f"{name} is missing", "the request needs it"
    elif kind == "extra_forbidden":
        what, why = f"{name} is no setting of this request", "what is not understood is not ignored"
    else:
        what = f"{name} = {shorten(problem.get('input'))} is not accepted"
    remedy = "choose a number in that range" if kind.startswith(_RANGES) else "correct it"
    return what, why, _REMEDIES.get(kind, remedy)


def shorten(value: object, length: int = 40) -> str:
    """`value` as Python writes it, cut to `length` characters; safe to put into any message."""
    shown = repr(value) if not isinstance(value, str) else repr(value[:length])
    return shown if len(shown) <= length + 2 else shown[: length - 3] + "..."
