"""The form of one entry on disk: two lines of text, then the payload as it stands.

    hneurons-entry 1 <sha256 of the next line>
    {"created": ..., "key": ..., "kind": ..., "meta": ..., "sha256": <of the payload>, "size": ...}
    <payload>

Every byte is under a checksum, the description as well as the payload, so that a changed byte
anywhere is noticed. The checksums guard against accidents, not against somebody who rewrites both.
Owns writing and reading of this form; it opens no file, and nothing in it runs code when read.
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
"""Longest header line in bytes, so that listing the store stays cheap."""

_FIRST_LINE = len(MAGIC) + 64 + 1


class Damaged(Exception):
    """These bytes are not a whole entry. Stays inside this floor: outside it is a miss."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the store knows of one payload without reading it.

    `size` counts the bytes of the payload; `created` is when it was written, `used` when it was
    last written or read, both in UTC.
    """

    key: str
    kind: str
    meta: Mapping[str, Any]
    size: int
    created: datetime
    used: datetime


def moment(nanoseconds: int) -> datetime:
    """The UTC time that lies so many nanoseconds after 1970."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def head(key: str, payload: bytes, kind: str, meta: Mapping[str, Any], created: datetime) -> bytes:
    """The two lines that go before `payload`.

    Raises:
        BadMeta: `kind` or `meta` do not survive JSON unchanged, or the line exceeds `MAX_HEADER`.
    """
    fields = {
        "created": created.isoformat(),
        "key": key,
        "kind": kind,
        "meta": plain(meta),
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
    """The entry that `stream` (at its start) holds and the sha256 of its payload; stops before the payload.

    Raises:
        Damaged: the head is changed or cut, is of another key, or the file has another length than it says.
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
            used=moment(used_ns),
        )
        checksum = str(fields["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as problem:
        raise Damaged(f"its description has not the expected fields ({problem})") from problem
    if entry.key != key:
        raise Damaged(f"it belongs to key {entry.key[:12]}")
    here = file_size - len(first) - len(line)
    if entry.size != here:
        raise Damaged(f"it should hold {entry.size:,} bytes and holds {here:,}")
    return entry, checksum


def read_payload(stream: BinaryIO, entry: Entry, checksum: str) -> bytes:
    """The payload that follows the head, whole and unchanged.

    Raises:
        Damaged: a byte is missing, added or changed.
    """
    payload = stream.read()
    if len(payload) != entry.size:
        raise Damaged(f"it should hold {entry.size:,} bytes and holds {len(payload):,}")
    if digests.of_bytes(payload) != checksum:
        raise Damaged("its checksum differs")
    return payload


def plain(value: Any) -> Any:
    """`value` as JSON gives it back: tuples as lists, any mapping as dict, every number finite.

    Raises:
        BadMeta: something in it has no exact place in JSON (bytes, NaN, a key that is not text, ...).
    """
    try:
        return _plain(value)
    except RecursionError as problem:
        raise _bad_meta("it is nested too deeply") from problem


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(item) for name, item in value.items()}
    raise _bad_meta(f"{value!r:.80} is not text, a finite number, a list or a mapping by text")


def _bad_meta(why: str) -> BadMeta:
    return BadMeta("The description of a result cannot be kept", why, "describe it with short text and finite numbers")
