"""Command lines that are no valid command: typer's error messages as errors of ours, in our words.

Owns that translation, and which command's `--help` is named. A message that is not in the table is passed on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from typer.exceptions import TyperException

from backend.errors import BadInput

_MESSAGES = (
    (
        r"Got unexpected extra argument(?:\(s\))? \((\s*)\)",
        "The command has an empty argument",
        "it takes no such argument",
    ),
    (
        r"Got unexpected extra argument(?:\(s\))? \((.+)\)",
        "{0!r} is not expected",
        "it is one argument too many",
    ),
    (r"No such command '(.*)'", "There is no command {0!r}", "unknown commands are not ignored"),
    (r"No such option: (\S*) \(Possible options: (.+)\)", "There is no option {0}", "similar options are {1}"),
    (r"No such option: (.*)", "There is no option {0}", "unknown options are not ignored"),
    (r"Option '(.+)' requires an argument", "{0} has no value", "it needs one"),
    (r"Option '(.+)' does not take a value", "{0} has a value", "it takes none"),
    (r"Missing (option|argument) '(.+)'", "The {0} {1} is missing", "the command needs it"),
    (r"Missing command", "The command is incomplete", "it needs a subcommand"),
    (r"Invalid value for '(.+)': .*valid integer.*", "{0} is not understood", "its value is no whole number"),
    (r"Invalid value for '(.+)': .*valid number.*", "{0} is not understood", "its value is no number"),
    (r"Invalid value for '(.+)': Input (.+)", "{0} is not understood", "its value {1}"),
    (r"Invalid value for '(.+)': (.+)", "{0} is not understood", "{1}"),
)
"""Typer's message (a pattern), and what and why of our error; the pattern's groups fill the placeholders."""


def refusal(error: TyperException, arguments: Sequence[str], command: object) -> BadInput:
    """The error for a command line that typer refused; it names the `--help` of the right command."""
    instead = f"see {' '.join(['hneurons', *_command_names(arguments, command)])} --help"
    message = error.format_message().rstrip(".")
    for pattern, what, why in _MESSAGES:
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return BadInput(what.format(*match.groups()), why.format(*match.groups()), instead)
    return BadInput("The command is not understood", message, instead)


def _command_names(arguments: Sequence[str], command: object) -> list[str]:
    """The names at the start of the arguments that lead to a command: not every error of typer says which one."""
    words: list[str] = []
    for word in arguments:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        words, command = [*words, word], inner
    return words
