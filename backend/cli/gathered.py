"""A command whose options are the fields of a dataclass, so that they travel as one value.

Owns the change of signature, since typer reads a command's options from its parameters. Refuses options by name: they
are the dataclass's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints


def gathered(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose parameter `given` is a dataclass, as a function that has its fields for parameters instead."""
    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    kind: Any = parameters.pop("given").annotation
    hints, names = get_type_hints(kind, include_extras=True), [field.name for field in fields(kind)]
    options = [
        inspect.Parameter(
            field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=field.default, annotation=hints[field.name]
        )
        for field in fields(kind)
    ]

    @functools.wraps(command)
    def call(**values: Any) -> None:
        held = kind(**{name: values.pop(name) for name in names})
        command(**values, given=held)

    needed = [parameter for parameter in parameters.values() if parameter.default is parameter.empty]
    rest = [parameter for parameter in parameters.values() if parameter.default is not parameter.empty]
    shown = [*needed, *options, *rest]
    # What `inspect` and typer read; the type of functions does not name it.
    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return call
