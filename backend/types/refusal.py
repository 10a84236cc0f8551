"""Why a request or a stored value is refused, in our words: the one translation of what pydantic says.

Owns the wording that a refused request has at every door: the pages, HTTP (422), the command line, and `validated`
from Python. Refuses to judge: the request's own type does. It knows no door.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from backend.errors import BadInput, BadNeurons, BadPrompt, BadSettings

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)

_PARTS = re.compile(r"(?:Value error, )?(?P<what>.+?): (?P<why>.+); (?P<instead>[^;]+)", re.DOTALL)
_DOORS = ("body", "query", "path")
"""Where FastAPI says that a field came from: no part of its name."""
_TEXTS = {"prompt", "system", "answer", "text"}
_SETS = {"neuron", "neurons", "own"}
_LABELS = {
    "max_new_tokens": "The answer’s length", "temperature": "The temperature", "top_k": "Top-k", "top_p": "Top-p",
    "seed": "The seed", "system": "The system prompt", "answer": "The given answer", "k": "The threshold’s k",
}  # fmt: skip
"""What a field is called where people see it; others go by their own names."""
_REMEDIES = {
    "missing": "give it",
    "extra_forbidden": "leave it out",
    "json_invalid": "send one JSON object",
    "literal_error": "choose one of these",
    "finite_number": "write a number",
}
_WHOLE, _NUMBER, _FLAG = (f"{one} should stand there" for one in ("a whole number", "a number", "true or false"))
_WHYS = {
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE,
    "int_parsing_size": "the number has more digits than are read",
    "float_type": _NUMBER, "float_parsing": _NUMBER,
    "bool_type": _FLAG, "bool_parsing": _FLAG,
    "string_type": "text should stand there",
    "string_unicode": "the text holds half a character",
    "tuple_type": "a list should stand there", "list_type": "a list should stand there",
    "dict_type": "an object with fields should stand there",
    "model_type": "an object with fields should stand there",
    "model_attributes_type": "an object with fields should stand there",
}  # fmt: skip
"""What pydantic says in words of Python, by its kind of problem."""
_HELD = re.compile(r"^(?:String|Tuple|List) should")
_RANGES = ("greater_than", "less_than", "finite_number")


def validated(kind: type[M], fields: Any) -> M:
    """A value of `kind` from all its fields, as every door makes it. Raises BadInput."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> BadInput:
    """The first thing that a request is refused for, in three parts."""
    return refusal(error.errors(include_url=False, include_context=False))


def refusal(problems: Sequence[Mapping[str, Any]]) -> BadInput:
    """The first of pydantic's `problems` (`ValidationError.errors()`, FastAPI has them as well) in three parts."""
    first = problems[0]
    place = _place(first)
    kind = BadPrompt if _TEXTS & set(place) else BadNeurons if _SETS & set(place) else BadSettings
    told = _PARTS.fullmatch(_message(first))
    if told:
        return kind(told["what"][:1].upper() + told["what"][1:], told["why"], told["instead"])
    return kind(*_plain(str(first.get("type")), place, first))


def first_problem(error: ValidationError) -> str:
    """Where the first problem of a stored value is, and what it is; no request, so nothing to do instead."""
    first = error.errors(include_url=False, include_context=False)[0]
    return ": ".join(part for part in (".".join(_place(first)), _message(first)) if part)


def read_stored(kind: type[M], payload: bytes) -> M | None:
    """The value that these bytes are, or None where they are of another version: then it is made again."""
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        log.warning("A stored %s cannot be read and is made again: %s", kind.__name__, first_problem(error))
        return None


def shorten(value: object, length: int = 40) -> str:
    """`value` as Python writes it, nothing and truths as JSON does, cut to `length` characters; safe to put into any
    message."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = repr(value) if not isinstance(value, str) else repr(value[:length])
    return shown if len(shown) <= length + 2 else shown[: length - 3] + "..."


def _place(problem: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in problem.get("loc", ()) if word not in _DOORS]


def _message(problem: Mapping[str, Any]) -> str:
    return str(problem["msg"]).removeprefix("Value error, ").rstrip(".")


def _plain(kind: str, place: Sequence[str], problem: Mapping[str, Any]) -> tuple[str, str, str]:
    """Three parts of what pydantic found by itself."""
    name = ".".join(place)
    message = _HELD.sub("it should", _message(problem).replace(" after validation", ""))
    why = _WHYS.get(kind, message[:1].lower() + message[1:])
    if kind == "json_invalid":
        what, why = "The body is not JSON", f"it cannot be read at character {name or 0}"
    elif kind == "missing":
        what, why = f"{name or 'The request'} is missing", "the request needs it"
    elif kind == "extra_forbidden":
        what, why = f"{name} is no setting of this request", "what is not understood is not ignored"
    else:
        given = f"{name or 'the request'} = {shorten(problem.get('input'))}"
        label = _LABELS.get(place[-1]) if place else None
        what = f"{label} ({given}) is not accepted" if label else f"{given} is not accepted"
    remedy = "choose a number in that range" if kind.startswith(_RANGES) else "correct it"
    return what, why, _REMEDIES.get(kind, remedy)
