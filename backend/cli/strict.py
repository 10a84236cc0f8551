"""Commands that pass over none of their words: an option that takes one value and is given twice is refused.

Owns that check. The reader of options takes the last of them without a word, so that `--neurons L0:N1 --neurons L0:N2`
would switch one neuron. A flag that stands twice says no more than once, unless it has an opposite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from backend.errors import BadSettings


class Strict(TyperCommand):
    """A command that refuses an option which is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words that are left. Raises BadSettings."""
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
    """Commands of that kind under one name."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """A decorator that makes a function a command."""
        return super().command(name, **{"cls": Strict, **settings})
