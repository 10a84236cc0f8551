"""What the commands of all verbs share, and the command of a verb that has no command of its own.

Owns what is added to the options of `backend.cli.running.Door`: how the result is written. The options and tables of
one verb are in `backend.cli.verbs`, `identify` and `cett`.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from rich.console import Console

from backend.cli import options, tables
from backend.cli.gathered import gathered, keyword, taking
from backend.cli.output import stdout_console, write_line
from backend.cli.running import Door, answer
from backend.serve import opening
from backend.serve.client import Client
from backend.serve.opening import ModelSpec
from backend.types import Request, Verb
from backend.verbs.table import VerbRow


@dataclass(frozen=True)
class Common(Door):
    """Where a verb computes (here or at a service), and how its result is written."""

    json: options.Json = False


@dataclass(frozen=True)
class Here:
    """Which model a command uses in this process, and how its result is written."""

    model: options.Model = None
    device: options.Device = None
    dtype: options.Dtype = None
    json: options.Json = False

    def spec(self, otherwise: str | None = None) -> ModelSpec:
        """The model of --model, else `otherwise`, else the default model."""
        return ModelSpec(self.model or otherwise or opening.default_model(), self.device, self.dtype)


def finish(
    verb: Verb, asked: Callable[[Client], Request], common: Common, show: Callable[[Console, Any], None]
) -> None:
    """Compute the request that `asked` makes and write the result: as JSON, or with `show`."""
    result = answer(verb, asked, common)
    if common.json:
        write_line(result.model_dump_json())
    else:
        show(stdout_console(), result)


def command_of(row: VerbRow[Any, Any]) -> Callable[..., None]:
    """The command of a verb. Each field of its request is an option: text is taken as it is, everything else is
    JSON."""
    fields = row.request.model_fields

    def command(*, common: Common, **words: str | None) -> None:
        given = {name: _value(fields[name].annotation, word) for name, word in words.items() if word is not None}
        request = options.request_of(row.request, **given)
        finish(row.name, lambda client: request, common, tables.any_result)

    command.__doc__ = f"{row.says}."
    shown = [
        keyword(name, Annotated[str | None, typer.Option(help=field.description)], None)
        for name, field in fields.items()
    ]
    return gathered(taking([*shown, keyword("common", Common)], command))


def _value(kind: Any, words: str) -> Any:
    if not _is_text(kind):
        with suppress(ValueError, RecursionError):
            return jsonlib.loads(words)
    return words


def _is_text(kind: Any) -> bool:
    if get_origin(kind) in (Annotated, Union, UnionType):
        return any(map(_is_text, get_args(kind)))
    return kind is str
