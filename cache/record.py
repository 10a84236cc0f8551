"""The file format of one entry: two lines of text, then the unchanged payload.

    hneurons-entry 1 <sha256 of the next line>
    {"created": ..., "key": ..., "kind": ..., "meta": ..., "sha256": <of the payload>, "size": ...}
    <payload>

Checksums cover every byte, of the description and of the payload, so that any changed byte is
noticed. They protect against accidents, not against somebody who also rewrites the checksum.
Owns writing and reading of this format; it opens no file, and reading an entry never runs code from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from cache import digests
from cache.errors import BadMeta

MAGIC = b"hneurons-entry 1 "
MAX_HEADER = 1 << 20
"""Maximum length of the header line in bytes, so that listing the store stays cheap."""

_FIRST_LINE = len(MAGIC) + 64 + 1


class Damaged(Exception):
    """These bytes are not a complete entry. Not raised outside this package: callers see a missing entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The description of one payload, known without reading the payload.

    `size` counts the bytes of the payload; `created` is when it was written, `used` when it was
    last written or read, both in UTC.
    """

    key: str
    kind: str
    meta: Mapping[str, Any]
    size: int
    created: datetime
    used: datetime


def utc_time(nanoseconds: int) -> datetime:
    """The UTC time of this number of nanoseconds since 1970."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def head(key: str, payload: bytes, kind: str, meta: Mapping[str, Any], created: datetime) -> bytes:
    """The two lines that go before `payload`.

    Raises:
        BadMeta: JSON changes `kind` or `meta`, or the line exceeds `MAX_HEADER`.
    """
    fields = {
        "created": created.isoformat(),
        "key": key,
        "kind": kind,
        "meta": as_json(meta),
        "sha256": digests.of_bytes(payload),
        "size": len(payload),
    }
    try:
        line = json.dumps(fields, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"
    except ValueError as problem:
        raise _bad_meta(str(problem)) from problem
    if len(line) > MAX_HEADER:
        raise _bad_meta(f"it takes {len(line):,} bytes, {MAX_HEADER:,} are allowed")
    return MAGIC + digests.of_bytes(line).encode("ascii") + b"\n" + line


def read_head(stream: BinaryIO, key: str, file_size: int, used_ns: int) -> tuple[Entry, str]:
    """(entry, sha256 of its payload) from `stream`, which is at its start; stops before the payload.

    Raises:
        Damaged: the header is changed, truncated or of another key, or it states another length than the file has.
    """
    first, line = stream.read(_FIRST_LINE), stream.readline(MAX_HEADER + 1)
    if first != MAGIC + digests.of_bytes(line).encode("ascii") + b"\n":
        raise Damaged("its description is cut or changed")
    try:
        fields = json.loads(line)
        entry = Entry(
            key=str(fields["key"]),
            kind=str(fields["kind"]),
            meta=dict(fields["meta"]),
            size=int(fields["size"]),
            created=datetime.fromisoformat(fields["created"]).astimezone(UTC),
            used=utc_time(used_ns),
        )
        checksum = str(fields["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as problem:
        raise Damaged(f"its description has not the expected fields ({problem})") from problem
    if entry.key != key:
        raise Damaged(f"it belongs to key {entry.key[:12]}")
    present = file_size - len(first) - len(line)
    if entry.size != present:
        raise Damaged(f"it should hold {entry.size:,} bytes and holds {present:,}")
    return entry, checksum


def read_payload(stream: BinaryIO, entry: Entry, checksum: str) -> bytes:
    """The payload that follows the header, checked.

    Raises:
        Damaged: a byte is missing, added or changed.
    """
    payload = stream.read()
    if len(payload) != entry.size:
        raise Damaged(f"it should hold {entry.size:,} bytes and holds {len(payload):,}")
    if digests.of_bytes(payload) != checksum:
        raise Damaged("its checksum differs")
    return payload


def as_json(value: Any) -> Any:
    """`value` as it is after writing it as JSON and reading it again: tuples as lists, any mapping as dict.

    Raises:
        BadMeta: JSON cannot represent something in it exactly (bytes, NaN, a key that is not text, ...).
    """
    try:
        return _as_json(value)
    except RecursionError as problem:
        raise _bad_meta("it is nested too deeply") from problem


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _as_json(item) for name, item in value.items()}
    raise _bad_meta(f"{value!r:.80} is not text, a finite number, a list or a mapping by text")


def _bad_meta(why: str) -> BadMeta:
    return BadMeta("The description of a result cannot be kept", why, "describe it with short text and finite numbers")
