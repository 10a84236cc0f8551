"""What a typed request is refused for, as an error of ours with its three parts.

Owns the way from pydantic's words to what, why, instead. Refuses to judge: the request's own type does.
"""

from __future__ import annotations

from pydantic import ValidationError

from backend.errors import BadInput, BadPrompt, BadSettings

_NAMES = {
    "max_new_tokens": "The answer’s length", "temperature": "The temperature", "top_k": "Top-k", "top_p": "Top-p",
    "seed": "The seed", "system": "The system prompt", "answer": "The given answer", "k": "The threshold’s k",
}  # fmt: skip


def bad_input(error: ValidationError) -> BadInput:
    """The first thing that `error` refuses, in our three parts."""
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    place = str(first["loc"][-1]) if first["loc"] else ""
    what, colon, rest = message.partition(": ")
    why, semicolon, instead = rest.partition("; ")
    if colon and semicolon:
        return BadPrompt(what[:1].upper() + what[1:], why, instead)
    return BadSettings(f"{_NAMES.get(place, 'A setting')} cannot be used", message, "choose another value")
