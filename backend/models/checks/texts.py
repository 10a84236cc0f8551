"""Recognises files that are not what their name says, and JSON texts that are broken or truncated.

Owns the messages about files that are not JSON objects. Every file of a model is checked here, so that an empty file, a
pointer of Git LFS or a web page is reported as such. What the content means is not checked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.models.checks.fault import Fault

_LFS = b"version https://git-lfs"
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LINE = b"\n"
_BOM = b"\xef\xbb\xbf"
_HEAD = 1000
_MESSAGES = (
    ("Expecting value", "a value is missing"),
    ("Expecting property name", "a name in double quotes is missing"),
    ("Expecting ':'", "a colon is missing"),
    ("Expecting ','", "a comma is missing"),
    ("Extra data", "something follows its end"),
    ("Invalid control", "a text holds a control character"),
    ("Invalid \\", "a backslash stands before a letter that it cannot stand before"),
    ("Illegal trailing comma", "a comma stands before an end"),
)
"""Beginnings of the messages of Python's JSON parser, and what they mean."""


def stand_in(subject: str, head: bytes) -> Fault | None:
    """What another kind of file this is, if its first bytes show that; else None. `subject` names it in the message."""
    if not head:
        return Fault(f"{subject} is empty")
    if head.startswith(_LFS):
        return Fault(
            f"{subject} is a pointer of Git LFS, not the file itself",
            "fetch the files themselves with 'git lfs pull', or fetch the model again",
        )
    if head.lstrip()[:20].lower().startswith(_PAGES):
        return Fault(f"{subject} is a web page, as a server sends it instead of a file")
    if not head.strip(b"\0"):
        return Fault(f"{subject} holds nothing but zeros, as a download leaves it that was not finished")
    return None


def head_of(path: Path) -> bytes:
    """The first bytes of a file. Raises Fault if it cannot be read."""
    return _read_bytes(path, _HEAD)


def _read_bytes(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise Fault(
            f"its {path.name} cannot be opened ({error.strerror or 'the system does not say why'})",
            "check who may read it, and whether its disk is in order",
        ) from error


def text_of(path: Path) -> str:
    """The text in a file. Raises Fault if it is not UTF-8 text, or another kind of file."""
    payload = _read_bytes(path)
    instead = stand_in(f"its {path.name}", payload[:_HEAD])
    if instead is not None:
        raise instead
    if payload.startswith(_UTF16):
        raise Fault(f"its {path.name} is UTF-16, and must be UTF-8", "save it as UTF-8, or fetch the model again")
    if payload.startswith(_BOM):
        raise Fault(
            f"its {path.name} begins with a byte order mark, which does not belong there",
            "save it as UTF-8 without one, or fetch the model again",
        )
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end == len(payload) and error.reason == "unexpected end of data":
            raise Fault(f"its {path.name} breaks off in line {payload.count(_LINE) + 1}: it is cut") from error
        raise Fault(f"its {path.name} is not UTF-8 (byte {error.start:,} belongs to no character)") from error


def object_of(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises Fault."""
    text = text_of(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault(f"its {path.name} {json_problem(text, error)}") from error
    if not isinstance(content, dict):
        raise Fault(f"its {path.name} is not a JSON object")
    return content


def json_problem(text: str, error: Exception) -> str:
    """What is wrong with a text that is not JSON, as the words after its name."""
    if isinstance(error, RecursionError):
        return "has lists that are nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        # The only other error that Python's JSON parser raises.
        return "holds a number of thousands of digits"
    begins = text.lstrip()[:1]
    if begins not in ("{", "["):
        return "is not a JSON object"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return f"breaks off in line {text.count(chr(10), 0, len(text.rstrip())) + 1}: it is cut"
    problem = next(
        (ours for theirs, ours in _MESSAGES if error.msg.startswith(theirs)), "it cannot be told what is meant"
    )
    return f"is broken JSON (line {error.lineno}, column {error.colno}: {problem})"
