"""Words that make no command: what the reader of options says of them, told as everything else here is.

Owns that translation and which `--help` is pointed to. Where it knows no words of its own, those of the reader stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from typer.exceptions import TyperException

from backend.errors import BadInput

_SAID = (
    (
        r"Got unexpected extra argument(?:\(s\))? \((\s*)\)",
        "An empty word stands in the command",
        "it takes no such one",
    ),
    (r"Got unexpected extra argument(?:\(s\))? \((.+)\)", "{0!r} is too much", "the command takes no such word"),
    (r"No such command '(.*)'", "There is no command {0!r}", "what is not understood is not ignored"),
    (r"No such option: (\S*) \(Possible options: (.+)\)", "There is no option {0}", "there are {1}"),
    (r"No such option: (.*)", "There is no option {0}", "what is not understood is not ignored"),
    (r"Option '(.+)' requires an argument", "{0} has no value", "one belongs behind it"),
    (r"Option '(.+)' does not take a value", "{0} has a value", "it takes none"),
    (r"Missing (option|argument) '(.+)'", "The {0} {1} is missing", "the command needs it"),
    (r"Missing command", "The command is not whole", "one more word says what is to be done"),
    (r"Invalid value for '(.+)': .*valid integer.*", "{0} is not understood", "its value is no whole number"),
    (r"Invalid value for '(.+)': .*valid number.*", "{0} is not understood", "its value is no number"),
    (r"Invalid value for '(.+)': Input (.+)", "{0} is not understood", "its value {1}"),
    (r"Invalid value for '(.+)': (.+)", "{0} is not understood", "{1}"),
)
"""What the reader says, and the first two parts of ours; its groups are put in."""


def refusal(error: TyperException, arguments: Sequence[str], command: object) -> BadInput:
    """What is wrong with the arguments of a command, why, and whose help tells what there is."""
    instead = f"see {' '.join(['hneurons', *_named(arguments, command)])} --help"
    said = error.format_message().rstrip(".")
    for pattern, what, why in _SAID:
        if found := re.fullmatch(pattern, said, re.DOTALL):
            return BadInput(what.format(*found.groups()), why.format(*found.groups()), instead)
    return BadInput("The command is not understood", said, instead)


def _named(arguments: Sequence[str], command: object) -> list[str]:
    """The names at the head of the arguments that lead to a command: not every error says whose it is."""
    words: list[str] = []
    for word in arguments:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        words, command = [*words, word], inner
    return words
