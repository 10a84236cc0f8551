"""A command whose options are the fields of dataclasses, so that they travel as one value.

Owns the change of signature, since typer reads a command's options from its parameters. Refuses options by name: they
are the dataclass's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def gathered(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as a function that has, in the place of each dataclass among its parameters, the fields of that."""
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
    """`call`, to be read as a function of these parameters."""
    # What `inspect` and typer read; the type of functions does not name it.
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """A parameter that is given by its name."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _fields(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [keyword(field.name, hints[field.name], field.default) for field in fields(kind)]
