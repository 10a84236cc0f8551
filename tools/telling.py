"""What a tool that takes hours is doing."""

from __future__ import annotations

import sys


def say(words: str) -> None:
    """Report what is done now."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
