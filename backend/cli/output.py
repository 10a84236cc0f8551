"""What the command line writes, and where.

Owns both streams: only results go to standard output; all messages, those of libraries too, go to standard error. Knows
no verb.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from backend.errors import HNeuronsError


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Inside, everything printed goes to standard error, even from C code."""
    sys.stdout.flush()
    kept_stream, kept_file = sys.stdout, os.dup(1)
    try:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        yield
    finally:
        sys.stdout = kept_stream
        os.dup2(kept_file, 1)
        os.close(kept_file)


def write_line(text: str) -> None:
    """One line on standard output, as UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()


def write_error(error: HNeuronsError, as_json: bool) -> None:
    """The error's sentence on standard error; with `as_json` its parts on standard output too."""
    sys.stderr.write(f"{printable(error.sentence)}\n")
    if as_json:
        write_line(json.dumps({"error": error.to_json()}))


def stdout_console() -> Console:
    """A console for tables, with colours only at a terminal."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def stderr_console() -> Console:
    """A console for messages and progress."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """`text` without characters that control a terminal, such as escape sequences."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\N{MIDDLE DOT}" for letter in text)


def plain(text: str) -> Text:
    """Text of a person or a model, shown literally."""
    return Text(printable(text))
