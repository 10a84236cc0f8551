"""The rows of a Parquet file, for the process that asks.

Owns the process that reads (`backend.parquet.process`): its time limit, how many run at once, and which error it is
when one ends early. Does not know what a row means.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import backend
from backend.errors import BadInput, HNeuronsError, Internal, OutOfMemory
from backend.parquet.bounds import Bounds
from backend.parquet.cells import cell_from_json

SECONDS = 120.0
"""Limit for the process to start and read the file's metadata, and again for each batch of rows."""
AT_ONCE = 2
"""Files that are read at the same time. Each may take gigabytes, so further readers wait."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)
# -P: no module is imported from the folder that the program was started in.
COMMAND = (sys.executable, "-P", "-m", "backend.parquet.process")
_ROOT = str(Path(backend.__file__).parents[1])


def rows(
    payload: bytes, name: str, wanted: Collection[str], bounds: Bounds
) -> Generator[dict[str, Any] | None, None, None]:
    """Each row as column -> cell, of the `wanted` columns (lower case); None for a row that is beyond `bounds.row` or
    `bounds.values`.

    Cells that cannot be converted are `backend.parquet.cells.Unread`. Raises BadInput, also at a later row.
    """
    request = {"name": name, "wanted": sorted(wanted), "bounds": asdict(bounds)}
    with _TURNS, _reading_process() as running:
        assert running.stdin is not None
        assert running.stdout is not None
        with _killed_when_late(running, name):
            try:
                running.stdin.write(json.dumps(request).encode() + b"\n")
                running.stdin.write(payload)
                running.stdin.close()
            except OSError as error:
                raise _why_it_ended(running, name) from error
        while (line := _read_line(running, running.stdout, name)).get("end") is None:
            if "refused" in line:
                raise BadInput(*line["refused"])
            yield from rows_from_line(line)


def rows_from_line(line: Mapping[str, Any]) -> Generator[dict[str, Any] | None, None, None]:
    """The rows in one line of the process's output."""
    if "heavy" in line:
        yield from [None] * line["heavy"]
        return
    columns = {name: [cell_from_json(cell) for cell in cells] for name, cells in line["cells"].items()}
    for place in range(line["rows"]):
        yield {name: cells[place] for name, cells in columns.items()}


@contextmanager
def _reading_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads one file; it is killed at the end of the block."""
    pipe = subprocess.PIPE
    paths = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    running = subprocess.Popen(
        COMMAND,
        stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        for stream in (running.stdin, running.stdout):
            with suppress(OSError):  # closing flushes, and the process no longer reads
                if stream is not None:
                    stream.close()


@contextmanager
def _killed_when_late(running: subprocess.Popen[bytes], name: str) -> Iterator[None]:
    """Kill the process if the block takes longer than `SECONDS`; then raises BadInput."""
    late = threading.Event()

    def end() -> None:
        late.set()
        running.kill()

    watch = threading.Timer(SECONDS, end)
    watch.daemon = True
    watch.start()
    try:
        yield
    except HNeuronsError:
        if not late.is_set():
            raise
    finally:
        watch.cancel()
    if late.is_set():
        raise BadInput(
            f"{name} cannot be read", f"its next rows were not read within {SECONDS:g} s", "save it as Parquet again"
        )


def _read_line(running: subprocess.Popen[bytes], stream: IO[bytes], name: str) -> dict[str, Any]:
    """The next line of the process's output. Raises BadInput where the process ended early or takes too long."""
    with _killed_when_late(running, name):
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise _why_it_ended(running, name)
    message: dict[str, Any] = json.loads(line)
    return message


def _why_it_ended(running: subprocess.Popen[bytes], name: str) -> HNeuronsError:
    """The error for a process that ended before the last row: ours, the system's or the file's fault."""
    status = running.wait()
    if status == 1:  # Python's status after an exception that nobody caught
        return Internal("The process that reads Parquet files failed", "nothing in the file explains it", "try again")
    if status == -signal.SIGKILL:
        # The system kills a process that takes more memory than there is.
        return OutOfMemory(f"{name} was not read", "the system killed the process that read it", "try again")
    return BadInput(
        f"{name} cannot be read",
        "the library that reads Parquet crashed on it, as it does where the file's metadata is damaged",
        "save it as Parquet again",
    )
