"""Error messages for invalid requests and stored values: the only translation of pydantic's errors.

Owns the wording for an invalid request in pages, HTTP (422), command line, and `validated` from Python. Whether a
request is valid is decided by its type.
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

_THREE_PARTS = re.compile(r"(?:Value error, )?(?P<what>.+?): (?P<why>.+); (?P<instead>[^;]+)", re.DOTALL)
_DOORS = ("body", "query", "path")
"""Where FastAPI says that a field came from; not part of the field's name."""
_TEXTS = {"prompt", "system", "answer", "text"}
_SETS = {"neuron", "neurons", "own"}
_LABELS = {
    "max_new_tokens": "The answer’s length", "temperature": "The temperature", "top_k": "Top-k", "top_p": "Top-p",
    "seed": "The seed", "system": "The system prompt", "answer": "The given answer", "k": "The threshold’s k",
}  # fmt: skip
"""Names of fields as people see them; other fields are shown by their own names."""
_REMEDIES = {
    "missing": "give it",
    "extra_forbidden": "leave it out",
    "json_invalid": "send one JSON object",
    "literal_error": "choose one of these",
    "finite_number": "write a number",
}
_WHOLE, _NUMBER, _FLAG = (
    f"{expected} should stand there" for expected in ("a whole number", "a number", "true or false")
)
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
"""Pydantic's error type -> reason, for messages that pydantic words in terms of Python."""
_TYPE_NAME = re.compile(r"^(?:String|Tuple|List) should")
_RANGES = ("greater_than", "less_than", "finite_number")


def validated(kind: type[M], fields: Any) -> M:
    """A value of type `kind` from its fields. Raises BadInput."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> BadInput:
    """The first validation error of a request, in three parts."""
    return refusal(error.errors(include_url=False, include_context=False))


def refusal(problems: Sequence[Mapping[str, Any]]) -> BadInput:
    """The first of pydantic's `problems` (`ValidationError.errors()`, also given by FastAPI), in three parts."""
    first = problems[0]
    place = _field_path(first)
    kind = BadPrompt if _TEXTS & set(place) else BadNeurons if _SETS & set(place) else BadSettings
    parts = _THREE_PARTS.fullmatch(_message(first))
    if parts:
        return kind(parts["what"][:1].upper() + parts["what"][1:], parts["why"], parts["instead"])
    return kind(*_reworded(str(first.get("type")), place, first))


def first_problem(error: ValidationError) -> str:
    """The first problem of a stored value and its place; without advice, since nobody typed it."""
    first = error.errors(include_url=False, include_context=False)[0]
    return ": ".join(part for part in (".".join(_field_path(first)), _message(first)) if part)


def read_stored(kind: type[M], payload: bytes) -> M | None:
    """The stored value, or None if another version wrote it: then it must be computed again."""
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        log.warning("A stored %s cannot be read and is made again: %s", kind.__name__, first_problem(error))
        return None


def shorten(value: object, length: int = 40) -> str:
    """`value` for an error message, at most `length` characters: its `repr`, but None, True and False as in JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = repr(value) if not isinstance(value, str) else repr(value[:length])
    return shown if len(shown) <= length + 2 else shown[: length - 3] + "..."


def _field_path(problem: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in problem.get("loc", ()) if word not in _DOORS]


def _message(problem: Mapping[str, Any]) -> str:
    return str(problem["msg"]).removeprefix("Value error, ").rstrip(".")


def _reworded(kind: str, place: Sequence[str], problem: Mapping[str, Any]) -> tuple[str, str, str]:
    """The three parts for an error that pydantic itself raised, not a validator of ours."""
    name = ".".join(place)
    message = _TYPE_NAME.sub("it should", _message(problem).replace(" after validation", ""))
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
