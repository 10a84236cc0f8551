"""Copies a finished run beside the code as the probe that ships: `python -m tools.ship_probe NAME`.

The probe's files are copied and its answers packed, so that each verdict can be viewed on another machine.
"""

from __future__ import annotations

import sys

from backend.probes import library
from backend.runs import archive
from backend.runs.folder import RunFolder
from cache import atomic


def main(name: str) -> None:
    """Copy and pack the run `name`. Raises FileNotFoundError where it is not finished."""
    folder, into = library.folder_of(name), library.SHIPPED / name
    archive.pack(folder, into)
    for file in (RunFolder(folder).probe, RunFolder(folder).neurons, RunFolder(folder).items):
        atomic.export(into / file.name, file.read_bytes())
    size = sum(path.stat().st_size for path in into.iterdir())
    sys.stdout.write(f"{into}: {size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(sys.argv[1])
