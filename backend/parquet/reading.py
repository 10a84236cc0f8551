"""The rows of a Parquet file, for the process that asks.

Owns the process that reads (`backend.parquet.process`): its time, how many there are at once, and what its end in the
middle means. Refuses to know what a row means.
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
from backend.parquet.cells import made

SECONDS = 120.0
"""Until the process has begun and read the file's head, and from one batch of rows to the next."""
AT_ONCE = 2
"""Files that are read at the same time; each may take gigabytes, so whoever comes meanwhile waits."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)
# -P: the folder that the program was started in is no place for modules.
COMMAND = (sys.executable, "-P", "-m", "backend.parquet.process")
_ROOT = str(Path(backend.__file__).parents[1])


def rows(
    payload: bytes, name: str, wanted: Collection[str], bounds: Bounds
) -> Generator[dict[str, Any] | None, None, None]:
    """Each row's cells by their columns, those of the `wanted` (lower case); None for a row beyond the bounds of one.

    Cells that cannot be made are `backend.parquet.cells.Unread`. Raises BadInput, also at a later row.
    """
    request = {"name": name, "wanted": sorted(wanted), "bounds": asdict(bounds)}
    with _TURNS, _begun() as running:
        assert running.stdin is not None
        assert running.stdout is not None
        with _ended_after(running, name):
            try:
                running.stdin.write(json.dumps(request).encode() + b"\n")
                running.stdin.write(payload)
                running.stdin.close()
            except OSError as error:
                raise _broken_off(running, name) from error
        while (line := _line(running, running.stdout, name)).get("end") is None:
            if "refused" in line:
                raise BadInput(*line["refused"])
            yield from made_rows(line)


def made_rows(line: Mapping[str, Any]) -> Generator[dict[str, Any] | None, None, None]:
    """The rows that a line of the process tells."""
    if "heavy" in line:
        yield from [None] * line["heavy"]
        return
    columns = {name: [made(held) for held in cells] for name, cells in line["cells"].items()}
    for place in range(line["rows"]):
        yield {name: cells[place] for name, cells in columns.items()}


@contextmanager
def _begun() -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads one file; it is over when the block is."""
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
            with suppress(OSError):  # what had not been written goes nowhere
                if stream is not None:
                    stream.close()


@contextmanager
def _ended_after(running: subprocess.Popen[bytes], name: str) -> Iterator[None]:
    """The process is ended where the block takes longer than `SECONDS`. Raises BadInput then."""
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
            f"{name} cannot be read", f"its next rows were not there after {SECONDS:g} s", "save it as Parquet again"
        )


def _line(running: subprocess.Popen[bytes], stream: IO[bytes], name: str) -> dict[str, Any]:
    """The next that the process tells. Raises BadInput where it ended in the middle or takes too long."""
    with _ended_after(running, name):
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise _broken_off(running, name)
    found: dict[str, Any] = json.loads(line)
    return found


def _broken_off(running: subprocess.Popen[bytes], name: str) -> HNeuronsError:
    """Why the process ended before it had told all, blaming whoever ended it."""
    status = running.wait()
    if status == 1:  # as Python ends for an error that nobody expects
        return Internal("The process that reads Parquet files failed", "nothing in the file explains it", "try again")
    if status == -signal.SIGKILL:
        return OutOfMemory(f"{name} was not read", "the process that read it was ended from outside", "try again")
    return BadInput(
        f"{name} cannot be read",
        "the library that reads Parquet broke off in it, as it does where the file's own account of itself is damaged",
        "save it as Parquet again",
    )
