"""Copies how a probe that ships did on other questions beside it: `python -m tools.ship_scorings NAME`.

Takes the finished scorings of this machine's data folder. Figures only: neither questions nor answers are copied.
"""

from __future__ import annotations

import sys
from pathlib import Path

from backend.probes import library, scorings
from backend.runs.folder import RunFolder
from cache import atomic
from cache.files import own_folder


def main(name: str) -> None:
    """Copy the scorings of the probe as it ships, each under the name of its file of questions."""
    into = own_folder(RunFolder(library.SHIPPED / name).elsewhere)
    for scoring in scorings.of_probe(name):
        atomic.export(into / f"{Path(scoring.source).stem}.json", scoring.model_dump_json(indent=1).encode())


if __name__ == "__main__":
    main(sys.argv[1])
