"""A command whose options are the fields of dataclasses, so that they can be passed on as one value.

Owns the change of signature, since typer reads a command's options from its parameters. The options themselves belong
to the dataclass.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def gathered(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as a function in which each dataclass parameter is replaced by the fields of that dataclass."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    values: dict[str, Any] = {each.name: each.annotation for each in parameters if is_dataclass(each.annotation)}

    @functools.wraps(command)
    def call(**given: Any) -> None:
        for name, kind in values.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    shown: list[inspect.Parameter] = []
    for each in parameters:
        shown += (
            _fields(each.annotation) if each.name in values else [keyword(each.name, each.annotation, each.default)]
        )
    return taking(shown, call)


def taking(parameters: list[inspect.Parameter], call: Callable[..., None]) -> Callable[..., None]:
    """`call`, with a signature of these parameters."""
    # `inspect` and typer read this attribute; the type of functions does not declare it.
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """A keyword-only parameter."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _fields(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [keyword(field.name, hints[field.name], field.default) for field in fields(kind)]
