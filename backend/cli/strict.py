"""Commands that refuse an option which takes one value and is given twice.

The parser of options silently takes the last one, so `--neurons L0:N1 --neurons L0:N2` would switch one neuron. A flag
may be repeated, unless it has an opposite (--chat/--no-chat).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from backend.errors import BadSettings


class StrictCommand(TyperCommand):
    """A command that refuses an option which is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The remaining arguments. Raises BadSettings."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(given).items():
            repeatable = getattr(option, "multiple", False) or option.nargs != 1
            is_bare = getattr(option, "is_flag", False) and not option.secondary_opts
            if times > 1 and not (repeatable or is_bare):
                raise BadSettings(
                    f"{' or '.join([*option.opts, *option.secondary_opts])} is given {times} times",
                    "it has one value, and which one counts is not clear",
                    "give one of them" if option.secondary_opts else "give it once",
                )
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    """A group of commands that are all strict."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """A decorator that makes a function a command."""
        return super().command(name, **{"cls": StrictCommand, **settings})
